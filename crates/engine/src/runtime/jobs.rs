//! Starting runs, and handing them to workers.

use std::{sync::Arc, time::Duration};

use claviger_core::{
    EventName, FunctionId, Redactor, Revision, Scope, Timestamp,
    run::{Cause, Command, End, Entry, NewClaim, Phase, Release, Run, RunId, StepId},
};
use claviger_crypto::derive_id;
use claviger_store::Append;

use super::{
    Function, Outgoing, Runtime,
    bodies::{Bodies, Part},
    journal::Cell,
    limits,
    outgoing::CancelReason,
    pool::{Slot, Topic},
    timers::Look,
};
use crate::{
    Error,
    vault::{Prepared, Request, Vault},
};

/// The pause before a run is offered again that no free worker may have: as long as it has waited, within these. Workers of
/// this process that become free hear of it at once.
const UNSUITED: Duration = Duration::from_secs(2);
const UNSUITED_AT_MOST: Duration = Duration::from_secs(60);
/// The longest such pause where other servers, which may have workers for it, hear only of offers.
const UNSUITED_AT_MOST_SHARED: Duration = Duration::from_secs(10);

/// What starts a run.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) id: RunId,
    /// Where it happened: the run works there too.
    pub(crate) scope: Scope,
    pub(crate) function: Arc<Function>,
    pub(crate) event_id: Arc<str>,
    pub(crate) event_name: EventName,
    pub(crate) data: Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) parent: Option<(RunId, StepId)>,
}

/// The id of the run that an event of a scope starts of a function.
pub(crate) fn run_of(scope: &Scope, function: &FunctionId, event_id: &str) -> RunId {
    let (environment, function, event) =
        (scope.environment.as_str().as_bytes(), function.as_str().as_bytes(), event_id.as_bytes());
    RunId(match &scope.space {
        None => derive_id(&[b"run", environment, function, event]),
        Some(space) => derive_id(&[b"run", environment, function, event, space.as_str().as_bytes()]),
    })
}

/// The id of what a step makes: a run or an event.
pub(crate) fn made_by(run: RunId, step: &StepId) -> [u8; 16] {
    derive_id(&[b"step", &run.0, step.as_str().as_bytes()])
}

/// A claim about to be made, with the secrets that go with it.
pub(crate) struct Offer {
    pub(crate) slot: Slot,
    pub(crate) prepared: Prepared,
    /// The record of the delivery; none when there is nothing to deliver.
    audit: Vec<Append>,
}

impl Offer {
    fn new(vault: &Vault, slot: Slot, prepared: Prepared) -> Offer {
        let audit = match prepared.delivered().is_empty() {
            true => Vec::new(),
            false => vec![vault.delivery_audit(&prepared)],
        };
        Offer { slot, prepared, audit }
    }
}

impl Runtime {
    /// Creates the run, once, and hands it to a worker at once if one is free.
    pub(crate) async fn start(&self, start: Start) -> Result<(), Error> {
        let topic = Topic { environment: start.scope.environment.clone(), function: start.function.spec.id.clone() };
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
        let limit = start.function.spec.concurrency;
        let offer = match self.pool.acquire_if_first(topic, limit, start.scope.space.as_ref()) {
            // Whatever hinders this worker, the run exists; it is offered again.
            Some(slot) => self.offer(slot, &start.scope, start.id).await.unwrap_or_else(|error| {
                tracing::warn!(code = error.code(), run = %start.id, "a run could not be handed over: {error}");
                None
            }),
            None => None,
        };
        let (id, data) = (start.id, start.data.clone());
        let entry = self.created(start, offer.as_ref())?;
        let follow = offer.as_ref().map(|offer| offer.audit.clone()).unwrap_or_default();
        let Some(applied) = self.journal.create(cell, id, entry, follow).await? else { return Ok(false) };
        match offer {
            Some(offer) => self.hand_over(cell, offer, applied, Some(data)).await?,
            None => self.perform(&applied, cell),
        }
        Ok(true)
    }

    fn created(&self, start: Start, offer: Option<&Offer>) -> Result<Entry, Error> {
        let bodies = Bodies::new(&self.shared.keyring, &start.scope.environment, start.id);
        let input = bodies.seal(Part::Input, &start.data, &Redactor::default())?;
        let Start { scope: Scope { environment, space }, function, event_id, event_name, at, parent, .. } = start;
        Ok(Entry::Created {
            environment,
            function: function.spec.id.clone(),
            cause: Cause { event_id, event_name, space, at, input, parent },
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
    async fn offer(&self, slot: Slot, scope: &Scope, run: RunId) -> Result<Option<Offer>, Error> {
        let prepared = self.prepare(&slot, scope, run).await?;
        if !prepared.missing_required().is_empty() {
            return Ok(None);
        }
        Ok(Some(Offer::new(&self.vault, slot, prepared)))
    }

    async fn prepare(&self, slot: &Slot, scope: &Scope, run: RunId) -> Result<Prepared, Error> {
        let request = Request { scope, function: slot.function(), run, declared: &slot.spec.secrets };
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
        let Some(scope) = cell.run.as_ref().filter(|run| run.is_ready(now) && run.claim.is_none()).map(Run::scope)
        else {
            // Whoever offered it may have a clock that is ahead of ours.
            self.look_when_due(cell);
            return Ok(());
        };
        let Some(slot) = self.pool.exchange(slot, self.limit_of(topic), scope.space.as_ref()) else {
            self.set_aside(cell, topic);
            return Ok(());
        };
        let prepared = self.prepare(&slot, &scope, id).await?;
        if !prepared.missing_required().is_empty() {
            let missing = prepared.missing_required().to_vec();
            return self.change(cell, Command::Block { missing }).await;
        }
        let offer = Offer::new(&self.vault, slot, prepared);
        let command = Command::Claim(self.claim(&offer));
        match self.transition(cell, command, offer.audit.clone()).await {
            Ok(Some(applied)) => self.hand_over(cell, offer, applied, None).await,
            Ok(None) => Ok(()),
            Err(Error::Lost | Error::RunEnded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Has a run wait for which the workers that are free are not: until others are, or for some time.
    fn set_aside(&self, cell: &Cell, topic: &Topic) {
        let Some(run) = &cell.run else { return };
        let at_most = if self.shared.ledger.is_shared() { UNSUITED_AT_MOST_SHARED } else { UNSUITED_AT_MOST };
        let now = self.shared.now();
        let ready_at = run.due_at().or(run.started_at).unwrap_or(run.created_at);
        let pause = now.since(ready_at).clamp(UNSUITED, at_most);
        self.timers.look_at(now.plus(pause), topic.environment.clone(), run.id, Look::Due);
        self.pool.set_aside(topic, run.cause.space.as_ref(), run.id);
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
