//! Which events this process emitted.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use claviger_core::Scope;
use parking_lot::Mutex;

/// Most events that are remembered; far more than are on their way at a time.
const KEPT: usize = 16_384;

type Key = (Scope, Arc<str>);

/// The latest events that were emitted here, and have not been asked for.
#[derive(Default)]
pub(super) struct Own {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    events: HashSet<Key>,
    /// In order; some were taken meanwhile.
    order: VecDeque<Key>,
}

impl Own {
    pub(super) fn note(&self, scope: &Scope, id: &Arc<str>) {
        let key = (scope.clone(), id.clone());
        let mut known = self.known.lock();
        if known.events.insert(key.clone()) {
            known.order.push_back(key);
        }
        if known.order.len() > KEPT
            && let Some(oldest) = known.order.pop_front()
        {
            known.events.remove(&oldest);
        }
    }

    /// Whether it was noted; forgets it.
    pub(super) fn take(&self, scope: &Scope, id: &Arc<str>) -> bool {
        self.known.lock().events.remove(&(scope.clone(), id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_taken_once() {
        let (own, scope) = (Own::default(), Scope::environment("default".parse().unwrap()));
        let id = |number: usize| -> Arc<str> { number.to_string().into() };
        for number in 0..=KEPT {
            own.note(&scope, &id(number));
        }
        assert!(!own.take(&scope, &id(0)), "the oldest made room");
        assert!(own.take(&scope, &id(KEPT)));
        assert!(!own.take(&scope, &id(KEPT)));
    }
}
