//! What other servers do to runs, where they share the store.
//!
//! Servers do not know each other; they see each other's records. Whoever changes a run follows it up: it keeps the alarm,
//! watches for events, offers the run. A run about which nothing was written for the length of a lease is taken up by every
//! server that is there, and a claim on it counts as lost. That is measured by each server from the records as they come
//! to it, so no wall clock has a say; and while the store does not work, silence means nothing.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use claviger_core::{
    EnvironmentName, Revision,
    run::{Phase, Run, RunId},
};
use claviger_store::{Record, Stream, Subject};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{Runtime, TAKEN_UP_AT_ONCE, invoke::invocations, limits::LEASE};
use crate::{Error, follow::follow, record::run::StoredEntry};

/// How often unfinished runs are looked through for those that are silent.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long the store may take to show that we hear everything.
const HEARS_WITHIN: Duration = Duration::from_secs(4);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long an ended run is remembered: whoever waits for it to appear need not ask the store, and whoever invoked it is
/// told of its end by the server that ended it.
const REMEMBERED: Duration = Duration::from_secs(10);

/// When runs were last heard of. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Others {
    heard: Arc<Mutex<Heard>>,
    /// Up to where records were heard.
    position: Arc<watch::Sender<Revision>>,
}

#[derive(Default)]
struct Heard {
    runs: HashMap<RunId, Silence>,
    /// Who waits for a run to appear.
    awaited: HashMap<RunId, Vec<oneshot::Sender<()>>>,
}

/// How long nothing was written about a run.
struct Silence {
    since: Instant,
    /// The runs whose ends it waits for, once this server does what its state asks for.
    followed: Option<Box<[RunId]>>,
    /// Whether it lasted for a lease, while the store worked and we heard everything.
    is_over: bool,
}

impl Silence {
    /// One that begins now.
    fn new() -> Silence {
        Silence { since: Instant::now(), followed: None, is_over: false }
    }
}

impl Others {
    fn hear(&self, run: RunId) {
        let mut heard = self.heard.lock();
        heard.runs.insert(run, Silence::new());
        for waiting in heard.awaited.remove(&run).into_iter().flatten() {
            // It may have lost its patience.
            let _ = waiting.send(());
        }
    }

    /// Waits for the first record of a run; false when none comes in time.
    pub(crate) async fn have_created(&self, run: RunId, patience: Duration) -> bool {
        let appeared = {
            let mut heard = self.heard.lock();
            if heard.runs.contains_key(&run) {
                return true;
            }
            let (sender, appeared) = oneshot::channel();
            heard.awaited.entry(run).or_default().push(sender);
            appeared
        };
        let has_appeared = timeout(patience, appeared).await.is_ok_and(|appeared| appeared.is_ok());
        if !has_appeared {
            let mut heard = self.heard.lock();
            if let Some(waiting) = heard.awaited.get_mut(&run) {
                waiting.retain(|sender| !sender.is_closed());
                if waiting.is_empty() {
                    heard.awaited.remove(&run);
                }
            }
        }
        has_appeared
    }

    /// Whether nothing was written about a run for the length of a lease: who held it is gone.
    pub(crate) fn have_left(&self, run: RunId) -> bool {
        self.heard.lock().runs.get(&run).is_some_and(|silence| silence.is_over)
    }

    /// Notes whether a run was left alone, as of now. To be asked when everything is heard.
    fn are_leaving(&self, run: RunId) -> bool {
        let mut heard = self.heard.lock();
        let Some(silence) = heard.runs.get_mut(&run) else { return false };
        silence.is_over = silence.since.elapsed() >= LEASE;
        silence.is_over
    }

    /// Whether this server does already what an unfinished run asks for. One that was never heard of is from now on.
    fn are_not_needed_for(&self, run: RunId) -> bool {
        let mut heard = self.heard.lock();
        heard.runs.entry(run).or_insert_with(Silence::new).followed.is_some()
    }

    /// Whether a run that is followed waits for one that ended a while ago, as far as we heard: whoever should have told
    /// it may be gone.
    fn may_owe_an_end(&self, run: RunId) -> bool {
        let heard = self.heard.lock();
        let awaited = heard.runs.get(&run).and_then(|silence| silence.followed.as_deref()).unwrap_or_default();
        awaited.iter().any(|awaited| !heard.runs.contains_key(awaited))
    }

    /// Notes that a run was taken up. One that waits for a worker is offered again after the next silence.
    pub(crate) fn leave_to_us(&self, run: &Run) {
        let mut heard = self.heard.lock();
        let Some(silence) = heard.runs.get_mut(&run.id) else { return };
        match run.phase {
            Phase::Queued => *silence = Silence::new(),
            // Whether its claim stands is looked at again.
            Phase::Running => {}
            _ => silence.followed = Some(invocations(run).map(|(_, child)| child).collect()),
        }
    }

    /// What was silent up to now may have been so because nobody could write, or because we heard nothing.
    fn begin_anew(&self) {
        let now = Instant::now();
        for silence in self.heard.lock().runs.values_mut() {
            (silence.since, silence.is_over) = (now, false);
        }
    }

    /// Forgets runs that have ended.
    fn forget_all_but(&self, live: &HashSet<RunId>) {
        self.heard.lock().runs.retain(|run, silence| live.contains(run) || silence.since.elapsed() < REMEMBERED);
    }
}

/// The run that a subject is about.
fn place(subject: &Subject) -> Option<(EnvironmentName, RunId)> {
    let mut tokens = subject.tokens().skip(1);
    Some((tokens.next()?.parse().ok()?, tokens.next()?.parse().ok()?))
}

impl Runtime {
    /// Begins to listen to other servers, if there may be any.
    pub(crate) async fn start_listening(&self) -> Result<(), Error> {
        if !self.shared.ledger.is_shared() {
            return Ok(());
        }
        let last = self.shared.ledger.bounds(Stream::Runs).await?.last;
        self.others.position.send_replace(last);
        self.shared.tasks.spawn(self.clone().follow_others(last));
        self.shared.tasks.spawn(self.clone().sweep());
        Ok(())
    }

    async fn follow_others(self, after: Revision) {
        follow(&self.shared, Stream::Runs, after, |records| {
            records.iter().for_each(|record| self.hear(record));
            self.others.position.send_replace(records.last().map_or(after, |record| record.revision));
            ready(ControlFlow::Continue(()))
        })
        .await;
    }

    fn hear(&self, record: &Record) {
        let Some((environment, id)) = place(&record.subject) else { return };
        self.others.hear(id);
        if self.ends.are_awaited(id) && self.is_end(record) {
            self.ends.tell_elsewhere(id);
        }
        let is_news = match self.journal.known_cell(id) {
            // Somebody has it in hand; whether it is we who wrote this is known when that is done.
            Some(cell) => cell.try_lock().is_none_or(|cell| {
                cell.job.is_some() && cell.run.as_ref().is_some_and(|run| run.last < record.revision)
            }),
            None => self.waits.are_outdated_by(id, record.revision),
        };
        if is_news {
            let (runtime, revision) = (self.clone(), record.revision);
            self.shared.tasks.spawn(async move {
                match runtime.learn(&environment, id, revision).await {
                    Ok(()) | Err(Error::RunNotFound) => {}
                    Err(error) => tracing::warn!(code = error.code(), run = %id, "a run could not be read: {error}"),
                }
            });
        }
    }

    fn is_end(&self, record: &Record) -> bool {
        // One that cannot be read is reported by the index.
        let stored = self.shared.verify::<StoredEntry>(Stream::Runs, record);
        stored.is_ok_and(|stored| stored.summary.status.has_ended())
    }

    /// Brings what is known here of a run up to a record that another server wrote.
    async fn learn(&self, environment: &EnvironmentName, id: RunId, revision: Revision) -> Result<(), Error> {
        let cell = self.journal.cell(id);
        let mut cell = cell.lock().await;
        let is_new = cell.run.as_ref().is_none_or(|run| run.last < revision);
        if !is_new || (cell.job.is_none() && !self.waits.are_outdated_by(id, revision)) {
            return Ok(());
        }
        cell.is_doubtful = true;
        self.journal.fill(&mut cell, environment, id).await?;
        self.settle(&mut cell);
        if let Some(run) = &cell.run {
            self.waits.keep_open(run);
            if run.has_ended() {
                self.timers.forget(id);
                self.ends.tell(run);
            }
        }
        Ok(())
    }

    /// Waits until everything was heard that was written before the call.
    async fn hear_all(&self) {
        let mut position = self.others.position.subscribe();
        let end = loop {
            match self.shared.ledger.barrier(Stream::Runs).await {
                Ok(end) => break end,
                Err(_) => sleep(ASK_AGAIN_AFTER).await,
            }
        };
        // Whoever hears goes on as long as the engine.
        let _ = position.wait_for(|position| *position >= end).await;
    }

    /// Takes up runs that were left alone.
    async fn sweep(self) {
        while self.shared.stop.run_until_cancelled(sleep(SWEEP_EVERY)).await.is_some() {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(code = error.code(), "unfinished runs could not be looked through: {error}");
            }
        }
    }

    async fn sweep_once(&self) -> Result<(), Error> {
        let (mut after, mut live) = (String::new(), HashSet::new());
        let (mut unattended, mut owed) = (Vec::new(), Vec::new());
        loop {
            let page = self.index.live(&after, 500).await?;
            let Some((last, _, _)) = page.last() else { break };
            after.clone_from(last);
            live.extend(page.iter().map(|(_, _, id)| *id));
            for (_, environment, id) in page {
                if !self.others.are_not_needed_for(id) {
                    unattended.push((environment, id));
                } else if self.others.may_owe_an_end(id) {
                    owed.push((environment, id));
                }
            }
        }
        self.others.forget_all_but(&live);
        stream::iter(owed).for_each_concurrent(TAKEN_UP_AT_ONCE, async |run| self.tell_again(run).await).await;
        if unattended.is_empty() {
            return Ok(());
        }
        if timeout(HEARS_WITHIN, self.hear_all()).await.is_err() {
            self.others.begin_anew();
            return Ok(());
        }
        let left = unattended.into_iter().filter(|(_, id)| self.others.are_leaving(*id));
        let take_up = async |(environment, id): (EnvironmentName, RunId)| {
            if let Err(error) = self.take_up(&environment, id).await {
                tracing::warn!(code = error.code(), run = %id, "a run could not be taken over yet: {error}");
            }
        };
        stream::iter(left).for_each_concurrent(TAKEN_UP_AT_ONCE, take_up).await;
        Ok(())
    }

    /// Tells a run of the ends that it was not told of. What fails is tried again by the next sweep.
    async fn tell_again(&self, (environment, id): (EnvironmentName, RunId)) {
        if let Err(error) = self.tell_of_ends(&environment, id).await {
            tracing::warn!(code = error.code(), run = %id, "a run could not be told of an end yet: {error}");
        }
    }
}
