//! Events start runs and answer waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use claviger_core::{Revision, Timestamp};
use claviger_store::Stream;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::{
    Function, Runtime,
    condition::Candidate,
    jobs::{Start, run_of},
    limits,
    waits::Watch,
};
use crate::{
    Error,
    events::{Event, Source},
    folded::Folded,
    shared::Shared,
};

/// The fold under which the index keeps how far events have been dispatched.
const FOLD: &str = "dispatch";
/// Events worked on at the same time.
const AT_ONCE: usize = 1_024;
/// How often the position is saved.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// The pause before an event is tried again whose effects the store refused, and the longest, after many tries.
const RETRY: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// How long the server that stored an event may take to start its runs, and by how much the others differ.
const PATIENCE: Duration = Duration::from_millis(100);
const SPREAD: Duration = Duration::from_millis(50);

/// What an event is to do.
struct Wanted {
    /// The functions that it starts.
    functions: Vec<Arc<Function>>,
    /// How long another server may take to start them before we do.
    patience: Duration,
    /// The waits that it answers.
    answered: Vec<Watch>,
}

#[derive(Default)]
struct Reached {
    seen: Revision,
    /// Events whose runs are being created.
    open: BTreeSet<Revision>,
}

impl Reached {
    /// Everything up to here has had its effect, durably.
    fn position(&self) -> Revision {
        self.open.first().map_or(self.seen, |first| Revision(first.0 - 1))
    }
}

#[derive(Default)]
struct Positions {
    streams: BTreeMap<Stream, Reached>,
    /// The position in the event stream.
    events: Revision,
    /// Who waits for that to come to a revision.
    waiting: BTreeMap<Turn, oneshot::Sender<()>>,
    /// How many have ever waited.
    waited: u64,
}

/// A revision, and a number that tells apart who waits for it.
type Turn = (Revision, u64);

impl Positions {
    fn advance(&mut self, events: Revision) {
        self.events = events.max(self.events);
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= self.events) {
            // It may have lost its patience.
            let _ = first.remove().send(());
        }
    }
}

/// How far events have been dispatched. The position that is saved never passes an event whose
/// effects are not durable.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<Positions>>);

/// Gives up a turn when it is dropped.
struct Place<'a>(&'a Progress, Turn);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.lock().waiting.remove(&self.1);
    }
}

impl Progress {
    /// Takes up what the index knows.
    ///
    /// # Errors
    /// [`Error::RecordsLost`] when the event stream ends before it, and what the store says.
    pub(crate) async fn resume(shared: &Shared) -> Result<Progress, Error> {
        Folded::resume(shared, FOLD, Stream::Events).await?;
        Ok(Progress::default())
    }

    /// Waits until the event stream was dispatched up to a revision.
    pub(crate) async fn reaches(&self, revision: Revision) {
        let (_place, reached) = {
            let mut positions = self.0.lock();
            if positions.events >= revision {
                return;
            }
            let (sender, reached) = oneshot::channel();
            positions.waited += 1;
            let turn = (revision, positions.waited);
            positions.waiting.insert(turn, sender);
            (Place(self, turn), reached)
        };
        // Nobody but `advance` takes the sender away.
        let _ = reached.await;
    }

    fn begin(&self, stream: Stream, revision: Revision) {
        let mut positions = self.0.lock();
        let reached = positions.streams.entry(stream).or_default();
        reached.seen = revision;
        reached.open.insert(revision);
    }

    fn done(&self, stream: Stream, revision: Revision) {
        let mut positions = self.0.lock();
        let Some(reached) = positions.streams.get_mut(&stream) else { return };
        reached.open.remove(&revision);
        let position = reached.position();
        if stream == Stream::Events {
            positions.advance(position);
        }
    }

    fn positions(&self) -> BTreeMap<Stream, Revision> {
        self.0.lock().streams.iter().map(|(stream, reached)| (*stream, reached.position())).collect()
    }
}

/// A number that differs from server to server; not for secrets.
fn random() -> u32 {
    // The hasher's keys are drawn anew for every instance.
    RandomState::new().hash_one(()) as u32
}

impl Runtime {
    /// Follows every event of every environment.
    pub(crate) async fn dispatch(self) -> Result<(), Error> {
        let from = self.shared.index.reflected(FOLD).await?;
        if let Some(position) = from.get(&Stream::Events) {
            self.progress.0.lock().advance(*position);
        }
        // Without a position (a new or rebuilt index), events older than the kept runs start nothing:
        // their runs may have been there and be purged.
        let oldest = Timestamp(self.shared.now().0 - i64::try_from(limits::KEEP_RUNS.as_millis()).unwrap_or(0));
        let mut feed = self.events.feed(from).await?;
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let event = tokio::select! {
                event = feed.next() => event,
                () = self.shared.stop.cancelled() => return Ok(()),
            };
            let Some(event) = event else { return Ok(()) };
            let stream = event.stream;
            self.progress.begin(stream, event.revision);
            self.hear_of_spaces(&event);
            // Here, where events come in order: a wait is answered by the first that fits.
            let wanted = self.wanted(&event, oldest);
            if wanted.answered.is_empty() && wanted.functions.is_empty() {
                self.progress.done(stream, event.revision);
                continue;
            }
            let Ok(permit) = permits.clone().acquire_owned().await else { return Ok(()) };
            let runtime = self.clone();
            self.shared.tasks.spawn(async move {
                let _permit = permit;
                if runtime.effect(&event, wanted).await {
                    runtime.progress.done(stream, event.revision);
                }
            });
        }
    }

    /// Decides with one look at the event's data. An event older than runs are kept starts none: they may have been there.
    fn wanted(&self, event: &Event, oldest: Timestamp) -> Wanted {
        let candidate = Candidate::new(event);
        let answered = self.waits.take(&candidate);
        let functions = if event.at >= oldest { self.registry.triggered(&candidate) } else { Vec::new() };
        let patience = if functions.is_empty() { Duration::ZERO } else { self.patience(event) };
        Wanted { functions, patience, answered }
    }

    /// How long another server may take to start an event's runs. Where several do everything, they would be in each
    /// other's way: the one that stored the event comes first, and the others when it does not come.
    fn patience(&self, event: &Event) -> Duration {
        if !self.shared.ledger.is_shared() || self.events.is_own(event) {
            return Duration::ZERO;
        }
        // Nobody knows who made a change; let chance say who comes first.
        let at_random = SPREAD.mul_f64(f64::from(random()) / f64::from(u32::MAX));
        match event.source {
            Source::Event => PATIENCE + at_random,
            Source::System => at_random,
        }
    }

    /// Creates the runs and answers the waits, however often it takes. False when the engine stops first.
    async fn effect(&self, event: &Event, mut wanted: Wanted) -> bool {
        let mut pause = RETRY;
        while let Err(error) = self.try_effect(event, &mut wanted).await {
            tracing::warn!(code = error.code(), "an event could not be dispatched yet: {error}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.stop.cancelled() => return false,
            }
            pause = (pause * 2).min(RETRY_AT_MOST);
        }
        true
    }

    /// Tries everything, so that what fails for one function or run does not keep the others waiting.
    async fn try_effect(&self, event: &Event, wanted: &mut Wanted) -> Result<(), Error> {
        let mut result = Ok(());
        for watch in std::mem::take(&mut wanted.answered) {
            if let Err(error) = self.answer(&watch, event).await {
                wanted.answered.push(watch);
                result = Err(error);
            }
        }
        // Tried again, it is for us to see to it that they start.
        let patience = std::mem::take(&mut wanted.patience);
        for function in std::mem::take(&mut wanted.functions) {
            if let Err(error) = self.start_of(event, &function, patience).await {
                wanted.functions.push(function);
                result = Err(error);
            }
        }
        result
    }

    /// Starts the run of a function, unless another server does.
    async fn start_of(&self, event: &Event, function: &Arc<Function>, patience: Duration) -> Result<(), Error> {
        let scope = event.scope();
        let id = run_of(&scope, &function.spec.id, &event.id);
        if !patience.is_zero()
            && (self.others.have_created(id, patience).await || self.journal.has(&event.environment, id).await?)
        {
            return Ok(());
        }
        let start = Start {
            id,
            scope,
            function: function.clone(),
            event_id: event.id.clone(),
            event_name: event.name.clone(),
            data: event.data.get().into(),
            at: event.at,
            parent: None,
        };
        self.start(start).await
    }

    /// Saves the position from time to time.
    pub(crate) async fn save_progress(self) {
        let mut saved = BTreeMap::new();
        loop {
            let is_last = tokio::select! {
                () = tokio::time::sleep(SAVE_EVERY) => false,
                () = self.shared.stop.cancelled() => true,
            };
            let positions = self.progress.positions();
            if positions != saved && !positions.is_empty() {
                match self.shared.index.write(FOLD, Vec::new(), positions.clone()).await {
                    Ok(()) => saved = positions,
                    Err(error) => tracing::warn!("how far events were dispatched could not be saved: {error}"),
                }
            }
            if is_last {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_waits_is_told_once_all_before_is_dispatched_and_leaves_nothing_behind() {
        let progress = Progress::default();
        let (mut second, mut ninth) =
            (Box::pin(progress.reaches(Revision(2))), Box::pin(progress.reaches(Revision(9))));
        for revision in [1, 2] {
            progress.begin(Stream::Events, Revision(revision));
        }
        assert!(second.as_mut().now_or_never().is_none() && ninth.as_mut().now_or_never().is_none());
        progress.done(Stream::Events, Revision(2));
        assert!(second.as_mut().now_or_never().is_none(), "the first is still open");
        progress.done(Stream::Events, Revision(1));
        assert!(second.as_mut().now_or_never().is_some() && ninth.as_mut().now_or_never().is_none());
        assert!(progress.reaches(Revision(2)).now_or_never().is_some());
        drop(ninth);
        assert!(progress.0.lock().waiting.is_empty());
    }
}
