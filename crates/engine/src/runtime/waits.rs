//! Open steps that wait for events.
//!
//! A wait names the revisions of the streams after which it looks, and may begin to be watched later: after a restart, or by
//! another server, much later. So it is first looked for in the ledger, together with all others that are new, and joins
//! those that the dispatcher asks once the ledger was read as far as the dispatcher has come. Each is given to one event
//! only, the first that fits.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use claviger_core::{
    EnvironmentName, EventPosition, Pattern, Revision, SpaceName,
    run::{Run, RunId, StepId, StepState},
};
use claviger_store::Stream;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Condition, Runtime, condition::Candidate};
use crate::{
    Error,
    events::{Event, Events, Positions, revision_in},
};

/// One open step.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) environment: EnvironmentName,
    /// The run's space: then only events of it are waited for.
    pub(crate) space: Option<SpaceName>,
    pub(crate) run: RunId,
    pub(crate) step: StepId,
    pub(crate) pattern: Pattern,
    pub(crate) condition: Option<Condition>,
    /// Events up to here came before the wait.
    pub(crate) after: EventPosition,
    /// The journal's last record when this was read from it.
    pub(crate) known: Revision,
}

impl Watch {
    /// Whether the event is what the step waits for.
    fn fits(&self, candidate: &Candidate<'_>) -> bool {
        let event = candidate.event;
        event.is_after(&self.after)
            && event.environment == self.environment
            && (self.space.is_none() || self.space == event.space)
            && self.pattern.matches(event.name.as_str())
            && candidate.meets(&self.condition)
    }
}

impl Runtime {
    /// How far the streams have come here that events come from.
    pub(crate) async fn end_of_events(&self) -> Result<EventPosition, Error> {
        let ledger = &self.shared.ledger;
        Ok(EventPosition {
            events: ledger.bounds(Stream::Events).await?.last,
            secrets: ledger.bounds(Stream::Secrets).await?.last,
            access: ledger.bounds(Stream::Access).await?.last,
        })
    }
}

fn is_exact(pattern: &Pattern) -> bool {
    !pattern.as_str().split('.').any(|segment| matches!(segment, "*" | ">"))
}

/// Names a watch.
type Key = (RunId, StepId);

/// Some watches, found by what they wait for.
#[derive(Default)]
struct Set {
    watches: HashMap<RunId, HashMap<StepId, Watch>>,
    /// Those for one exact name.
    exact: HashMap<(EnvironmentName, Arc<str>), HashSet<Key>>,
    /// Those with `*` or `>`.
    open: HashMap<EnvironmentName, HashSet<Key>>,
}

impl Set {
    fn add(&mut self, watch: Watch) {
        let key = (watch.run, watch.step.clone());
        let environment = watch.environment.clone();
        let keys = match is_exact(&watch.pattern) {
            true => self.exact.entry((environment, watch.pattern.as_str().into())).or_default(),
            false => self.open.entry(environment).or_default(),
        };
        keys.insert(key);
        self.watches.entry(watch.run).or_default().insert(watch.step.clone(), watch);
    }

    fn has(&self, watch: &Watch) -> bool {
        self.watches.get(&watch.run).is_some_and(|of_run| of_run.contains_key(&watch.step))
    }

    fn remove(&mut self, (run, step): &Key) -> Option<Watch> {
        let of_run = self.watches.get_mut(run)?;
        let watch = of_run.remove(step)?;
        if of_run.is_empty() {
            self.watches.remove(run);
        }
        let key = (*run, step.clone());
        if is_exact(&watch.pattern) {
            let name = (watch.environment.clone(), Arc::from(watch.pattern.as_str()));
            forget(&mut self.exact, &name, &key);
        } else {
            forget(&mut self.open, &watch.environment, &key);
        }
        Some(watch)
    }

    /// The watches that an event answers, removed.
    fn take(&mut self, candidate: &Candidate<'_>) -> Vec<Watch> {
        let event = candidate.event;
        if self.watches.is_empty() {
            return Vec::new();
        }
        let exact = self.exact.get(&(event.environment.clone(), event.name.as_str().into()));
        let candidates = exact.into_iter().chain(self.open.get(&event.environment)).flatten();
        let fits = |(run, step): &&Key| self.watches[run][step].fits(candidate);
        let fitting: Vec<Key> = candidates.filter(fits).cloned().collect();
        fitting.iter().filter_map(|key| self.remove(key)).collect()
    }

    fn retain_of(&mut self, run: RunId, is_kept: impl Fn(&StepId) -> bool) {
        let Some(of_run) = self.watches.get(&run) else { return };
        let gone: Vec<Key> = of_run.keys().filter(|step| !is_kept(step)).map(|step| (run, step.clone())).collect();
        for key in &gone {
            self.remove(key);
        }
    }
}

fn forget<N: std::hash::Hash + Eq>(index: &mut HashMap<N, HashSet<Key>>, name: &N, key: &Key) {
    if let Some(keys) = index.get_mut(name) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}

#[derive(Default)]
struct Inner {
    /// To be looked for in the ledger.
    fresh: Set,
    /// Being looked for in the ledger.
    sought: Set,
    /// The dispatcher asks these.
    live: Set,
    /// How far the dispatcher has come.
    seen: Positions,
    /// The last record known of each run that has a watch.
    known: HashMap<RunId, Revision>,
}

impl Inner {
    fn sets(&mut self) -> [&mut Set; 3] {
        [&mut self.fresh, &mut self.sought, &mut self.live]
    }
}

/// The watches of this process.
#[derive(Clone, Default)]
pub(crate) struct Waits {
    inner: Arc<Mutex<Inner>>,
    /// Told when there is a fresh watch.
    pub(crate) added: Arc<Notify>,
}

impl Waits {
    pub(crate) fn add(&self, watch: Watch) {
        let mut inner = self.inner.lock();
        if inner.sets().iter().all(|set| !set.has(&watch)) {
            inner.known.entry(watch.run).and_modify(|known| *known = watch.known.max(*known)).or_insert(watch.known);
            inner.fresh.add(watch);
            self.added.notify_one();
        }
    }

    /// Forgets the watches of a run's steps that do not wait any more.
    pub(crate) fn keep_open(&self, run: &Run) {
        let is_open = |step: &StepId| {
            let step = run.steps.get(step);
            !run.has_ended() && step.is_some_and(|step| matches!(step.state, StepState::Open(_)))
        };
        let mut inner = self.inner.lock();
        for set in inner.sets() {
            set.retain_of(run.id, is_open);
        }
        if inner.sets().iter().all(|set| !set.watches.contains_key(&run.id)) {
            inner.known.remove(&run.id);
        } else if let Some(known) = inner.known.get_mut(&run.id) {
            *known = run.last.max(*known);
        }
    }

    /// Whether a record of a run that has a watch is news.
    pub(crate) fn are_outdated_by(&self, run: RunId, revision: Revision) -> bool {
        self.inner.lock().known.get(&run).is_some_and(|known| revision > *known)
    }

    /// The watches that an event answers. Asked by the dispatcher, in the order of each stream. They are forgotten: the
    /// caller answers them.
    pub(crate) fn take(&self, candidate: &Candidate<'_>) -> Vec<Watch> {
        let mut inner = self.inner.lock();
        inner.seen.insert(candidate.event.stream, candidate.event.revision);
        inner.live.take(candidate)
    }

    /// Begins to look for the fresh watches, and those still sought. Answers from where in each stream that may answer one.
    pub(crate) fn seek(&self) -> Positions {
        let mut inner = self.inner.lock();
        let fresh = std::mem::take(&mut inner.fresh);
        for watch in fresh.watches.into_values().flat_map(HashMap::into_values) {
            inner.sought.add(watch);
        }
        let mut from = Positions::new();
        for watch in inner.sought.watches.values().flat_map(HashMap::values) {
            for stream in Events::streams_of(&watch.pattern) {
                let after = revision_in(&watch.after, stream);
                from.entry(stream).and_modify(|from| *from = after.min(*from)).or_insert(after);
            }
        }
        from
    }

    /// The sought watches that an event of the ledger answers, forgotten as with [`Waits::take`].
    pub(crate) fn take_sought(&self, event: &Event) -> Vec<Watch> {
        self.inner.lock().sought.take(&Candidate::new(event))
    }

    /// Ends the search, if the streams were read as far as the dispatcher has come.
    pub(crate) fn have_sought(&self, until: &Positions) -> bool {
        let mut inner = self.inner.lock();
        if until.iter().any(|(stream, until)| inner.seen.get(stream).is_some_and(|seen| seen > until)) {
            return false;
        }
        let sought = std::mem::take(&mut inner.sought);
        for watch in sought.watches.into_values().flat_map(HashMap::into_values) {
            inner.live.add(watch);
        }
        true
    }
}
