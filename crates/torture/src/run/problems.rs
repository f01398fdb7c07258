//! What went wrong besides the history: answers that nobody should get, runs that did not end.

use std::sync::Arc;

use parking_lot::Mutex;

/// How many are kept. The first ones tell the most.
const MOST: usize = 20;

/// A list that everybody may add to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Arc<Mutex<(usize, Vec<String>)>>);

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&self, problem: impl Into<String>) {
        let (count, kept) = &mut *self.0.lock();
        *count += 1;
        if kept.len() < MOST {
            kept.push(problem.into());
        }
    }

    /// Notes a problem unless something holds.
    pub(crate) fn expect(&self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.add(problem());
        }
    }

    /// How many there were, and the first of them.
    pub(crate) fn all(&self) -> (usize, Vec<String>) {
        self.0.lock().clone()
    }
}
