//! The frames of the worker protocol, version 1 (`spec/worker-protocol.md`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::trigger::Trigger;

/// Writes a frame. All parts are plain structs, so that this cannot fail.
pub(crate) fn encode_frame(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).expect("frames are plain structs with text keys")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hello<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) protocol: u32,
    pub(crate) sdk: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<&'a str>,
    pub(crate) credit: usize,
    pub(crate) functions: Vec<FunctionSpec<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionSpec<'a> {
    pub(crate) id: &'a str,
    pub(crate) triggers: &'a [Trigger],
    /// Only events of these spaces; without them those of the environment and of all its spaces.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) spaces: &'a [String],
    pub(crate) secrets: &'a [DeclaredSecret],
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) lookups: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<RetrySpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<Concurrency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(is_set: &bool) -> bool {
    !is_set
}

#[derive(Debug, Serialize)]
pub(crate) struct DeclaredSecret {
    pub(crate) name: String,
    pub(crate) required: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetrySpec {
    pub(crate) max_attempts: u32,
    pub(crate) initial_delay_ms: u64,
    pub(crate) backoff_factor: f64,
    pub(crate) max_delay_ms: u64,
}

#[derive(Serialize)]
pub(crate) struct Concurrency {
    pub(crate) limit: u32,
}

/// A frame without members of its own: `heartbeat`, `drain`.
#[derive(Serialize)]
pub(crate) struct Signal {
    pub(crate) r#type: &'static str,
}

/// `step`, `suspend`, `complete` and `fail`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunFrame<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) run: &'a str,
    pub(crate) fence: &'a str,
    pub(crate) outcomes: &'a [Box<RawValue>],
    #[serde(flatten)]
    pub(crate) ending: Option<EndingMembers<'a>>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum EndingMembers<'a> {
    Complete {
        result: &'a RawValue,
    },
    Fail {
        error: WireError,
        retryable: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// Asks for a secret by its name.
#[derive(Serialize)]
pub(crate) struct LookupFrame<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) run: &'a str,
    pub(crate) fence: &'a str,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<&'a str>,
    /// Absent for the job's own, `null` for the environment itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) space: Option<Option<&'a str>>,
}

/// What the server is to keep of a step.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Outcome<'a> {
    Run {
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<WireError>,
    },
    SendEvent {
        event: &'a str,
        data: &'a RawValue,
    },
    Sleep {
        until: u64,
    },
    WaitForEvent {
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#match: Option<&'a Match>,
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    Invoke {
        function: &'a str,
        data: &'a RawValue,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Match {
    pub(crate) path: String,
    pub(crate) equals: Value,
}

/// An error as frames carry it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct WireError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

/// Enough of a frame to know how to read the rest.
#[derive(Deserialize)]
pub(crate) struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registered {
    pub(crate) environment: String,
    pub(crate) heartbeat_every_ms: u64,
    pub(crate) lease_ms: u64,
}

/// The members of `cancel`, and the first ones of `job` and `ack`.
#[derive(Deserialize)]
pub(crate) struct Claim<'a> {
    #[serde(borrow)]
    pub(crate) run: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) fence: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) reason: Cow<'a, str>,
}

/// One attempt of a run.
#[derive(Deserialize)]
pub(crate) struct Job<'a> {
    pub(crate) run: String,
    pub(crate) fence: String,
    #[serde(borrow)]
    pub(crate) function: Cow<'a, str>,
    pub(crate) attempt: u32,
    pub(crate) event: JobEvent,
    #[serde(default)]
    pub(crate) steps: Vec<StepRecord>,
    #[serde(borrow, default)]
    pub(crate) secrets: Vec<DeliveredSecret<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct JobEvent {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) data: Value,
    pub(crate) at: u64,
    pub(crate) environment: String,
    pub(crate) space: Option<String>,
}

/// What the server knows of a step.
#[derive(Deserialize)]
pub(crate) struct StepRecord {
    pub(crate) id: String,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) error: Option<WireError>,
    pub(crate) open: Option<String>,
}

/// Borrowed, so that a value is copied once: into memory that is wiped.
#[derive(Deserialize)]
pub(crate) struct DeliveredSecret<'a> {
    pub(crate) name: String,
    pub(crate) version: u64,
    #[serde(borrow)]
    pub(crate) value: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) encoding: Option<Cow<'a, str>>,
}

/// The answer to a look-up; without version and value nothing was found.
#[derive(Deserialize)]
pub(crate) struct FoundSecret<'a> {
    #[serde(borrow)]
    pub(crate) run: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) fence: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    pub(crate) version: Option<u64>,
    #[serde(borrow)]
    pub(crate) value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) encoding: Option<Cow<'a, str>>,
}

/// A secret that was looked up has changed.
#[derive(Deserialize)]
pub(crate) struct Changed<'a> {
    #[serde(borrow)]
    pub(crate) run: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) fence: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(crate) struct Ack<'a> {
    #[serde(borrow)]
    pub(crate) run: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) fence: Cow<'a, str>,
    #[serde(default)]
    pub(crate) ended: bool,
    #[serde(default)]
    pub(crate) steps: Vec<StepRecord>,
}

/// A refusal: of a run's frame, of a look-up, or of the connection.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) detail: String,
    pub(crate) run: Option<String>,
    pub(crate) fence: Option<String>,
    /// The look-up's.
    pub(crate) id: Option<String>,
}
