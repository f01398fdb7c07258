//! The runtime: functions, workers, runs.
//!
//! A run is a journal; the rules are `claviger_core::run`. This module performs what they ask for:
//! it follows events (`dispatch`), starts runs and hands them to workers (`jobs`, `pool`), stores what workers report
//! (`report`), follows up on new states (`follow`), and keeps a list (`fold`).

mod bodies;
mod connection;
mod dispatch;
mod fold;
mod follow;
mod frames;
mod jobs;
mod journal;
mod limits;
mod pool;
mod registry;
mod report;
mod timers;
mod views;
mod waits;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

pub use connection::Connection;
pub use frames::{
    Ack, CancelReason, Condition, DeclaredSecret, Frame, FrameEnd, FunctionError, FunctionSpec, Job, JobEvent,
    JobSecret, JobStep, Json, Known, Made, Outcome, Outgoing, Registration, Retryable,
};
pub use limits::{HEARTBEAT_EVERY, LEASE, MAX_BODY_BYTES};
pub use registry::Function;
pub use views::{EventRuns, ServedFunction, RunDetail, RunFilter, RunSummary, StepDetail, StepShown};

pub use crate::record::summary::Status;
use crate::{Error, access::Access, events::Events, shared::Shared, vault::Vault};

/// How often ended runs are looked through for those that are no longer kept.
const PURGE_EVERY: Duration = Duration::from_secs(60);

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
    blocked: follow::Blocked,
    progress: dispatch::Progress,
    /// Counts runs that ended.
    ended: watch::Sender<u64>,
    /// Names this process in claims.
    process: Arc<str>,
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
            blocked: follow::Blocked::default(),
            progress: dispatch::Progress::default(),
            ended: watch::Sender::new(0),
            process: uuid::Uuid::now_v7().simple().to_string().into(),
            shared,
            access,
            vault,
            events,
        };
        let tasks = &runtime.shared.tasks;
        tasks.spawn(runtime.clone().pump());
        tasks.spawn(runtime.clone().tick());
        tasks.spawn(runtime.clone().follow_secrets());
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
        let mut ended = self.ended.subscribe();
        let idle = async {
            while sessions.iter().any(|session| !session.held.lock().is_empty()) {
                tokio::select! {
                    _ = ended.changed() => {}
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
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
            for (_, environment, id) in live {
                if let Err(error) = self.take_up(&environment, id).await {
                    tracing::error!(code = error.code(), run = %id, "an unfinished run could not be taken up: {error}");
                }
            }
        }
    }

    async fn take_up(
        &self,
        environment: &claviger_core::EnvironmentName,
        id: claviger_core::run::RunId,
    ) -> Result<(), Error> {
        let Some(run) = self.journal.load(environment, id).await? else { return Ok(()) };
        self.follow_up(None, &run);
        self.wake(environment, id).await
    }

    /// Rings alarms.
    async fn tick(self) {
        loop {
            tokio::select! {
                () = self.timers.wait(self.shared.now()) => {}
                () = self.shared.stop.cancelled() => return,
            }
            for alarm in self.timers.due(self.shared.now()) {
                self.again("look at a run", move |runtime| {
                    let alarm = alarm.clone();
                    async move { runtime.ring(alarm).await }
                });
            }
        }
    }

    async fn ring(&self, alarm: timers::Alarm) -> Result<(), Error> {
        let done = match alarm {
            timers::Alarm::Run(environment, id) => self.wake(&environment, id).await,
            timers::Alarm::Job(environment, id, fence) => self.time_out(&environment, id, fence).await,
        };
        match done {
            // It was purged, or has moved on.
            Err(Error::RunNotFound | Error::RunEnded | Error::Lost) => Ok(()),
            done => done,
        }
    }

    /// Lets blocked runs go on when what they miss is set.
    async fn follow_secrets(self) {
        let mut changed = self.vault.changed();
        loop {
            let change = tokio::select! {
                change = changed.recv() => change,
                () = self.shared.stop.cancelled() => return,
            };
            let result = match change {
                Ok((environment, name)) => self.secret_set(&environment, &name).await,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => self.recheck_blocked().await,
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            };
            if let Err(error) = result {
                tracing::warn!(code = error.code(), "blocked runs could not be looked at: {error}");
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
                    self.shared.ledger.purge(claviger_store::Stream::Runs, &subject).await?;
                }
                self.index.forget(old.into_iter().map(|run| run.key).collect()).await?;
            }
        }
        Ok(())
    }
}
