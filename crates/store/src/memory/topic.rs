//! The hints of one topic.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::time::Instant;

/// Hints in the order in which they were offered, some of them taken. An id is here at most once.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    offers: u64,
    hints: HashMap<Arc<str>, State>,
    /// The ones to take, by place.
    waiting: BTreeMap<u64, Arc<str>>,
    /// The taken ones, soonest to come back first.
    leases: BTreeMap<(Instant, u64), Arc<str>>,
}

#[derive(Debug)]
struct State {
    /// Its place among the offers.
    place: u64,
    /// Until when it is taken; `None` while it waits.
    until: Option<Instant>,
    /// Offered while taken: waits again as soon as it is done, so that no offer is swallowed.
    offered_again: bool,
}

impl Topic {
    /// Adds an id, if it does not wait already; says whether there is something new to take.
    pub(crate) fn offer(&mut self, id: &str) -> bool {
        if let Some(state) = self.hints.get_mut(id) {
            state.offered_again = state.until.is_some();
            return false;
        }
        self.offers += 1;
        let id: Arc<str> = id.into();
        self.hints.insert(id.clone(), State { place: self.offers, until: None, offered_again: false });
        self.waiting.insert(self.offers, id);
        true
    }

    /// Takes the oldest.
    pub(crate) fn take(&mut self, limit: usize, now: Instant, until: Instant) -> Vec<String> {
        self.bring_back(now);
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some((place, id)) = self.waiting.pop_first() else { break };
            if let Some(state) = self.hints.get_mut(&id) {
                state.until = Some(until);
            }
            taken.push(id.to_string());
            self.leases.insert((until, place), id);
        }
        taken
    }

    /// Whether there is something to take.
    pub(crate) fn is_ready(&mut self, now: Instant) -> bool {
        self.bring_back(now);
        !self.waiting.is_empty()
    }

    /// When the next lease runs out.
    pub(crate) fn next_return(&self) -> Option<Instant> {
        self.leases.first_key_value().map(|(&(until, _), _)| until)
    }

    /// Renews a lease. One that ran out is renewed too, unless the hint waits again.
    pub(crate) fn extend(&mut self, id: &str, until: Instant) {
        let Some(state) = self.hints.get_mut(id) else { return };
        let Some(before) = state.until.replace(until) else {
            state.until = None;
            return;
        };
        if let Some(id) = self.leases.remove(&(before, state.place)) {
            self.leases.insert((until, state.place), id);
        }
    }

    /// Removes a taken hint; says whether it waits again because it was offered meanwhile.
    pub(crate) fn done(&mut self, id: &str) -> bool {
        let Some(&State { place, until: Some(until), offered_again }) = self.hints.get(id) else { return false };
        self.hints.remove(id);
        self.leases.remove(&(until, place));
        offered_again && self.offer(id)
    }

    fn bring_back(&mut self, now: Instant) {
        while let Some(lease) = self.leases.first_entry().filter(|lease| lease.key().0 <= now) {
            let ((_, place), id) = lease.remove_entry();
            if let Some(state) = self.hints.get_mut(&id) {
                state.until = None;
                state.offered_again = false;
            }
            self.waiting.insert(place, id);
        }
    }
}
