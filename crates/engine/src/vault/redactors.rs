//! Redactors of sets of versions that are handed out together: building one takes longer than a whole run may.

use std::{sync::Arc, time::Duration};

use claviger_core::{EnvironmentName, Mask, Redactor, RedactorBuilder, SecretValue, secret::SecretVersion};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::fresh::Fresh;
use crate::{LiveHold, live::KEPT_AFTER, shared::Shared};

/// Sets kept, at least.
const CAPACITY: usize = 256;
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The versions of one hand-over, in their order. They do not say which values these are without the
/// environment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Versions {
    pub(super) environment: EnvironmentName,
    pub(super) secrets: Vec<SecretVersion>,
}

/// The redactors used within the last minute. They hold values in the clear, so they are wiped after that.
pub(super) struct Redactors {
    kept: Mutex<Fresh<Versions, (Redactor, Instant)>>,
}

impl Default for Redactors {
    fn default() -> Redactors {
        Redactors { kept: Mutex::new(Fresh::new(CAPACITY)) }
    }
}

impl Redactors {
    /// The redactor of these versions, whose values are held.
    pub(super) fn of(&self, versions: Versions, held: &LiveHold) -> Redactor {
        let now = Instant::now();
        let known = {
            let mut kept = self.kept.lock();
            let known = kept.get(&versions).map(|(redactor, _)| redactor);
            if let Some((_, used_at)) = kept.get_mut(&versions) {
                *used_at = now;
            }
            known
        };
        known.unwrap_or_else(|| {
            let redactor = held.redactor();
            self.kept.lock().insert(versions, (redactor.clone(), now));
            redactor
        })
    }

    /// Wipes now and then what has not been used for a minute, here and in the log redactor.
    pub(super) fn start_forgetting(self: Arc<Self>, shared: &Shared) {
        let (stop, live) = (shared.stop.clone(), shared.live.clone());
        shared.tasks.spawn(async move {
            while stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
                live.expire();
                let now = Instant::now();
                self.kept.lock().retain(|(_, used_at)| now.duration_since(*used_at) < KEPT_AFTER);
            }
        });
    }
}

/// A redactor of some values.
pub(super) fn build(values: &[(Mask, Arc<SecretValue>)]) -> Redactor {
    let mut builder = RedactorBuilder::new();
    for (mask, value) in values {
        builder.track(mask.clone(), value);
    }
    builder.build()
}
