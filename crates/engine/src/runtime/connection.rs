//! A worker's connection.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use claviger_core::{
    Caller, EnvironmentName, FunctionId, Permission, Revision,
    run::{Command, Release, RunId},
};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    time::Instant,
};

use super::{
    Condition, Frame, FunctionSpec, JobReport, Lookup, Outgoing, Registration, Runtime, journal::Cell, limits,
    pool::Session, registry::Registered,
};
use crate::Error;

static NEXT_SESSION: AtomicU64 = AtomicU64::new(1);

/// A connected worker. Dropping it gives its jobs back.
pub struct Connection {
    runtime: Runtime,
    session: Arc<Session>,
    /// Frames that may be unanswered at the same time. The protocol permits one per job; as many again may still be on
    /// their way for jobs that were taken back.
    room: Arc<Semaphore>,
    /// The same for look-ups.
    lookup_room: Arc<Semaphore>,
}

impl Runtime {
    /// Registers a worker's functions and connects it. What is to be sent to the worker arrives at the receiver.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller may not serve a function, not for these spaces, or receive a declared secret;
    /// [`Error::Invalid`] when a limit or rule is broken. Nothing is registered then, unless somebody else
    /// takes a function for other spaces at the same moment: then those before it in the list are.
    pub async fn connect(
        &self,
        caller: Caller,
        registration: Registration,
    ) -> Result<(Connection, UnboundedReceiver<Outgoing>), Error> {
        check_limits(&registration)?;
        self.access.authorize(&caller, Permission::FunctionServe, &registration.environment).await?;
        for spec in &registration.functions {
            self.check_bounds(&caller, &registration, spec).await?;
        }
        for spec in &registration.functions {
            if self.registry.register(&caller, &registration.environment, spec).await? == Registered::Foreign {
                return Err(self.refuse_foreign(&caller, &registration.environment, spec).await);
            }
        }
        let id = NEXT_SESSION.fetch_add(1, Ordering::Relaxed);
        let (outbox, inbox) = unbounded_channel();
        let functions: HashMap<FunctionId, Arc<FunctionSpec>> =
            registration.functions.into_iter().map(|spec| (spec.id.clone(), Arc::new(spec))).collect();
        let holder = format!("{}/{id}", self.process).into();
        let session = Arc::new(Session::new(id, holder, caller, functions, outbox));
        let room = Arc::new(Semaphore::new(2 * registration.credit as usize));
        let lookup_room = Arc::new(Semaphore::new(2 * registration.credit as usize * limits::MAX_LOOKUPS));
        for (topic, news) in self.pool.join(session.clone(), registration.environment, registration.credit) {
            self.listen(topic, news);
        }
        Ok((Connection { runtime: self.clone(), session, room, lookup_room }, inbox))
    }

    async fn check_bounds(
        &self,
        caller: &Caller,
        registration: &Registration,
        spec: &FunctionSpec,
    ) -> Result<(), Error> {
        let environment = &registration.environment;
        if !caller.may_serve(&spec.id) {
            let bound = format!("function `{}` is outside the bounds of this API key", spec.id);
            let permission = Permission::FunctionServe;
            return Err(self.access.refuse(caller, permission, Some(environment), Some(bound)).await);
        }
        if !spec.is_within_reach_of(caller) {
            let bound = format!("function `{}` is declared for more than the spaces of this API key", spec.id);
            let permission = Permission::FunctionServe;
            return Err(self.access.refuse(caller, permission, Some(environment), Some(bound)).await);
        }
        // Looked at before anything is registered, and again with each.
        if self.registry.get(environment, &spec.id).is_some_and(|present| !present.spec.is_within_reach_of(caller)) {
            return Err(self.refuse_foreign(caller, environment, spec).await);
        }
        for declared in &spec.secrets {
            if !caller.may_receive(&declared.name) {
                let bound = format!("secret `{}` is outside the bounds of this API key", declared.name);
                let permission = Permission::SecretReceive;
                return Err(self.access.refuse(caller, permission, Some(environment), Some(bound)).await);
            }
        }
        Ok(())
    }

    /// Refuses to let a caller that is narrowed to spaces take a function away from others.
    async fn refuse_foreign(&self, caller: &Caller, environment: &EnvironmentName, spec: &FunctionSpec) -> Error {
        let bound = format!("function `{}` is there already, for more than the spaces of this API key", spec.id);
        self.access.refuse(caller, Permission::FunctionServe, Some(environment), Some(bound)).await
    }
}

fn check_limits(registration: &Registration) -> Result<(), Error> {
    if !(1..=limits::MAX_CREDIT).contains(&registration.credit) {
        return Err(Error::invalid(format!("a worker's credit is 1 to {}", limits::MAX_CREDIT)));
    }
    if registration.functions.is_empty() || registration.functions.len() > limits::MAX_FUNCTIONS {
        return Err(Error::invalid(format!("a worker has 1 to {} functions", limits::MAX_FUNCTIONS)));
    }
    let mut ids = std::collections::HashSet::new();
    for spec in &registration.functions {
        if !ids.insert(&spec.id) {
            return Err(Error::invalid(format!("function `{}` is declared twice", spec.id)));
        }
        check_spec(spec)?;
    }
    Ok(())
}

fn check_spec(spec: &FunctionSpec) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::invalid(format!("function `{}`: {what}", spec.id)));
    if spec.secrets.len() > limits::MAX_SECRETS {
        return refuse(format!("at most {} secrets can be declared", limits::MAX_SECRETS));
    }
    if spec.triggers.len() > limits::MAX_TRIGGERS {
        return refuse(format!("at most {} triggers can be declared", limits::MAX_TRIGGERS));
    }
    if spec.triggers.iter().any(|trigger| trigger.conditions.len() > limits::MAX_CONDITIONS) {
        return refuse(format!("a trigger has at most {} conditions", limits::MAX_CONDITIONS));
    }
    if !spec.triggers.iter().flat_map(|trigger| &trigger.conditions).all(Condition::is_possible) {
        return refuse("the path of a `match` is `data`, or begins with `data.`".to_owned());
    }
    // None at all would be within everybody's reach.
    if spec.spaces.as_ref().is_some_and(|spaces| !(1..=limits::MAX_SPACES).contains(&spaces.len())) {
        return refuse(format!("`spaces`, if it is there, has 1 to {} of them", limits::MAX_SPACES));
    }
    if !(1..=100).contains(&spec.retry.max_attempts) {
        return refuse("`maxAttempts` is 1 to 100".to_owned());
    }
    if !(1.0..=10.0).contains(&spec.retry.backoff_factor) {
        return refuse("`backoffFactor` is 1 to 10".to_owned());
    }
    if spec.concurrency == Some(0) {
        return refuse("a concurrency limit is at least 1".to_owned());
    }
    Ok(())
}

impl Connection {
    /// The session's name, for people.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session.holder
    }

    /// Takes a worker's frame. The answer arrives at the receiver.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when the worker does not wait for answers: it breaks the protocol.
    pub fn submit(&self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::Report(report) => self.report(report),
            Frame::Lookup(lookup) => self.look_up(lookup),
        }
    }

    fn look_up(&self, lookup: Lookup) -> Result<(), Error> {
        let room = self.lookup_room.clone().try_acquire_owned().map_err(|_| Error::TooManyRequests)?;
        let job = (lookup.run, lookup.fence);
        if self.session.questions.ask(lookup, room)? {
            let (runtime, session) = (self.runtime.clone(), self.session.clone());
            self.runtime.shared.tasks.spawn(async move { runtime.answer_lookups(session, job).await });
        }
        Ok(())
    }

    fn report(&self, report: JobReport) -> Result<(), Error> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| Error::TooManyRequests)?;
        let (runtime, session) = (self.runtime.clone(), self.session.clone());
        self.runtime.shared.tasks.spawn(async move {
            runtime.report(session, report).await;
            drop(room);
        });
        Ok(())
    }

    /// Renews the leases of the jobs it holds, where other servers share the store.
    pub fn heartbeat(&self) {
        if !self.runtime.shared.ledger.is_shared() {
            return;
        }
        let (runtime, session) = (self.runtime.clone(), self.session.clone());
        self.runtime.shared.tasks.spawn(async move { runtime.extend(&session).await });
    }

    /// Sends it no more jobs.
    pub fn drain(&self) {
        self.runtime.pool.drain(&self.session);
    }

    /// Jobs it holds.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.session.jobs()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.runtime.pool.leave(&self.session);
        let (runtime, session) = (self.runtime.clone(), self.session.clone());
        self.runtime.shared.tasks.spawn(async move { runtime.lose(&session).await });
    }
}

impl Runtime {
    /// Gives back the jobs of a connection that ended.
    async fn lose(&self, session: &Session) {
        let reason = match self.shared.stop.is_cancelled() {
            true => Release::Withheld,
            false => Release::Lost,
        };
        let release = |run| async move {
            let Some(cell) = self.journal.known_cell(run) else { return };
            let mut cell = cell.lock().await;
            if let Some(fence) = fence_of(&cell, session)
                && let Err(error) = self.give_back(&mut cell, fence, reason).await
            {
                tracing::warn!(code = error.code(), %run, "a job could not be given back yet: {error}");
            }
        };
        // At once, so that one commit serves many.
        futures_util::future::join_all(session.end().into_iter().map(release)).await;
    }

    async fn extend(&self, session: &Session) {
        futures_util::future::join_all(session.held().into_iter().map(|run| self.extend_one(session, run))).await;
    }

    async fn extend_one(&self, session: &Session, run: RunId) {
        let Some(cell) = self.journal.known_cell(run) else { return };
        let mut cell = cell.lock().await;
        let Some(fence) = fence_of(&cell, session) else { return };
        // Part of the lease must be over: short jobs never cost a record.
        let renewed_at = cell.job.as_ref().map(|job| job.renewed_at);
        if renewed_at.is_some_and(|at| at.elapsed() < limits::RENEW_AFTER) {
            return;
        }
        // Another server may have revoked its key: then the claim lapses, or is given up when the connection ends.
        if let Err(error) = self.access.confirm(&session.caller).await {
            tracing::warn!(code = error.code(), %run, "a lease is not renewed: {error}");
            return;
        }
        let (now, lease_until) = (Instant::now(), self.shared.now().plus(limits::LEASE));
        match self.change(&mut cell, Command::Extend { fence, lease_until }).await {
            Ok(()) => cell.job.iter_mut().for_each(|job| job.renewed_at = now),
            Err(Error::Lost | Error::RunEnded | Error::RunNotFound) => self.settle(&mut cell),
            Err(error) => tracing::warn!(code = error.code(), %run, "a lease could not be renewed: {error}"),
        }
    }
}

/// The claim of the job that the session holds of this run, if it does.
fn fence_of(cell: &Cell, session: &Session) -> Option<Revision> {
    cell.job.as_ref().filter(|job| job.slot.session.id == session.id).map(|job| job.fence)
}
