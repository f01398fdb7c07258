//! Who waits for runs to end.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use claviger_core::run::{Run, RunId};
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What is told of a run that ended.
#[derive(Clone)]
pub(crate) enum Ended {
    /// The run as it ended.
    Here(Arc<Run>),
    /// Another server ended it: the ledger knows how.
    Elsewhere(RunId),
}

#[derive(Default)]
struct Inner {
    /// How many have ever waited.
    waited: u64,
    waiting: HashMap<RunId, BTreeMap<u64, UnboundedSender<Ended>>>,
}

/// The requests that wait for ends. Each hears of its own runs only. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Inner>>);

/// One that waits, from its making until it is dropped.
pub(crate) struct Waiting {
    ends: Ends,
    number: u64,
    runs: Vec<RunId>,
    inbox: UnboundedReceiver<Ended>,
}

impl Ends {
    /// Waits for the ends of some runs.
    pub(crate) fn of(&self, runs: Vec<RunId>) -> Waiting {
        let (sender, inbox) = unbounded_channel();
        let mut inner = self.0.lock();
        inner.waited += 1;
        let number = inner.waited;
        for run in &runs {
            inner.waiting.entry(*run).or_default().insert(number, sender.clone());
        }
        drop(inner);
        Waiting { ends: self.clone(), number, runs, inbox }
    }

    /// Whether somebody waits for a run.
    pub(crate) fn are_awaited(&self, run: RunId) -> bool {
        self.0.lock().waiting.contains_key(&run)
    }

    /// Tells those who wait of a run that ended here.
    pub(crate) fn tell(&self, run: &Run) {
        let waiting = self.waiting_for(run.id);
        if waiting.is_empty() {
            return;
        }
        let run = Arc::new(run.clone());
        send(&waiting, &Ended::Here(run));
    }

    /// Tells those who wait of a run that another server ended.
    pub(crate) fn tell_elsewhere(&self, run: RunId) {
        send(&self.waiting_for(run), &Ended::Elsewhere(run));
    }

    fn waiting_for(&self, run: RunId) -> Vec<UnboundedSender<Ended>> {
        self.0.lock().waiting.get(&run).map(|waiting| waiting.values().cloned().collect()).unwrap_or_default()
    }
}

fn send(waiting: &[UnboundedSender<Ended>], ended: &Ended) {
    for sender in waiting {
        // They may be about to go.
        let _ = sender.send(ended.clone());
    }
}

impl Waiting {
    /// The next end. It never comes when all were told.
    pub(crate) async fn next(&mut self) -> Ended {
        match self.inbox.recv().await {
            Some(ended) => ended,
            // The sender is with `Ends` for as long as this is here.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut inner = self.ends.0.lock();
        for run in &self.runs {
            let Some(waiting) = inner.waiting.get_mut(run) else { continue };
            waiting.remove(&self.number);
            if waiting.is_empty() {
                inner.waiting.remove(run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_waits_hears_of_its_own_runs_and_is_forgotten_when_it_goes() {
        let run = |byte| RunId([byte; 16]);
        let ends = Ends::default();
        let (mut first, mut second) = (ends.of(vec![run(1), run(2)]), ends.of(vec![run(2)]));
        ends.tell_elsewhere(run(1));
        assert!(first.next().now_or_never().is_some());
        ends.tell_elsewhere(run(3));
        assert!(first.next().now_or_never().is_none() && second.next().now_or_never().is_none());
        drop(first);
        assert!(!ends.are_awaited(run(1)) && ends.are_awaited(run(2)));
        ends.tell_elsewhere(run(2));
        assert!(second.next().now_or_never().is_some());
        drop(second);
        assert!(ends.0.lock().waiting.is_empty());
    }
}
