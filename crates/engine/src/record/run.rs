//! A run's journal as it is stored.

mod envelopes;

use std::sync::Arc;

use claviger_core::{
    EnvironmentName, EventPosition, FunctionId, Pattern, Revision, Timestamp,
    run::{
        Body, Cause, End, Entry, Failure, JobEnd, NewClaim, Open, Phase, Release, Retry, RunId, StepId, StepKind,
        StepState,
    },
    secret::SecretVersion,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::envelopes::Owner;
use super::{base64_bytes, secret::SecretVersionForm, summary::Summary};

/// A journal record: the entry, when it was made, and what a list shows of the run after it.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredEntry {
    pub(crate) at: i64,
    pub(crate) entry: EntryForm,
    pub(crate) summary: Summary,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct BodyForm {
    #[serde(with = "base64_bytes")]
    s: Arc<[u8]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<ViewForm>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ViewForm(#[serde(with = "base64_bytes")] Arc<[u8]>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum EntryForm {
    Created {
        environment: String,
        function: String,
        event_id: Arc<str>,
        event_name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        space: Option<String>,
        event_at: i64,
        input: BodyForm,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<(String, String)>,
        retry: RetryForm,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<ClaimForm>,
    },
    Claimed(ClaimForm),
    Extended {
        fence: u64,
        lease_until: i64,
    },
    LookedUp {
        fence: u64,
        environment: String,
        secrets: Vec<SecretVersionForm>,
    },
    Progressed {
        fence: u64,
        outcomes: Vec<(String, KindForm, StateForm)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ending: Option<JobEndForm>,
    },
    Resolved {
        step: String,
        state: StateForm,
    },
    Released {
        fence: u64,
        lost: bool,
        then: ReleasedForm,
    },
    Blocked {
        missing: Vec<String>,
    },
    Unblocked,
    Cancelled {
        by: Arc<str>,
        reason: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RetryForm {
    attempts: u32,
    initial: u64,
    factor: f64,
    max: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ClaimForm {
    holder: Arc<str>,
    until: i64,
    secrets: Vec<SecretVersionForm>,
}

fn read_versions(secrets: Vec<SecretVersionForm>) -> Option<Vec<SecretVersion>> {
    secrets.into_iter().map(SecretVersionForm::into_version).collect()
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum KindForm {
    Run,
    Sleep,
    WaitForEvent,
    Invoke,
    SendEvent,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StateForm {
    Finished(Option<BodyForm>),
    Failed(FailureForm),
    Sleep { until: i64 },
    Wait { pattern: String, condition: Option<BodyForm>, until: Option<i64>, after: [u64; 3] },
    Invoke { function: String, child: String, input: Option<BodyForm>, until: Option<i64> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FailureForm {
    Error(BodyForm),
    TimedOut,
    Lost,
    Cancelled,
    NoFunction,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum JobEndForm {
    Suspended,
    Completed(Option<BodyForm>),
    Failed { failure: FailureForm, retry_at: Option<i64> },
}

/// What may follow a release.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReleasedForm {
    Queued,
    Retrying(i64),
    Lost,
}

impl From<&Body> for BodyForm {
    fn from(body: &Body) -> BodyForm {
        BodyForm { s: body.sealed.clone(), v: body.view.clone().map(ViewForm) }
    }
}

impl From<BodyForm> for Body {
    fn from(form: BodyForm) -> Body {
        Body { sealed: form.s, view: form.v.map(|view| view.0) }
    }
}

fn body(body: Option<&Body>) -> Option<BodyForm> {
    body.map(BodyForm::from)
}

impl From<&NewClaim> for ClaimForm {
    fn from(claim: &NewClaim) -> ClaimForm {
        let secrets = claim.secrets.iter().map(SecretVersionForm::new).collect();
        ClaimForm { holder: claim.holder.clone(), until: claim.lease_until.0, secrets }
    }
}

impl ClaimForm {
    fn read(self) -> Option<NewClaim> {
        let secrets = read_versions(self.secrets)?;
        Some(NewClaim { holder: self.holder, lease_until: Timestamp(self.until), secrets })
    }
}

impl From<&Failure> for FailureForm {
    fn from(failure: &Failure) -> FailureForm {
        match failure {
            Failure::Error(body) => FailureForm::Error(body.into()),
            Failure::TimedOut => FailureForm::TimedOut,
            Failure::Lost => FailureForm::Lost,
            Failure::Cancelled => FailureForm::Cancelled,
            Failure::NoFunction => FailureForm::NoFunction,
        }
    }
}

impl From<FailureForm> for Failure {
    fn from(form: FailureForm) -> Failure {
        match form {
            FailureForm::Error(body) => Failure::Error(body.into()),
            FailureForm::TimedOut => Failure::TimedOut,
            FailureForm::Lost => Failure::Lost,
            FailureForm::Cancelled => Failure::Cancelled,
            FailureForm::NoFunction => Failure::NoFunction,
        }
    }
}

/// An event position as it is stored: events, secrets, access.
pub(crate) fn position_form(position: EventPosition) -> [u64; 3] {
    [position.events.0, position.secrets.0, position.access.0]
}

pub(crate) fn read_position([events, secrets, access]: [u64; 3]) -> EventPosition {
    EventPosition { events: Revision(events), secrets: Revision(secrets), access: Revision(access) }
}

impl From<&StepState> for StateForm {
    fn from(state: &StepState) -> StateForm {
        match state {
            StepState::Finished(result) => StateForm::Finished(body(result.as_ref())),
            StepState::Failed(failure) => StateForm::Failed(failure.into()),
            StepState::Open(Open::Sleep { until }) => StateForm::Sleep { until: until.0 },
            StepState::Open(Open::Wait { pattern, condition, until, after }) => StateForm::Wait {
                pattern: pattern.to_string(),
                condition: body(condition.as_ref()),
                until: until.map(|t| t.0),
                after: position_form(*after),
            },
            StepState::Open(Open::Invoke { function, child, input, until }) => StateForm::Invoke {
                function: function.to_string(),
                child: child.to_string(),
                input: body(input.as_ref()),
                until: until.map(|t| t.0),
            },
        }
    }
}

impl StateForm {
    fn read(self) -> Option<StepState> {
        Some(match self {
            StateForm::Finished(result) => StepState::Finished(result.map(Body::from)),
            StateForm::Failed(failure) => StepState::Failed(failure.into()),
            StateForm::Sleep { until } => StepState::Open(Open::Sleep { until: Timestamp(until) }),
            StateForm::Wait { pattern, condition, until, after } => StepState::Open(Open::Wait {
                pattern: pattern.parse::<Pattern>().ok()?,
                condition: condition.map(Body::from),
                until: until.map(Timestamp),
                after: read_position(after),
            }),
            StateForm::Invoke { function, child, input, until } => StepState::Open(Open::Invoke {
                function: function.parse::<FunctionId>().ok()?,
                child: child.parse::<RunId>().ok()?,
                input: input.map(Body::from),
                until: until.map(Timestamp),
            }),
        })
    }
}

impl From<StepKind> for KindForm {
    fn from(kind: StepKind) -> KindForm {
        match kind {
            StepKind::Run => KindForm::Run,
            StepKind::Sleep => KindForm::Sleep,
            StepKind::WaitForEvent => KindForm::WaitForEvent,
            StepKind::Invoke => KindForm::Invoke,
            StepKind::SendEvent => KindForm::SendEvent,
        }
    }
}

impl From<KindForm> for StepKind {
    fn from(form: KindForm) -> StepKind {
        match form {
            KindForm::Run => StepKind::Run,
            KindForm::Sleep => StepKind::Sleep,
            KindForm::WaitForEvent => StepKind::WaitForEvent,
            KindForm::Invoke => StepKind::Invoke,
            KindForm::SendEvent => StepKind::SendEvent,
        }
    }
}

impl From<&Entry> for EntryForm {
    fn from(entry: &Entry) -> EntryForm {
        match entry {
            Entry::Created { environment, function, cause, retry, claim } => {
                created(environment, function, cause, retry, claim.as_ref())
            }
            Entry::Claimed(claim) => EntryForm::Claimed(claim.into()),
            Entry::Extended { fence, lease_until } => {
                EntryForm::Extended { fence: fence.0, lease_until: lease_until.0 }
            }
            Entry::LookedUp { fence, environment, secrets } => EntryForm::LookedUp {
                fence: fence.0,
                environment: environment.to_string(),
                secrets: secrets.iter().map(SecretVersionForm::new).collect(),
            },
            Entry::Progressed { fence, outcomes, ending } => EntryForm::Progressed {
                fence: fence.0,
                outcomes: outcomes.iter().map(|(id, k, s)| (id.to_string(), (*k).into(), s.into())).collect(),
                ending: ending.as_ref().map(job_end),
            },
            Entry::Resolved { step, state } => EntryForm::Resolved { step: step.to_string(), state: state.into() },
            Entry::Released { fence, reason, then } => EntryForm::Released {
                fence: fence.0,
                lost: *reason == Release::Lost,
                then: match then {
                    Phase::Retrying { at } => ReleasedForm::Retrying(at.0),
                    Phase::Ended(_) => ReleasedForm::Lost,
                    _ => ReleasedForm::Queued,
                },
            },
            Entry::Blocked { missing } => {
                EntryForm::Blocked { missing: missing.iter().map(ToString::to_string).collect() }
            }
            Entry::Unblocked => EntryForm::Unblocked,
            Entry::Cancelled { by, reason } => EntryForm::Cancelled { by: by.clone(), reason: reason.clone() },
        }
    }
}

fn created(
    environment: &EnvironmentName,
    function: &FunctionId,
    cause: &Cause,
    retry: &Retry,
    claim: Option<&NewClaim>,
) -> EntryForm {
    EntryForm::Created {
        environment: environment.to_string(),
        function: function.to_string(),
        event_id: cause.event_id.clone(),
        event_name: cause.event_name.to_string(),
        space: cause.space.as_ref().map(ToString::to_string),
        event_at: cause.at.0,
        input: (&cause.input).into(),
        parent: cause.parent.as_ref().map(|(run, step)| (run.to_string(), step.to_string())),
        retry: RetryForm {
            attempts: retry.max_attempts,
            initial: millis(retry.initial_delay),
            factor: retry.backoff_factor,
            max: millis(retry.max_delay),
        },
        claim: claim.map(ClaimForm::from),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn job_end(end: &JobEnd) -> JobEndForm {
    match end {
        JobEnd::Suspended => JobEndForm::Suspended,
        JobEnd::Completed(result) => JobEndForm::Completed(body(result.as_ref())),
        JobEnd::Failed { failure, retry_at } => {
            JobEndForm::Failed { failure: failure.into(), retry_at: retry_at.map(|t| t.0) }
        }
    }
}

impl EntryForm {
    /// Back to the entry; `None` when the stored form breaks a rule.
    pub(crate) fn read(self) -> Option<Entry> {
        Some(match self {
            EntryForm::Created { .. } => return self.read_created(),
            EntryForm::Claimed(claim) => Entry::Claimed(claim.read()?),
            EntryForm::Extended { fence, lease_until } => {
                Entry::Extended { fence: Revision(fence), lease_until: Timestamp(lease_until) }
            }
            EntryForm::LookedUp { fence, environment, secrets } => Entry::LookedUp {
                fence: Revision(fence),
                environment: environment.parse().ok()?,
                secrets: read_versions(secrets)?,
            },
            EntryForm::Progressed { fence, outcomes, ending } => {
                let outcome = |(id, kind, state): (String, KindForm, StateForm)| {
                    Some((id.parse::<StepId>().ok()?, kind.into(), state.read()?))
                };
                let outcomes = outcomes.into_iter().map(outcome).collect::<Option<_>>()?;
                Entry::Progressed { fence: Revision(fence), outcomes, ending: ending.map(read_job_end) }
            }
            EntryForm::Resolved { step, state } => Entry::Resolved { step: step.parse().ok()?, state: state.read()? },
            EntryForm::Released { fence, lost, then } => Entry::Released {
                fence: Revision(fence),
                reason: match then {
                    _ if lost => Release::Lost,
                    // Only what was not delivered is tried again later.
                    ReleasedForm::Retrying(_) => Release::Undelivered,
                    _ => Release::Withheld,
                },
                then: match then {
                    ReleasedForm::Queued => Phase::Queued,
                    ReleasedForm::Retrying(at) => Phase::Retrying { at: Timestamp(at) },
                    ReleasedForm::Lost => Phase::Ended(End::Failed(Failure::Lost)),
                },
            },
            EntryForm::Blocked { missing } => {
                Entry::Blocked { missing: missing.iter().map(|name| name.parse().ok()).collect::<Option<_>>()? }
            }
            EntryForm::Unblocked => Entry::Unblocked,
            EntryForm::Cancelled { by, reason } => Entry::Cancelled { by, reason },
        })
    }

    fn read_created(self) -> Option<Entry> {
        let EntryForm::Created {
            environment,
            function,
            event_id,
            event_name,
            space,
            event_at,
            input,
            parent,
            retry,
            claim,
        } = self
        else {
            return None;
        };
        let parent = match parent {
            Some((run, step)) => Some((run.parse().ok()?, step.parse().ok()?)),
            None => None,
        };
        let claim = match claim {
            Some(claim) => Some(claim.read()?),
            None => None,
        };
        let space = space.as_deref().map(str::parse).transpose().ok()?;
        let (event_name, at) = (event_name.parse().ok()?, Timestamp(event_at));
        let cause = Cause { event_id, event_name, space, at, input: input.into(), parent };
        let retry = Retry {
            max_attempts: retry.attempts,
            initial_delay: std::time::Duration::from_millis(retry.initial),
            backoff_factor: retry.factor,
            max_delay: std::time::Duration::from_millis(retry.max),
        };
        let (environment, function) = (environment.parse().ok()?, function.parse().ok()?);
        Some(Entry::Created { environment, function, cause, retry, claim })
    }
}

fn read_job_end(form: JobEndForm) -> JobEnd {
    match form {
        JobEndForm::Suspended => JobEnd::Suspended,
        JobEndForm::Completed(result) => JobEnd::Completed(result.map(Body::from)),
        JobEndForm::Failed { failure, retry_at } => {
            JobEnd::Failed { failure: failure.into(), retry_at: retry_at.map(Timestamp) }
        }
    }
}
