//! What a worker says.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{Concurrency, DeclaredSecret, FunctionFailure, MatchCondition, Retry};

/// A frame from a worker. Unknown members are ignored.
#[derive(Debug)]
pub enum FromWorker {
    /// Its functions and its credit: first, and once.
    Hello(Box<Hello>),
    /// Results to keep.
    Step(RunFrame),
    /// All that the function waits for is open: the job is over.
    Suspend(RunFrame),
    /// The function returned.
    Complete(RunFrame),
    /// The attempt failed.
    Fail(RunFrame),
    /// It asks for a secret by name.
    Lookup(LookupFrame),
    /// It is alive.
    Heartbeat,
    /// It wants no more jobs.
    Drain,
}

/// Why a message is not a frame. Says where, never what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or a member is missing or of another type.
    #[error("the frame does not have its form at line {line}, column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A type that this version does not know.
    #[error("the frame has a type that this version of the protocol does not know")]
    UnknownType,
}

impl FrameError {
    /// Malformed in the place behind this text.
    fn after(text: &str) -> FrameError {
        let last_line = text.rfind('\n').map_or(0, |newline| newline + 1);
        FrameError::Malformed { line: text.matches('\n').count() + 1, column: text.len() - last_line + 1 }
    }
}

impl FromWorker {
    /// Reads one message.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn parse(text: &str) -> Result<FromWorker, FrameError> {
        // An array would be taken for the members in their order.
        let frame = text.trim_ascii_start();
        if frame.starts_with('[') {
            return Err(FrameError::after(&text[..text.len() - frame.len()]));
        }
        // The type may stand anywhere, and text that is passed on cannot be read out of a tagged enum: hence two readings.
        let tag: Tag<'_> = read(text)?;
        match &*tag.kind {
            "hello" => Ok(FromWorker::Hello(read(text)?)),
            "step" => Ok(FromWorker::Step(read(text)?)),
            "suspend" => Ok(FromWorker::Suspend(read(text)?)),
            "complete" => Ok(FromWorker::Complete(read(text)?)),
            "fail" => Ok(FromWorker::Fail(read(text)?)),
            "lookup" => Ok(FromWorker::Lookup(read(text)?)),
            "heartbeat" => Ok(FromWorker::Heartbeat),
            "drain" => Ok(FromWorker::Drain),
            _ => Err(FrameError::UnknownType),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    serde_json::from_str(text).map_err(|error| FrameError::Malformed { line: error.line(), column: error.column() })
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// `hello`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// The SDK's name and version.
    #[serde(default)]
    pub sdk: String,
    /// A label for people.
    #[serde(default)]
    pub worker: String,
    /// The environment; `None` for the key's own.
    #[serde(default)]
    pub environment: Option<String>,
    /// Jobs that it holds at most.
    pub credit: u32,
    /// Its functions.
    pub functions: Vec<WorkerFunction>,
}

/// A function that a worker declares.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerFunction {
    /// Its id.
    pub id: String,
    /// What starts it.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// The secrets that its jobs are to receive.
    #[serde(default)]
    pub secrets: Vec<DeclaredSecret>,
    /// How attempts are repeated.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// How many runs may be executed at the same time.
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    /// How long one attempt may take.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Only events of these spaces start it; `None` for events of the environment and all its spaces.
    #[serde(default)]
    pub spaces: Option<Vec<String>>,
    /// Whether its jobs may look secrets up by name.
    #[serde(default)]
    pub lookups: bool,
}

/// What starts a function: an event that fits the pattern and all the conditions.
#[derive(Clone, Debug, Deserialize)]
pub struct Trigger {
    /// A pattern of event names.
    pub event: String,
    /// Conditions on the event's data.
    #[serde(default)]
    pub r#match: Vec<MatchCondition>,
}

/// `lookup`.
#[derive(Debug, Deserialize)]
pub struct LookupFrame {
    /// The run.
    pub run: String,
    /// The claim.
    pub fence: String,
    /// The worker's own name for the question, unique in the job.
    pub id: String,
    /// The secret's name.
    pub name: String,
    /// The environment; `None` for the job's.
    #[serde(default)]
    pub environment: Option<String>,
    /// Where in the environment.
    #[serde(default)]
    pub space: LookupSpace,
}

/// Where in its environment a secret is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LookupSpace {
    /// No such member: in the job's space, if the environment is the job's, else in the environment itself.
    #[default]
    OfJob,
    /// `null`: in the environment itself.
    None,
    /// In this space.
    Named(String),
}

impl<'de> Deserialize<'de> for LookupSpace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LookupSpace, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(LookupSpace::None, LookupSpace::Named))
    }
}

/// `step`, `suspend`, `complete` and `fail`: the members of all of them, most of which only one has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFrame {
    /// The run.
    pub run: String,
    /// The claim.
    pub fence: String,
    /// What became of steps, in order.
    #[serde(default)]
    pub outcomes: Vec<Outcome>,
    /// `complete`: what the function returned; `None` for `null`.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// `fail`: why.
    #[serde(default)]
    pub error: Option<FunctionFailure>,
    /// `fail`: whether another attempt makes sense; left out, it does.
    #[serde(default)]
    pub retryable: Option<bool>,
    /// `fail`: the pause before it, instead of the function's own.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// What became of a step: the members of all kinds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The step.
    pub id: String,
    /// `run`, `sendEvent`, `sleep`, `waitForEvent` or `invoke`.
    pub kind: String,
    /// `run`: what it returned; `None` for `null`.
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    /// `run`: why it failed.
    #[serde(default)]
    pub error: Option<FunctionFailure>,
    /// `sendEvent`: the event's name. `waitForEvent`: its pattern.
    #[serde(default)]
    pub event: Option<String>,
    /// `sendEvent`, `invoke`: data.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    /// `sleep`: milliseconds since the Unix epoch.
    #[serde(default)]
    pub until: Option<i64>,
    /// `waitForEvent`: a condition on the event.
    #[serde(default)]
    pub r#match: Option<MatchCondition>,
    /// `invoke`: the function.
    #[serde(default)]
    pub function: Option<String>,
    /// `waitForEvent`, `invoke`: for how long.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}
