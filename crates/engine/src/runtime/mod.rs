//! The runtime: functions, workers, runs.
//!
//! A run is a journal; the rules are `claviger_core::run`. This module performs what they ask for:
//! it follows events (`dispatch`), starts runs and hands them to workers (`jobs`, `pool`), stores what workers report
//! (`report`), follows up on new states (`follow`), and keeps a list (`fold`).

mod beginnings;
mod blocked;
mod bodies;
mod condition;
mod connection;
mod deadline;
mod dispatch;
mod ends;
mod fold;
mod follow;
mod frames;
mod hand_over;
mod invoke;
mod jobs;
mod journal;
mod limits;
mod lookers;
mod lookups;
mod others;
mod outgoing;
mod pool;
mod pump;
mod registry;
mod report;
mod spec;
mod timers;
mod views;
mod waits;

use std::{sync::Arc, time::Duration};

use claviger_core::{EnvironmentName, Revision, run::RunId};
use claviger_store::Stream;
use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, broadcast};

pub(crate) use beginnings::Beginnings;
pub use condition::Condition;
pub use connection::Connection;
pub use frames::{
    Frame, FrameEnd, FunctionError, JobReport, Json, Lookup, LookupId, LookupSpace, Made, Outcome, Retryable,
};
pub use limits::{HEARTBEAT_EVERY, LEASE, MAX_BODY_BYTES, MAX_LOOKUPS};
pub use outgoing::{Ack, CancelReason, Job, JobEvent, JobSecret, JobStep, Known, LookedUp, Outgoing};
pub use registry::Function;
pub use spec::{DeclaredSecret, FunctionSpec, Registration, Trigger};
pub use views::{EventRuns, RunDetail, RunFilter, RunSummary, ServedFunction, StepDetail, StepShown};

pub use crate::record::summary::Status;
use crate::{
    Error,
    access::Access,
    events::Events,
    shared::Shared,
    vault::{ChangedSecret, Vault},
};

/// How often ended runs are looked through for those that are no longer kept.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Unfinished runs taken up at the same time: one commit serves many.
const TAKEN_UP_AT_ONCE: usize = 64;
/// Alarms that ring at the same time.
const RUNG_AT_ONCE: usize = 256;
/// How often workers that were told to finish are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Functions, workers and runs. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    shared: Shared,
    access: Arc<Access>,
    vault: Arc<Vault>,
    events: Events,
    registry: registry::Registry,
    journal: journal::Journal,
    index: fold::RunIndex,
    pool: pool::Pool,
    timers: timers::Timers,
    waits: waits::Waits,
    blocked: blocked::Blocked,
    lookers: lookers::Lookers,
    others: others::Others,
    progress: dispatch::Progress,
    ends: ends::Ends,
    /// Names this process in claims.
    process: Arc<str>,
    /// How far changes of spaces had come when it opened.
    opened_at: Revision,
}

impl Runtime {
    /// Reads what is declared, catches the index up, and starts following events.
    pub(crate) async fn open(
        shared: Shared,
        access: Arc<Access>,
        vault: Arc<Vault>,
        events: Events,
    ) -> Result<Runtime, Error> {
        let runtime = Runtime {
            registry: registry::Registry::open(shared.clone()).await?,
            journal: journal::Journal::new(shared.clone()),
            index: fold::RunIndex::open(shared.clone()).await?,
            pool: pool::Pool::default(),
            timers: timers::Timers::default(),
            waits: waits::Waits::default(),
            blocked: blocked::Blocked::default(),
            lookers: lookers::Lookers::default(),
            others: others::Others::default(),
            progress: dispatch::Progress::resume(&shared).await?,
            ends: ends::Ends::default(),
            process: uuid::Uuid::now_v7().simple().to_string().into(),
            opened_at: shared.ledger.bounds(Stream::Access).await?.last,
            shared,
            access,
            vault,
            events,
        };
        // Before anything else, so that nothing is missed of what others do meanwhile.
        runtime.start_listening().await?;
        let tasks = &runtime.shared.tasks;
        tasks.spawn(runtime.clone().pump());
        tasks.spawn(runtime.clone().tick());
        // Listens from here on, before any run can wait for a secret.
        tasks.spawn(runtime.clone().follow_secrets(runtime.vault.changed()));
        tasks.spawn(runtime.clone().seek_waits());
        tasks.spawn(runtime.clone().resume());
        tasks.spawn(runtime.clone().save_progress());
        tasks.spawn(runtime.clone().purge());
        Ok(runtime)
    }

    /// Tells workers to finish, and waits for their jobs, at most so long.
    pub(crate) async fn drain(&self, patience: Duration) {
        let sessions = self.pool.sessions();
        for session in &sessions {
            self.pool.drain(session);
            let _ = session.outbox.send(Outgoing::Drain);
        }
        let idle = async {
            while sessions.iter().any(|session| session.jobs() > 0) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(patience, idle).await;
    }

    /// Takes up every run that has not ended, then follows events from where they were dispatched.
    async fn resume(self) {
        if let Err(error) = self.resume_runs().await {
            tracing::error!(code = error.code(), "unfinished runs could not be taken up: {error}");
        }
        while !self.shared.stop.is_cancelled() {
            if let Err(error) = self.clone().dispatch().await {
                tracing::error!(code = error.code(), "events could not be followed: {error}");
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = self.shared.stop.cancelled() => {}
            }
        }
    }

    async fn resume_runs(&self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let live = self.index.live(&after, 500).await?;
            let Some((last, _, _)) = live.last() else { return Ok(()) };
            after.clone_from(last);
            let take_up = async |(_, environment, id): (String, EnvironmentName, RunId)| {
                if let Err(error) = self.take_up(&environment, id).await {
                    tracing::error!(code = error.code(), run = %id, "an unfinished run could not be taken up: {error}");
                    self.timers.look_at(self.shared.now().plus(follow::RETRY), environment, id, timers::Look::Anew);
                }
            };
            stream::iter(live).for_each_concurrent(TAKEN_UP_AT_ONCE, take_up).await;
        }
    }

    /// Rings alarms.
    async fn tick(self) {
        let permits = Arc::new(Semaphore::new(RUNG_AT_ONCE));
        loop {
            tokio::select! {
                () = self.timers.wait(self.shared.now()) => {}
                () = self.shared.stop.cancelled() => return,
            }
            for alarm in self.timers.due(self.shared.now()) {
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                let runtime = self.clone();
                self.shared.tasks.spawn(async move {
                    let rung = runtime.ring(alarm.clone()).await;
                    drop(permit);
                    if let Err(error) = rung {
                        tracing::warn!(code = error.code(), "a run could not be looked at, trying again: {error}");
                        runtime.again("look at a run", move |runtime| {
                            let alarm = alarm.clone();
                            async move { runtime.ring(alarm).await }
                        });
                    }
                });
            }
        }
    }

    async fn ring(&self, alarm: timers::Alarm) -> Result<(), Error> {
        let done = match alarm.look {
            timers::Look::Due => self.wake(&alarm.environment, alarm.run).await,
            timers::Look::Anew => self.take_up(&alarm.environment, alarm.run).await,
        };
        match done {
            // It was purged, or has moved on.
            Err(Error::RunNotFound | Error::RunEnded | Error::Lost) => Ok(()),
            done => done,
        }
    }

    /// Lets blocked runs go on when what they miss is set, and tells jobs of changes of what they looked up.
    async fn follow_secrets(self, mut changed: broadcast::Receiver<ChangedSecret>) {
        loop {
            let change = tokio::select! {
                change = changed.recv() => change,
                () = self.shared.stop.cancelled() => return,
            };
            match change {
                Ok(ChangedSecret { scope, name }) => {
                    self.lookers.tell(&scope, &name);
                    self.secret_changed(&scope, &name);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.lookers.tell_all();
                    self.again(
                        "look at blocked runs",
                        |runtime| async move { runtime.recheck_blocked(|_| true).await },
                    );
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Purges the journals of runs that ended long ago.
    async fn purge(self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PURGE_EVERY) => {}
                () = self.shared.stop.cancelled() => return,
            }
            if let Err(error) = self.purge_once().await {
                tracing::warn!(code = error.code(), "old runs could not be purged: {error}");
            }
        }
    }

    async fn purge_once(&self) -> Result<(), Error> {
        self.shared.ledger.trim(self.shared.now()).await?;
        for environment in self.access.known_environments() {
            loop {
                let old = self.index.outlived(&environment, self.shared.now()).await?;
                if old.is_empty() {
                    break;
                }
                for run in &old {
                    let subject = journal::subject(&environment, run.id);
                    self.shared.ledger.purge(Stream::Runs, &subject).await?;
                }
                self.index.forget(old.into_iter().map(|run| run.key).collect()).await?;
            }
        }
        Ok(())
    }
}
