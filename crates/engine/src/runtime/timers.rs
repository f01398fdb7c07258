//! Instants at which something is to be looked at again. Held in memory: journals are the truth.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use claviger_core::{EnvironmentName, Revision, Timestamp, run::RunId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub(crate) enum Alarm {
    /// A run that time may have made ready.
    Run(EnvironmentName, RunId),
    /// A job that may have taken too long.
    Job(EnvironmentName, RunId, Revision),
}

#[derive(Default)]
struct Inner {
    alarms: BTreeMap<(Timestamp, u64), Alarm>,
    made: u64,
}

/// Alarms in order of time.
#[derive(Clone, Default)]
pub(crate) struct Timers {
    inner: Arc<Mutex<Inner>>,
    earlier: Arc<Notify>,
}

impl Timers {
    pub(crate) fn set(&self, at: Timestamp, alarm: Alarm) {
        let mut inner = self.inner.lock();
        inner.made += 1;
        let key = (at, inner.made);
        inner.alarms.insert(key, alarm);
        if inner.alarms.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.earlier.notify_one();
        }
    }

    /// The alarms that are due, removed.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Alarm> {
        let mut inner = self.inner.lock();
        let later = inner.alarms.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
        std::mem::replace(&mut inner.alarms, later).into_values().collect()
    }

    /// Waits until an alarm may be due. Looks at the clock at least every second, so that a wall clock
    /// that jumps is noticed.
    pub(crate) async fn wait(&self, now: Timestamp) {
        let next = self.inner.lock().alarms.first_key_value().map(|((at, _), _)| *at);
        let pause = next.map_or(Duration::from_secs(1), |at| at.since(now)).min(Duration::from_secs(1));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.earlier.notified() => {}
        }
    }
}
