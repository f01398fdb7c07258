//! What a worker reports becomes one journal record.

use std::{sync::Arc, time::Duration};

use super::{
    Ack, Frame, FrameEnd, FunctionError, JobStep, Json, Made, Outcome, Outgoing, Retryable, Runtime,
    bodies::{Bodies, Part, check_size, error_json},
    frames::CancelReason,
    jobs::{known, made_by},
    journal::{Cell, is_passing},
    pool::Session,
};
use crate::Error;
use claviger_core::{
    Redactor,
    run::{Again, Body, Command, Ending, Failure, Open, Report, Reported, Run, RunId, StepKind, StepState},
};

/// How long to wait before a frame that the store could not take is tried again.
const RETRY_STORE: Duration = Duration::from_millis(250);

impl Runtime {
    /// Stores a frame and answers it. While the store cannot take it (a full disk), it is tried again
    /// as long as the worker is there: what the worker did is not lost.
    pub(crate) async fn report(&self, session: Arc<Session>, frame: Frame) {
        let (run, fence) = (frame.run, frame.fence);
        let Some(cell) = self.journal.known_cell(run) else {
            let _ = session.outbox.send(Outgoing::Cancel { run, fence, reason: CancelReason::Lost });
            return;
        };
        let mut guard = cell.lock().await;
        let answer = loop {
            match self.store_report(&mut guard, &session, &frame).await {
                Err(error) if is_passing(&error) && !session.outbox.is_closed() && !self.shared.stop.is_cancelled() => {
                    tracing::warn!(code = error.code(), %run, "a worker's report could not be stored yet: {error}");
                    tokio::time::sleep(RETRY_STORE).await;
                }
                answer => break answer,
            }
        };
        let outgoing = match answer {
            Ok(ack) => Outgoing::Ack(ack),
            Err(Error::Lost | Error::RunEnded) => Outgoing::Cancel { run, fence, reason: CancelReason::Lost },
            Err(error) => Outgoing::Refused { run, error },
        };
        let _ = session.outbox.send(outgoing);
        drop(guard);
        self.journal.let_go(run, cell);
    }

    async fn store_report(&self, cell: &mut Cell, session: &Session, frame: &Frame) -> Result<Ack, Error> {
        let held = cell.job.as_ref().filter(|job| job.fence == frame.fence && job.slot.session.id == session.id);
        let redactor = held.ok_or(Error::Lost)?.redactor.clone();
        if cell.run.is_none() {
            // The last try to store ended without an answer: the ledger knows.
            let environment = held_environment(cell)?;
            self.journal.fill(cell, &environment, frame.run).await?;
        }
        let run = cell.run.as_ref().ok_or(Error::Lost)?;
        let sealing = Sealing { runtime: self, run, redactor: &redactor };
        let mut outcomes = Vec::with_capacity(frame.outcomes.len());
        for outcome in &frame.outcomes {
            outcomes.push(sealing.outcome(outcome).await?);
        }
        let ending = frame.ending.as_ref().map(|ending| sealing.ending(ending)).transpose()?;
        let ended = ending.is_some();
        let known_before: Vec<bool> = frame.outcomes.iter().map(|o| run.steps.contains_key(&o.id)).collect();
        let report = Report { fence: frame.fence, outcomes, ending };
        if let Some(applied) = self.journal.transition(cell, Command::Report(report), None).await? {
            if ended {
                self.drop_job(cell);
            }
            self.perform(&applied, cell);
        }
        let run = cell.run.as_ref().ok_or(Error::Bug { what: "a run without state" })?;
        let steps = self.unknown_to_worker(run, frame, &known_before)?;
        Ok(Ack { run: frame.run, fence: frame.fence, ended, steps })
    }

    /// The kept outcomes that the worker does not know: of sent events, and of steps that had one already.
    fn unknown_to_worker(&self, run: &Run, frame: &Frame, known_before: &[bool]) -> Result<Vec<JobStep>, Error> {
        let bodies = Bodies::new(&self.shared.keyring, &run.environment, run.id);
        let mut steps = Vec::new();
        for (outcome, was_known) in frame.outcomes.iter().zip(known_before) {
            if !was_known && !matches!(outcome.made, Made::Send { .. }) {
                continue;
            }
            if let Some(step) = run.steps.get(&outcome.id) {
                steps.push(JobStep { id: outcome.id.clone(), known: known(&bodies, &outcome.id, &step.state)? });
            }
        }
        Ok(steps)
    }
}

fn held_environment(cell: &Cell) -> Result<claviger_core::EnvironmentName, Error> {
    cell.job.as_ref().map(|job| job.slot.environment().clone()).ok_or(Error::Lost)
}

/// Turns a worker's words into sealed bodies.
struct Sealing<'a> {
    runtime: &'a Runtime,
    run: &'a Run,
    redactor: &'a Redactor,
}

impl Sealing<'_> {
    fn bodies(&self) -> Bodies<'_> {
        Bodies::new(&self.runtime.shared.keyring, &self.run.environment, self.run.id)
    }

    async fn outcome(&self, outcome: &Outcome) -> Result<Reported, Error> {
        let part = Part::Step(&outcome.id);
        let (kind, state) = match &outcome.made {
            Made::Returned(result) => {
                check_size("a step's result", result.as_ref())?;
                (StepKind::Run, StepState::Finished(self.seal(part, result.as_ref())?))
            }
            Made::Threw(error) => (StepKind::Run, StepState::Failed(self.error(part, error)?)),
            Made::Send { event, data } => (StepKind::SendEvent, self.send(outcome, event, data.as_ref()).await?),
            Made::Sleep { until } => (StepKind::Sleep, StepState::Open(Open::Sleep { until: *until })),
            Made::Wait { .. } => (StepKind::WaitForEvent, self.wait(&outcome.made).await?),
            Made::Invoke { function, data, timeout } => {
                check_size("the data of an invocation", data.as_ref())?;
                let child = RunId(made_by(self.run.id, &outcome.id));
                let bodies = Bodies::new(&self.runtime.shared.keyring, &self.run.environment, child);
                let text = data.as_ref().map_or("null", |json| json.get());
                let input = Some(bodies.seal(Part::Input, text, self.redactor)?);
                let until = timeout.map(|timeout| self.runtime.shared.now().plus(timeout));
                let open = Open::Invoke { function: function.clone(), child, input, until };
                (StepKind::Invoke, StepState::Open(open))
            }
        };
        Ok(Reported { id: outcome.id.clone(), kind, state })
    }

    async fn send(
        &self,
        outcome: &Outcome,
        event: &claviger_core::EventName,
        data: Option<&Json>,
    ) -> Result<StepState, Error> {
        check_size("an event's data", data)?;
        if let Some(known) = self.run.steps.get(&outcome.id) {
            return Ok(known.state.clone());
        }
        let id = uuid::Uuid::from_bytes(made_by(self.run.id, &outcome.id)).simple().to_string();
        let text = data.map_or("null", |json| json.get());
        let events = &self.runtime.events;
        let emitted = events.emit_from_run(&self.run.environment, &id, event, text.as_bytes().to_vec()).await?;
        let result = format!(r#"{{"id":"{id}","revision":{}}}"#, emitted.revision);
        let body = self.bodies().seal(Part::Step(&outcome.id), &result, self.redactor)?;
        Ok(StepState::Finished(Some(body)))
    }

    async fn wait(&self, made: &Made) -> Result<StepState, Error> {
        let Made::Wait { pattern, condition, timeout } = made else {
            return Err(Error::Bug { what: "not a wait" });
        };
        let shared = &self.runtime.shared;
        let after = shared.ledger.bounds(claviger_store::Stream::Events).await?.last;
        let condition = match condition {
            Some(condition) => {
                let text = serde_json::to_string(condition).map_err(|_| Error::Bug { what: "a condition" })?;
                Some(Arc::from(text))
            }
            None => None,
        };
        let until = timeout.map(|timeout| shared.now().plus(timeout));
        Ok(StepState::Open(Open::Wait { pattern: pattern.clone(), condition, until, after }))
    }

    fn ending(&self, ending: &FrameEnd) -> Result<Ending, Error> {
        Ok(match ending {
            FrameEnd::Suspend => Ending::Suspend,
            FrameEnd::Complete(result) => {
                check_size("a run's result", result.as_ref())?;
                Ending::Complete(self.seal(Part::Output, result.as_ref())?)
            }
            FrameEnd::Fail { error, retryable } => Ending::Fail {
                failure: self.error(Part::Error(self.run.attempt()), error)?,
                again: match retryable {
                    Retryable::Yes => Again::Backoff,
                    Retryable::After(pause) => Again::After(*pause),
                    Retryable::No => Again::Never,
                },
            },
        })
    }

    fn seal(&self, part: Part<'_>, json: Option<&Json>) -> Result<Option<Body>, Error> {
        json.map(|json| self.bodies().seal(part, json.get(), self.redactor)).transpose()
    }

    fn error(&self, part: Part<'_>, error: &FunctionError) -> Result<Failure, Error> {
        Ok(Failure::Error(self.bodies().seal(part, &error_json(error), self.redactor)?))
    }
}
