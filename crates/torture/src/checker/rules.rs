//! How far default reads may be behind.

use std::time::Duration;

use crate::{Action, Consistency, Operation};

/// What is promised of default reads, and when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A default read that begins longer than this after a change was acknowledged shows that change, or a later one.
    pub staleness: Duration,
    /// When servers were cut off, paused or not there: their default reads may be older, but never go back.
    pub faults: Vec<Fault>,
}

/// A time in which a server could not hear of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The server.
    pub node: usize,
    /// Its beginning, since that of the history.
    pub began: Duration,
    /// Its end, when everything was well again.
    pub ended: Duration,
}

impl Rules {
    /// Since when an operation may have taken effect: a default read may tell what was true before it began.
    pub(super) fn effective_from(&self, operation: &Operation) -> Duration {
        if operation.action != Action::Read(Consistency::Default) {
            return operation.began;
        }
        if self.faults.iter().any(|fault| self.excuses(fault, operation)) {
            return Duration::ZERO;
        }
        operation.began.saturating_sub(self.staleness)
    }

    /// News from the end of a fault may take as long as any.
    fn excuses(&self, fault: &Fault, operation: &Operation) -> bool {
        let until = fault.ended.saturating_add(self.staleness);
        fault.node == operation.node && fault.began <= operation.ended && operation.began <= until
    }
}
