//! Functions and runs. Inputs, results and errors are shown with secret values masked.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Instant;

/// A function, as its worker declared it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Function {
    /// Its id.
    #[schema(example = "payout")]
    pub id: String,
    /// Its environment.
    #[schema(example = "default")]
    pub environment: String,
    /// What starts it.
    pub triggers: Vec<FunctionTrigger>,
    /// The spaces whose events start it; absent means the environment and all its spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spaces: Option<Vec<String>>,
    /// Present and true when it looks secrets up by name while it has a job: it is a listener.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lookups: bool,
    /// The secrets that its jobs receive.
    pub secrets: Vec<DeclaredSecret>,
    /// How attempts are repeated.
    pub retry: Retry,
    /// How many runs may be executed at the same time; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// How long one attempt may take; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Workers that are connected for it now.
    pub workers: u64,
    /// When its declaration last changed.
    pub updated_at: Instant,
}

/// What starts a function: an event that fits the pattern and all the conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionTrigger {
    /// A pattern of event names.
    #[schema(example = "payout.requested")]
    pub event: String,
    /// Conditions on the event's data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#match: Vec<MatchCondition>,
}

/// A member of an event must equal a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MatchCondition {
    /// Member names joined by dots, beginning with `data`.
    #[schema(example = "data.kind")]
    pub path: String,
    /// What stands there.
    pub equals: serde_json::Value,
}

/// A secret that a function declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredSecret {
    /// Its name.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// Whether runs wait while it is not set.
    #[serde(default)]
    pub required: bool,
}

/// How attempts are repeated. What is left out in a declaration has its default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: u32,
    /// The pause before the second attempt.
    pub initial_delay_ms: u64,
    /// What the pause is multiplied by each time.
    pub backoff_factor: f64,
    /// The longest pause.
    pub max_delay_ms: u64,
}

/// The defaults of the worker protocol: 4 attempts, 1 s, factor 2, at most 60 s.
impl Default for Retry {
    fn default() -> Retry {
        Retry { max_attempts: 4, initial_delay_ms: 1_000, backoff_factor: 2.0, max_delay_ms: 60_000 }
    }
}

/// How many runs may be executed at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Concurrency {
    /// At most so many.
    pub limit: u32,
}

/// The functions of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionList {
    /// The functions, by id.
    pub items: Vec<Function>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Waits for an instant.
    Sleeping,
    /// Waits for an event or another run.
    Waiting,
    /// Waits for secrets that it requires.
    Blocked,
    /// Waits for its next attempt.
    Retrying,
    /// Ended with a result.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by somebody.
    Cancelled,
}

/// The event that started a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRef {
    /// Its id.
    pub id: String,
    /// Its name.
    #[schema(example = "payout.requested")]
    pub name: String,
}

/// An error in a function's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionFailure {
    /// Its class.
    #[serde(default)]
    #[schema(example = "Declined")]
    pub name: String,
    /// What it says.
    #[serde(default)]
    pub message: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

/// One execution of a function.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    #[schema(example = "run_0198f2a4c0de7c4f9b1c5d2e3f405162")]
    pub id: String,
    /// The function.
    #[schema(example = "payout")]
    pub function: String,
    /// Its environment.
    #[schema(example = "default")]
    pub environment: String,
    /// The space that it works in, which is its event's; absent for the environment itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// The present or next attempt, from 1.
    pub attempt: u32,
    /// What started it.
    pub event: EventRef,
    /// When it was created.
    pub created_at: Instant,
    /// When a worker first had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Instant>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// When it goes on by itself: the next attempt, or the end of the first wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Instant>,
    /// `blocked`: the secrets that it requires and that are not set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// `completed`: what the function returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// Why it failed, or why its latest attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FunctionFailure>,
    /// `cancelled`: who ended it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancellation>,
    /// The run that invoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its steps in the order in which they were recorded. Only where one run is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    /// The secrets that it was given. Only where one run is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<Delivery>>,
}

/// Who ended a run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancellation {
    /// An API key's id.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It has a result.
    Finished,
    /// It has an error that the function went past.
    Failed,
    /// It waits.
    Open,
}

/// A memoised part of a run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its id.
    #[schema(example = "charge")]
    pub id: String,
    /// `run`, `sleep`, `waitForEvent`, `invoke` or `sendEvent`.
    #[schema(example = "run")]
    pub kind: String,
    /// How it stands.
    pub status: StepStatus,
    /// When it was last changed.
    pub at: Instant,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FunctionFailure>,
    /// Open: when time finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Open: the pattern of the event that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Open: the function that it invoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Open: the run that it invoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
}

/// One hand-over of secrets to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// In which attempt.
    pub attempt: u32,
    /// The environment whose secrets they are; absent when it is the run's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "staging")]
    pub environment: Option<String>,
    /// Names and versions.
    pub secrets: Vec<crate::AuditedSecret>,
}

/// A part of the list of runs, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// The runs.
    pub items: Vec<Run>,
    /// What to pass as `after` for those that follow; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The runs that an event started.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EventRuns {
    /// Whether every run that the event starts has been created.
    pub dispatched: bool,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Ends a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRun {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
