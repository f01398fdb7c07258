//! Jobs on their way to workers.

use std::{collections::BTreeMap, sync::Arc};

use claviger_core::{
    EnvironmentName, Redactor, Revision,
    run::{Cause, Delivery, Failure, Release, Run, StepId, StepState},
    secret::SecretVersion,
};
use tokio::time::Instant;

use super::{
    FunctionError, Job, JobEvent, JobSecret, JobStep, Json, Known, Outgoing, Runtime,
    bodies::{Bodies, Part},
    jobs::Offer,
    journal::{Applied, Cell, HeldJob},
    lookups::LookedUpValues,
};
use crate::{Error, vault::Delivered};

impl Runtime {
    /// Sends the job, now that the claim and the audit of the delivery are durable. If the audit is not, nothing leaves.
    pub(crate) async fn hand_over(
        &self,
        cell: &mut Cell,
        offer: Offer,
        applied: Applied,
        data: Option<Arc<str>>,
    ) -> Result<(), Error> {
        let fence = applied.revision;
        let session = offer.slot.session.clone();
        let audited = applied.followed.into_iter().next();
        let delivered = match audited {
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
                let deadline = offer.slot.spec.timeout.map(|timeout| {
                    let job = (run.environment.clone(), run.id, fence);
                    self.end_job_after(timeout, job)
                });
                let (slot, id, renewed_at) = (offer.slot, run.id, Instant::now());
                let looked_up = LookedUpValues::none(self.lookers.interest((id, fence), session.outbox.clone()));
                cell.job = Some(HeldJob {
                    run: id,
                    fence,
                    renewed_at,
                    slot,
                    redactor,
                    _live: live,
                    looked_up,
                    _deadline: deadline,
                });
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
        let Cause { event_id, event_name, space, at, .. } = run.cause.clone();
        let event = JobEvent { id: event_id, name: event_name, space, data, at };
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
        let mut own = Vec::with_capacity(2);
        if !current.is_empty() && was_all_handed_over_now(run) {
            own.push(current);
        } else {
            for (environment, secrets) in handed_over(run) {
                own.push(self.vault.reopen(&environment, &secrets).await);
            }
        }
        // Events, inputs and results carry values of other runs into this one.
        own.push(self.shared.live.redactor());
        Redactor::of_all(&own)
    }
}

/// What was ever handed over to a run, by environment.
fn handed_over(run: &Run) -> BTreeMap<EnvironmentName, Vec<SecretVersion>> {
    let mut versions: BTreeMap<EnvironmentName, Vec<SecretVersion>> = BTreeMap::new();
    for Delivery { environment, secrets, .. } in &run.deliveries {
        versions.entry(environment.clone()).or_default().extend(secrets.iter().cloned());
    }
    for secrets in versions.values_mut() {
        secrets.sort_unstable();
        secrets.dedup();
    }
    versions
}

/// Whether the last hand-over to a run had everything that those before it had.
fn was_all_handed_over_now(run: &Run) -> bool {
    let Some((now, before)) = run.deliveries.split_last() else { return false };
    before.iter().all(|delivery| {
        delivery.secrets.is_empty()
            || (delivery.environment == now.environment
                && delivery.secrets.iter().all(|secret| now.secrets.contains(secret)))
    })
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
