//! From the engine's views to wire types.

use claviger_api::{
    AuditedSecret, Cancellation, Delivery, EventRef, FunctionFailure, Instant, Run, RunStatus, Step, StepStatus,
};
use claviger_core::{
    SecretName, Timestamp,
    run::{self, StepKind},
};
use claviger_engine::runtime::{FunctionError, Json, RunDetail, RunSummary, Status, StepDetail, StepShown};
use serde_json::value::RawValue;

pub(super) fn instant(at: Timestamp) -> Instant {
    Instant(at.0)
}

pub(super) fn secret_versions(secrets: &[(SecretName, u64)]) -> Vec<AuditedSecret> {
    secrets.iter().map(|(name, version)| AuditedSecret { name: name.to_string(), version: *version }).collect()
}

/// A run as lists show it.
pub(super) fn run(known: RunSummary) -> Run {
    Run {
        id: known.id.to_string(),
        function: known.function,
        environment: known.environment.to_string(),
        status: status(known.status),
        attempt: known.attempt,
        event: EventRef { id: known.event_id, name: known.event_name },
        created_at: instant(known.created_at),
        started_at: known.started_at.map(instant),
        ended_at: known.ended_at.map(instant),
        next_attempt_at: known.due_at.map(instant),
        missing: known.missing,
        result: None,
        error: None,
        cancelled: None,
        parent: None,
        steps: None,
        deliveries: None,
    }
}

/// The same with what came of it.
pub(super) fn run_with_outcome(detail: RunDetail) -> Run {
    let is_completed = detail.info.status == Status::Completed;
    Run {
        result: or_null(detail.result, is_completed),
        error: detail.error.map(failure),
        cancelled: detail.cancelled.map(|(by, reason)| Cancellation { by, reason }),
        parent: detail.parent.map(|(run, _)| run.to_string()),
        ..run(detail.info)
    }
}

/// Everything about a run that people may see.
pub(super) fn whole_run(mut detail: RunDetail) -> Run {
    let steps = std::mem::take(&mut detail.steps).into_iter().map(step).collect();
    let deliveries = detail.deliveries.iter().map(delivery).collect();
    Run { steps: Some(steps), deliveries: Some(deliveries), ..run_with_outcome(detail) }
}

fn step(known: StepDetail) -> Step {
    let mut step = Step {
        id: known.id,
        kind: kind(known.kind).to_owned(),
        status: StepStatus::Open,
        at: instant(known.at),
        result: None,
        error: None,
        until: None,
        event: None,
        function: None,
        child: None,
    };
    match known.state {
        StepShown::Finished(result) => {
            step.status = StepStatus::Finished;
            step.result = or_null(result, true);
        }
        StepShown::Failed(error) => {
            step.status = StepStatus::Failed;
            step.error = Some(failure(error));
        }
        StepShown::Open { until, event, invoked } => {
            step.until = until.map(instant);
            step.event = event;
            (step.function, step.child) = invoked.map(|(id, run)| (id.to_string(), run.to_string())).unzip();
        }
    }
    step
}

fn delivery(known: &run::Delivery) -> Delivery {
    Delivery { at: instant(known.at), attempt: known.attempt, secrets: secret_versions(&known.secrets) }
}

/// What is there though it is `null` is written as `null`.
fn or_null(json: Option<Json>, is_there: bool) -> Option<Json> {
    json.or_else(|| is_there.then(|| RawValue::NULL.to_owned()))
}

fn failure(error: FunctionError) -> FunctionFailure {
    FunctionFailure { name: error.name, message: error.message, stack: error.stack }
}

fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Run => "run",
        StepKind::Sleep => "sleep",
        StepKind::WaitForEvent => "waitForEvent",
        StepKind::Invoke => "invoke",
        StepKind::SendEvent => "sendEvent",
    }
}

fn status(status: Status) -> RunStatus {
    match status {
        Status::Queued => RunStatus::Queued,
        Status::Running => RunStatus::Running,
        Status::Sleeping => RunStatus::Sleeping,
        Status::Waiting => RunStatus::Waiting,
        Status::Blocked => RunStatus::Blocked,
        Status::Retrying => RunStatus::Retrying,
        Status::Completed => RunStatus::Completed,
        Status::Failed => RunStatus::Failed,
        Status::Cancelled => RunStatus::Cancelled,
    }
}
