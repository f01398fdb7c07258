//! Starting runs, and handing them to workers.

use std::sync::Arc;

use claviger_core::{
    EnvironmentName, EventName, FunctionId, Redactor, Revision, Timestamp,
    run::{Cause, Command, End, Entry, Failure, NewClaim, Phase, Release, Run, RunId, StepId, StepState},
};
use claviger_crypto::derive_id;
use claviger_store::Append;
use tokio::time::Instant;

use super::{
    Function, FunctionError, FunctionSpec, Job, JobEvent, JobSecret, JobStep, Json, Known, Outgoing, Runtime,
    bodies::{Bodies, Part},
    frames::CancelReason,
    journal::{Applied, Cell, HeldJob},
    limits,
    pool::{Slot, Topic},
};
use crate::{
    Error,
    vault::{Delivered, Prepared, Request, Vault},
};

/// What starts a run.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) id: RunId,
    pub(crate) environment: EnvironmentName,
    pub(crate) function: Arc<Function>,
    pub(crate) event_id: Arc<str>,
    pub(crate) event_name: EventName,
    pub(crate) data: Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) parent: Option<(RunId, StepId)>,
}

/// The id of the run that an event starts of a function.
pub(crate) fn run_of(environment: &EnvironmentName, function: &FunctionId, event_id: &str) -> RunId {
    RunId(derive_id(&[b"run", environment.as_str().as_bytes(), function.as_str().as_bytes(), event_id.as_bytes()]))
}

/// The id of what a step makes: a run or an event.
pub(crate) fn made_by(run: RunId, step: &StepId) -> [u8; 16] {
    derive_id(&[b"step", &run.0, step.as_str().as_bytes()])
}

/// A claim about to be made, with the secrets that go with it.
struct Offer {
    slot: Slot,
    spec: Arc<FunctionSpec>,
    prepared: Prepared,
    /// The record of the delivery; none when there is nothing to deliver.
    audit: Option<Append>,
}

impl Offer {
    fn new(vault: &Vault, (slot, spec): (Slot, Arc<FunctionSpec>), prepared: Prepared) -> Offer {
        let audit = (!prepared.delivered().is_empty()).then(|| vault.delivery_audit(&prepared));
        Offer { slot, spec, prepared, audit }
    }
}

impl Runtime {
    /// Creates the run, once, and hands it to a worker at once if one is free.
    pub(crate) async fn start(&self, start: Start) -> Result<(), Error> {
        let topic = Topic { environment: start.environment.clone(), function: start.function.spec.id.clone() };
        let id = start.id;
        let cell = self.journal.cell(id);
        if self.start_in(&mut *cell.lock().await, &topic, start).await? {
            return Ok(());
        }
        // It may have been created by a try that got no answer: what its state asks for is still to be done.
        self.take_up(&topic.environment, id).await
    }

    /// False when the run exists already.
    async fn start_in(&self, cell: &mut Cell, topic: &Topic, start: Start) -> Result<bool, Error> {
        if cell.run.is_some() {
            return Ok(false);
        }
        let offer = match self.pool.acquire_if_first(topic, start.function.spec.concurrency) {
            // Whatever hinders this worker, the run exists; it is offered again.
            Some(slot) => self.offer(slot, topic, start.id).await.unwrap_or_else(|error| {
                tracing::warn!(code = error.code(), run = %start.id, "a run could not be handed over: {error}");
                None
            }),
            None => None,
        };
        let (id, data) = (start.id, start.data.clone());
        let entry = self.created(start, offer.as_ref())?;
        let follow = offer.as_ref().and_then(|offer| offer.audit.clone());
        let Some(applied) = self.journal.create(cell, id, entry, follow).await? else { return Ok(false) };
        match offer {
            Some(offer) => self.hand_over(cell, offer, applied, Some(data)).await?,
            None => self.perform(&applied, cell),
        }
        Ok(true)
    }

    fn created(&self, start: Start, offer: Option<&Offer>) -> Result<Entry, Error> {
        let bodies = Bodies::new(&self.shared.keyring, &start.environment, start.id);
        let input = bodies.seal(Part::Input, &start.data, &Redactor::default())?;
        let Start { environment, function, event_id, event_name, at, parent, .. } = start;
        Ok(Entry::Created {
            environment,
            function: function.spec.id.clone(),
            cause: Cause { event_id, event_name, at, input, parent },
            retry: function.spec.retry,
            claim: offer.map(|offer| self.claim(offer)),
        })
    }

    fn claim(&self, offer: &Offer) -> NewClaim {
        let lease_until = match self.shared.ledger.is_shared() {
            true => self.shared.now().plus(limits::LEASE),
            // Nobody else could take it: the claim stands as long as this process and the connection.
            false => Timestamp(i64::MAX),
        };
        NewClaim {
            holder: offer.slot.session.holder.clone(),
            lease_until,
            secrets: offer.prepared.delivered().to_vec(),
        }
    }

    /// Resolves the declared secrets for a slot. `None` when a required one is missing.
    async fn offer(&self, slot: Slot, topic: &Topic, run: RunId) -> Result<Option<Offer>, Error> {
        let Some(spec) = slot.spec().cloned() else { return Ok(None) };
        let prepared = self.prepare(&slot, topic, &spec, run).await?;
        if !prepared.missing_required().is_empty() {
            return Ok(None);
        }
        Ok(Some(Offer::new(&self.vault, (slot, spec), prepared)))
    }

    async fn prepare(&self, slot: &Slot, topic: &Topic, spec: &FunctionSpec, run: RunId) -> Result<Prepared, Error> {
        let request =
            Request { environment: &topic.environment, function: &topic.function, run, declared: &spec.secrets };
        self.vault.prepare(&slot.session.caller, request).await
    }

    /// Claims a run that waits for a worker.
    pub(crate) async fn claim_waiting(&self, topic: &Topic, id: RunId, slot: Slot) -> Result<(), Error> {
        let cell = self.journal.cell(id);
        self.claim_in(&mut *cell.lock().await, topic, id, slot).await
    }

    async fn claim_in(&self, cell: &mut Cell, topic: &Topic, id: RunId, slot: Slot) -> Result<(), Error> {
        if !self.journal.fill(cell, &topic.environment, id).await? {
            return Ok(());
        }
        let now = self.shared.now();
        // A claim that stands is given up before another is made, so that the loss counts.
        let is_ready = cell.run.as_ref().is_some_and(|run| run.is_ready(now) && run.claim.is_none());
        let Some(spec) = slot.spec().cloned().filter(|_| is_ready) else {
            // Whoever offered it may have a clock that is ahead of ours.
            self.look_when_due(cell);
            return Ok(());
        };
        let prepared = self.prepare(&slot, topic, &spec, id).await?;
        if !prepared.missing_required().is_empty() {
            let missing = prepared.missing_required().to_vec();
            return self.change(cell, Command::Block { missing }).await;
        }
        let offer = Offer::new(&self.vault, (slot, spec), prepared);
        let command = Command::Claim(self.claim(&offer));
        match self.transition(cell, command, offer.audit.clone()).await {
            Ok(Some(applied)) => self.hand_over(cell, offer, applied, None).await,
            Ok(None) => Ok(()),
            Err(Error::Lost | Error::RunEnded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends the job, now that the claim and the audit of the delivery are durable. If the audit is not, nothing leaves.
    async fn hand_over(
        &self,
        cell: &mut Cell,
        offer: Offer,
        applied: Applied,
        data: Option<Arc<str>>,
    ) -> Result<(), Error> {
        let fence = applied.revision;
        let session = offer.slot.session.clone();
        let delivered = match applied.followed {
            Some(Ok(audited_at)) => self.vault.open(offer.prepared, Some(audited_at)),
            Some(Err(error)) => Err(error),
            None => self.vault.open(offer.prepared, None),
        };
        let Some(run) = cell.run.clone() else { return Ok(()) };
        let job = match delivered {
            Ok(delivered) => self.job(&run, fence, delivered, data).await,
            Err(error) => Err(error),
        };
        match job {
            Ok((job, redactor, live)) => {
                let deadline = offer.spec.timeout.map(|timeout| {
                    let job = (run.environment.clone(), run.id, fence);
                    self.end_job_after(timeout, job)
                });
                let (slot, id, renewed_at) = (offer.slot, run.id, Instant::now());
                cell.job =
                    Some(HeldJob { run: id, fence, renewed_at, slot, redactor, _live: live, _deadline: deadline });
                self.follow_up(applied.before.as_ref(), &run);
                // A connection that ends later gives back what it holds.
                let is_sent = session.holds(id) && session.outbox.send(Outgoing::Job(Box::new(job))).is_ok();
                if is_sent { Ok(()) } else { self.give_back(cell, fence, Release::Lost).await }
            }
            Err(error) => {
                tracing::warn!(code = error.code(), run = %run.id, "nothing was delivered: {error}");
                self.give_back(cell, fence, Release::Undelivered).await
            }
        }
    }

    async fn job(
        &self,
        run: &Run,
        fence: Revision,
        delivered: Delivered,
        data: Option<Arc<str>>,
    ) -> Result<(Job, Redactor, crate::LiveHold), Error> {
        let bodies = Bodies::new(&self.shared.keyring, &run.environment, run.id);
        let data = match data {
            Some(data) => Json::from(
                serde_json::value::RawValue::from_string(data.to_string())
                    .map_err(|_| Error::Bug { what: "event data that is not JSON" })?,
            ),
            None => bodies.open(Part::Input, &run.cause.input)?,
        };
        let Delivered { values, redactor, hold } = delivered;
        let redactor = self.redactor_for(run, redactor).await;
        let event =
            JobEvent { id: run.cause.event_id.clone(), name: run.cause.event_name.clone(), data, at: run.cause.at };
        let job = Job {
            run: run.id,
            fence,
            environment: run.environment.clone(),
            function: run.function.clone(),
            attempt: run.attempt(),
            event,
            steps: known_steps(&bodies, run)?,
            secrets: values.into_iter().map(|(name, version, value)| JobSecret { name, version, value }).collect(),
        };
        Ok((job, redactor, hold))
    }

    /// Masks what is delivered now, what was delivered to the run before, and what is in use anywhere.
    pub(crate) async fn redactor_for(&self, run: &Run, current: Redactor) -> Redactor {
        let mut versions: Vec<_> =
            run.deliveries.iter().flat_map(|delivery| delivery.secrets.iter().cloned()).collect();
        versions.sort();
        versions.dedup();
        let present = run.deliveries.last().map_or(0, |delivery| delivery.secrets.len());
        let own = if versions.len() <= present && !current.is_empty() {
            current
        } else {
            self.vault.reopen(&run.environment, &versions).await
        };
        // Events, inputs and results carry values of other runs into this one.
        Redactor::of_all([&own, &self.shared.live.redactor()])
    }

    /// Gives a claim up. If the store cannot take that, it is tried again later.
    pub(crate) async fn give_back(&self, cell: &mut Cell, fence: Revision, reason: Release) -> Result<(), Error> {
        cell.job = None;
        match self.change(cell, Command::Release { fence, reason }).await {
            Err(Error::Lost | Error::RunEnded) => Ok(()),
            done => done,
        }
    }

    /// Tells the holder to stop, and forgets the job.
    pub(crate) fn stop_job(&self, cell: &mut Cell, reason: CancelReason) {
        if let Some(job) = cell.job.take() {
            let _ = job.slot.session.outbox.send(Outgoing::Cancel { run: job.run, fence: job.fence, reason });
        }
    }

    /// Stops a job whose claim does not stand any more.
    pub(crate) fn settle(&self, cell: &mut Cell) {
        let claim = cell.run.as_ref().and_then(|run| run.claim.as_ref()).map(|claim| claim.fence);
        if cell.job.as_ref().is_some_and(|job| Some(job.fence) != claim) {
            let is_cancelled =
                cell.run.as_ref().is_some_and(|run| matches!(run.phase, Phase::Ended(End::Cancelled { .. })));
            self.stop_job(cell, if is_cancelled { CancelReason::Cancelled } else { CancelReason::Lost });
        }
    }
}

fn known_steps(bodies: &Bodies<'_>, run: &Run) -> Result<Vec<JobStep>, Error> {
    let mut steps: Vec<_> = run.steps.iter().collect();
    steps.sort_by_key(|(_, step)| step.order);
    steps.into_iter().map(|(id, step)| Ok(JobStep { id: id.clone(), known: known(bodies, id, &step.state)? })).collect()
}

/// How a step stands, opened for a worker.
pub(crate) fn known(bodies: &Bodies<'_>, id: &StepId, state: &StepState) -> Result<Known, Error> {
    use claviger_core::run::Open;
    Ok(match state {
        StepState::Finished(None) => Known::Result(None),
        StepState::Finished(Some(body)) => Known::Result(Some(bodies.open(Part::Step(id), body)?)),
        StepState::Failed(Failure::Error(body)) => {
            let json = bodies.open(Part::Step(id), body)?;
            Known::Error(serde_json::from_str(json.get()).unwrap_or_default())
        }
        StepState::Failed(failure) => Known::Error(plain_error(failure)),
        StepState::Open(Open::Sleep { .. }) => Known::Open("sleep"),
        StepState::Open(Open::Wait { .. }) => Known::Open("waitForEvent"),
        StepState::Open(Open::Invoke { .. }) => Known::Open("invoke"),
    })
}

/// The words for a failure that is not a function's own.
pub(crate) fn plain_error(failure: &Failure) -> FunctionError {
    let (name, message) = match failure {
        Failure::Error(_) => ("Error", "the function failed"),
        Failure::TimedOut => ("TimedOut", "it took too long"),
        Failure::Lost => ("WorkerLost", "too many workers in a row were lost while they executed it"),
        Failure::Cancelled => ("Cancelled", "the invoked run was cancelled"),
        Failure::NoFunction => ("FunctionNotFound", "there is no such function in this environment"),
    };
    FunctionError { name: name.to_owned(), message: message.to_owned(), stack: None }
}
