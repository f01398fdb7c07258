//! Open steps that wait for events.

use std::{collections::HashMap, sync::Arc};

use claviger_core::{EnvironmentName, Pattern, Revision, Timestamp, run::RunId, run::StepId};
use parking_lot::Mutex;

use super::Condition;
use crate::events::{Event, Source};

/// One open step.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) environment: EnvironmentName,
    pub(crate) run: RunId,
    pub(crate) step: StepId,
    pub(crate) pattern: Pattern,
    pub(crate) condition: Option<Condition>,
    /// Events of the event stream up to here came before the wait.
    pub(crate) after: Revision,
    /// System events made before this instant came before the wait.
    pub(crate) since: Timestamp,
}

impl Watch {
    /// Whether the event is what the step waits for.
    pub(crate) fn fits(&self, event: &Event) -> bool {
        let is_later = match event.source {
            Source::Event => event.revision > self.after,
            Source::System => event.at >= self.since,
        };
        is_later
            && event.environment == self.environment
            && self.pattern.matches(event.name.as_str())
            && self.condition.as_ref().is_none_or(|condition| condition.holds(event.data.get()))
    }
}

impl Condition {
    /// Whether it holds for an event's data, given as JSON text.
    pub(crate) fn holds(&self, data: &str) -> bool {
        let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else { return false };
        let mut segments = self.path.split('.');
        if segments.next() != Some("data") {
            return false;
        }
        let mut place = &data;
        for segment in segments {
            let member = match place {
                serde_json::Value::Array(items) => segment.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => place.get(segment),
            };
            let Some(member) = member else { return false };
            place = member;
        }
        *place == self.equals
    }
}

#[derive(Default)]
struct Inner {
    /// Watches for one exact name.
    exact: HashMap<(EnvironmentName, Arc<str>), Vec<Watch>>,
    /// Watches with `*` or `>`.
    open: HashMap<EnvironmentName, Vec<Watch>>,
}

/// The watches of this process.
#[derive(Clone, Default)]
pub(crate) struct Waits {
    inner: Arc<Mutex<Inner>>,
}

fn is_exact(pattern: &Pattern) -> bool {
    !pattern.as_str().split('.').any(|segment| matches!(segment, "*" | ">"))
}

impl Waits {
    pub(crate) fn add(&self, watch: Watch) {
        let mut inner = self.inner.lock();
        let list = if is_exact(&watch.pattern) {
            inner.exact.entry((watch.environment.clone(), watch.pattern.as_str().into())).or_default()
        } else {
            inner.open.entry(watch.environment.clone()).or_default()
        };
        if !list.iter().any(|known| known.run == watch.run && known.step == watch.step) {
            list.push(watch);
        }
    }

    /// Forgets a watch that is answered or moot.
    pub(crate) fn remove(&self, watch: &Watch) {
        let mut inner = self.inner.lock();
        let is_other = |known: &Watch| known.run != watch.run || known.step != watch.step;
        if is_exact(&watch.pattern) {
            let key = (watch.environment.clone(), Arc::from(watch.pattern.as_str()));
            if let Some(list) = inner.exact.get_mut(&key) {
                list.retain(is_other);
                if list.is_empty() {
                    inner.exact.remove(&key);
                }
            }
        } else if let Some(list) = inner.open.get_mut(&watch.environment) {
            list.retain(is_other);
        }
    }

    /// The watches that an event answers.
    pub(crate) fn answered(&self, event: &Event) -> Vec<Watch> {
        let inner = self.inner.lock();
        if inner.exact.is_empty() && inner.open.is_empty() {
            return Vec::new();
        }
        let exact = inner.exact.get(&(event.environment.clone(), event.name.as_str().into()));
        let open = inner.open.get(&event.environment);
        let candidates = exact.into_iter().chain(open).flatten();
        candidates.filter(|watch| watch.fits(event)).cloned().collect()
    }
}
