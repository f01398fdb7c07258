//! What a worker reports becomes one journal record.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Ack, FrameEnd, FunctionError, JobReport, JobStep, Json, Made, Outcome, Outgoing, Retryable, Runtime,
    bodies::{Bodies, Part, check_size},
    hand_over::known,
    jobs::made_by,
    journal::{Cell, is_passing},
    outgoing::CancelReason,
    pool::Session,
};
use crate::Error;
use claviger_core::{
    Redactor, Revision,
    run::{
        Again, Body, Command, Ending, Failure, MAX_STEPS, Open, Refused, Report, Reported, Run, RunId, StepId,
        StepKind, StepState,
    },
};

/// Most bytes of sealed bodies in one record: in base64, with everything else, they fit into the store's limit.
const MAX_BODIES_BYTES: usize = 640 * 1024;
/// How long to wait before a frame that the store could not take is tried again.
const RETRY_STORE: Duration = Duration::from_millis(250);

impl Runtime {
    /// Stores a frame and answers it. While the store cannot take it (a full disk), it is tried again
    /// as long as the worker is there: what the worker did is not lost.
    pub(crate) async fn report(&self, session: Arc<Session>, frame: JobReport) {
        let (run, fence) = (frame.run, frame.fence);
        let Some(cell) = self.journal.known_cell(run) else {
            let _ = session.outbox.send(Outgoing::Cancel { run, fence, reason: CancelReason::Lost });
            return;
        };
        let mut cell = cell.lock().await;
        let answer = loop {
            match self.store_report(&mut cell, &session, &frame).await {
                Err(error) if is_passing(&error) && !session.outbox.is_closed() && !self.shared.stop.is_cancelled() => {
                    tracing::warn!(code = error.code(), %run, "a worker's report could not be stored yet: {error}");
                    tokio::time::sleep(RETRY_STORE).await;
                }
                answer => break answer,
            }
        };
        let outgoing = match answer {
            Ok(ack) => Outgoing::Ack(ack),
            Err(Error::Lost | Error::RunEnded | Error::RunNotFound) => {
                // Somebody else went on with the run, or an earlier try was stored without an answer.
                if is_held(&cell, &session, fence) {
                    cell.job = None;
                }
                Outgoing::Cancel { run, fence, reason: CancelReason::Lost }
            }
            Err(error) => Outgoing::Refused { run, fence, error },
        };
        let _ = session.outbox.send(outgoing);
    }

    async fn store_report(&self, cell: &mut Cell, session: &Session, frame: &JobReport) -> Result<Ack, Error> {
        let held = cell.job.as_ref().filter(|_| is_held(cell, session, frame.fence)).ok_or(Error::Lost)?;
        let (redactor, environment) = (held.redactor(), held.slot.environment().clone());
        // Another server may have revoked its key. With every try, since tries may go on for long.
        self.access.confirm(&session.caller).await?;
        // The last try to store may have ended without an answer: the ledger knows.
        self.journal.fill(cell, &environment, frame.run).await?;
        let run = cell.run.as_ref().ok_or(Error::Lost)?;
        check_steps(run, frame)?;
        let sealing = Sealing { runtime: self, run, redactor: &redactor };
        let mut outcomes = Vec::with_capacity(frame.outcomes.len());
        for outcome in &frame.outcomes {
            outcomes.push(sealing.outcome(outcome).await?);
        }
        let ending = frame.ending.as_ref().map(|ending| sealing.ending(ending)).transpose()?;
        let ended = ending.is_some();
        let known_before: Vec<bool> = frame.outcomes.iter().map(|o| run.steps.contains_key(&o.id)).collect();
        for report in in_records(frame.fence, outcomes, ending) {
            let is_end = report.ending.is_some();
            if let Some(applied) = self.transition(cell, Command::Report(report), Vec::new()).await? {
                if is_end {
                    cell.job = None;
                }
                self.perform(&applied, cell);
            }
        }
        let run = cell.run.as_ref().ok_or(Error::Bug { what: "a run without state" })?;
        let steps = self.unknown_to_worker(run, frame, &known_before)?;
        Ok(Ack { run: frame.run, fence: frame.fence, ended, steps })
    }

    /// The kept outcomes that the worker does not know: of sent events, and of steps that had one already.
    fn unknown_to_worker(&self, run: &Run, frame: &JobReport, known_before: &[bool]) -> Result<Vec<JobStep>, Error> {
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

fn is_held(cell: &Cell, session: &Session, fence: Revision) -> bool {
    cell.job.as_ref().is_some_and(|job| job.fence == fence && job.slot.session.id == session.id)
}

/// Refuses a frame with too many steps before anything of it is done.
fn check_steps(run: &Run, frame: &JobReport) -> Result<(), Error> {
    let reported: BTreeSet<&StepId> = frame.outcomes.iter().map(|outcome| &outcome.id).collect();
    let new = reported.into_iter().filter(|id| !run.steps.contains_key(id)).count();
    if run.steps.len() + new > MAX_STEPS { Err(Refused::TooManySteps.into()) } else { Ok(()) }
}

/// The report of a frame, in as many parts as fit into a record each.
fn in_records(fence: Revision, outcomes: Vec<Reported>, ending: Option<Ending>) -> Vec<Report> {
    let mut reports = Vec::with_capacity(1);
    let (mut part, mut length) = (Vec::new(), 0);
    for outcome in outcomes {
        let size = state_length(&outcome.state);
        if length + size > MAX_BODIES_BYTES && !part.is_empty() {
            reports.push(Report { fence, outcomes: std::mem::take(&mut part), ending: None });
            length = 0;
        }
        length += size;
        part.push(outcome);
    }
    let size = match &ending {
        Some(Ending::Complete(result)) => result.as_ref().map_or(0, body_length),
        Some(Ending::Fail { failure, .. }) => failure_length(failure),
        Some(Ending::Suspend) | None => 0,
    };
    if length + size > MAX_BODIES_BYTES && !part.is_empty() {
        reports.push(Report { fence, outcomes: std::mem::take(&mut part), ending: None });
    }
    if !part.is_empty() || ending.is_some() {
        reports.push(Report { fence, outcomes: part, ending });
    }
    reports
}

fn state_length(state: &StepState) -> usize {
    match state {
        StepState::Finished(result) => result.as_ref().map_or(0, body_length),
        StepState::Failed(failure) => failure_length(failure),
        StepState::Open(Open::Invoke { input, .. }) => input.as_ref().map_or(0, body_length),
        StepState::Open(Open::Wait { condition, .. }) => condition.as_ref().map_or(0, body_length),
        StepState::Open(Open::Sleep { .. }) => 0,
    }
}

fn failure_length(failure: &Failure) -> usize {
    match failure {
        Failure::Error(body) => body_length(body),
        _ => 0,
    }
}

fn body_length(body: &Body) -> usize {
    body.sealed.len() + body.view.as_ref().map_or(0, |view| view.len())
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
            Made::Wait { .. } => (StepKind::WaitForEvent, self.wait(outcome).await?),
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
        let emitted = events.emit_from_run(&self.run.scope(), &id, event, text.as_bytes().to_vec()).await?;
        let result = format!(r#"{{"id":"{id}","revision":{}}}"#, emitted.revision);
        let body = self.bodies().seal(Part::Step(&outcome.id), &result, self.redactor)?;
        Ok(StepState::Finished(Some(body)))
    }

    async fn wait(&self, outcome: &Outcome) -> Result<StepState, Error> {
        let Made::Wait { pattern, condition, timeout } = &outcome.made else {
            return Err(Error::Bug { what: "not a wait" });
        };
        if condition.as_ref().is_some_and(|condition| !condition.is_possible()) {
            return Err(Error::invalid("the path of a `match` is `data`, or begins with `data.`"));
        }
        let shared = &self.runtime.shared;
        let after = self.runtime.end_of_events().await?;
        let condition = match condition {
            Some(condition) => {
                let text = serde_json::to_string(condition).map_err(|_| Error::Bug { what: "a condition" })?;
                Some(self.bodies().seal(Part::Condition(&outcome.id), &text, &Redactor::default())?)
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
        Ok(Failure::Error(self.bodies().seal_error(part, error, self.redactor)?))
    }
}
