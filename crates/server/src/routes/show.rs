//! From the engine's views to wire types.

use claviger_api::{
    AuditedSecret, Cancellation, Delivery, EventRef, FunctionFailure, Instant, Origin, Run, RunStatus, Secret, Step,
    StepStatus,
};
use claviger_core::{
    EnvironmentName, Scope, SpaceName, Timestamp,
    run::{self, StepKind},
    secret::SecretVersion,
};
use claviger_engine::{
    runtime::{FunctionError, Json, RunDetail, RunSummary, Status, StepDetail, StepShown},
    vault::{self, ListedSecret, SecretMetadata},
};
use serde_json::value::RawValue;

pub(super) fn instant(at: Timestamp) -> Instant {
    Instant(at.0)
}

pub(super) fn space(name: Option<&SpaceName>) -> Option<String> {
    name.map(ToString::to_string)
}

pub(super) fn secret_versions(secrets: &[SecretVersion]) -> Vec<AuditedSecret> {
    let shown = |known: &SecretVersion| AuditedSecret {
        name: known.name.to_string(),
        version: known.version,
        space: space(known.space.as_ref()),
    };
    secrets.iter().map(shown).collect()
}

/// A secret's own record.
pub(super) fn secret(known: &SecretMetadata) -> Secret {
    let secret = &known.secret;
    Secret {
        name: secret.name.to_string(),
        environment: secret.scope.environment.to_string(),
        space: space(secret.scope.space.as_ref()),
        origin: None,
        version: secret.active,
        revision: known.revision.0,
        description: secret.description.clone(),
        created_at: instant(secret.created_at),
        updated_at: instant(secret.updated_at),
        updated_by: secret.updated_by.to_string(),
        unmaskable: secret.unmaskable,
        versions: None,
    }
}

/// The same as it shows in a scope: in a space with its origin.
pub(super) fn listed_secret(scope: &Scope, listed: &ListedSecret) -> Secret {
    Secret { origin: scope.space.as_ref().map(|_| origin(listed.origin)), ..secret(&listed.secret) }
}

fn origin(origin: vault::Origin) -> Origin {
    match origin {
        vault::Origin::Own => Origin::Own,
        vault::Origin::Inherited => Origin::Inherited,
        vault::Origin::Overridden => Origin::Overridden,
        vault::Origin::Blocked => Origin::Blocked,
    }
}

/// A run as lists show it.
pub(super) fn run(known: RunSummary) -> Run {
    Run {
        id: known.id.to_string(),
        function: known.function,
        environment: known.environment.to_string(),
        space: space(known.space.as_ref()),
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
    let home = &detail.info.environment;
    let deliveries = detail.deliveries.iter().map(|known| delivery(home, known)).collect();
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

/// A delivery to a run of this environment.
fn delivery(home: &EnvironmentName, known: &run::Delivery) -> Delivery {
    Delivery {
        at: instant(known.at),
        attempt: known.attempt,
        environment: (known.environment != *home).then(|| known.environment.to_string()),
        secrets: secret_versions(&known.secrets),
    }
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
