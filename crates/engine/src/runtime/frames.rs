//! What workers say and hear. The server translates these from and to the worker protocol.

use std::{sync::Arc, time::Duration};

use claviger_core::{
    EnvironmentName, EventName, FunctionId, Pattern, Revision, SecretName, SecretValue, Timestamp,
    run::{Retry, RunId, StepId},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Error;

/// JSON text, passed on untouched.
pub type Json = Box<RawValue>;

/// A declared secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeclaredSecret {
    /// Its name.
    pub name: SecretName,
    /// Whether runs wait while it is not set.
    pub required: bool,
}

/// A function, as its worker declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Its id.
    pub id: FunctionId,
    /// Patterns of the events that start it.
    pub triggers: Vec<Pattern>,
    /// The secrets its jobs receive.
    pub secrets: Vec<DeclaredSecret>,
    /// How attempts are repeated.
    pub retry: Retry,
    /// Runs at the same time, at most; `None` for no limit.
    pub concurrency: Option<u32>,
    /// How long one job may take.
    pub timeout: Option<Duration>,
}

/// What a worker says when it connects.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The environment it works in.
    pub environment: EnvironmentName,
    /// Its functions.
    pub functions: Vec<FunctionSpec>,
    /// Jobs it holds at most, 1–1,024.
    pub credit: u32,
    /// A label for people.
    pub worker: String,
}

/// An error in a function's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionError {
    /// Its class.
    pub name: String,
    /// What it says; cut at 4 KiB.
    pub message: String,
    /// Where it came from; cut at 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

/// What became of a step, as a worker reports it.
#[derive(Debug)]
pub struct Outcome {
    /// The step.
    pub id: StepId,
    /// What became of it.
    pub made: Made,
}

/// The kinds of outcomes.
#[derive(Debug)]
pub enum Made {
    /// Its function returned; `None` stands for `null`.
    Returned(Option<Json>),
    /// Its function failed, and the code went past that.
    Threw(FunctionError),
    /// It sends an event.
    Send {
        /// The event's name.
        event: EventName,
        /// Its data.
        data: Option<Json>,
    },
    /// It sleeps.
    Sleep {
        /// Until then.
        until: Timestamp,
    },
    /// It waits for an event.
    Wait {
        /// Its name's pattern.
        pattern: Pattern,
        /// A condition on its data.
        condition: Option<Condition>,
        /// For so long.
        timeout: Option<Duration>,
    },
    /// It invokes another function.
    Invoke {
        /// Which.
        function: FunctionId,
        /// With what.
        data: Option<Json>,
        /// And waits for so long.
        timeout: Option<Duration>,
    },
}

/// A member of an event must equal a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Where: member names joined by dots, beginning with `data`.
    pub path: String,
    /// What stands there.
    pub equals: serde_json::Value,
}

/// A worker's frame about a run.
#[derive(Debug)]
pub struct Frame {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// Outcomes, in order.
    pub outcomes: Vec<Outcome>,
    /// The end of the job.
    pub ending: Option<FrameEnd>,
}

/// How a worker ends a job.
#[derive(Debug)]
pub enum FrameEnd {
    /// Everything it waits for is open.
    Suspend,
    /// The function returned; `None` stands for `null`.
    Complete(Option<Json>),
    /// The attempt failed.
    Fail {
        /// How.
        error: FunctionError,
        /// Whether another attempt makes sense.
        retryable: Retryable,
    },
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    /// After the function's own backoff.
    Yes,
    /// After this pause.
    After(Duration),
    /// No.
    No,
}

/// What goes to a worker.
#[derive(Debug)]
pub enum Outgoing {
    /// A job.
    Job(Box<Job>),
    /// A frame is stored.
    Ack(Ack),
    /// Stop a job.
    Cancel {
        /// The run.
        run: RunId,
        /// The claim.
        fence: Revision,
        /// Why.
        reason: CancelReason,
    },
    /// A frame was refused; nothing of it was stored.
    Refused {
        /// The run.
        run: RunId,
        /// The claim under which it came.
        fence: Revision,
        /// Why.
        error: Error,
    },
    /// The server is going away.
    Drain,
}

/// Why a job is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody cancelled the run.
    Cancelled,
    /// It took too long.
    Timeout,
    /// The claim is no longer this worker's.
    Lost,
}

impl CancelReason {
    /// The word in the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CancelReason::Cancelled => "cancelled",
            CancelReason::Timeout => "timeout",
            CancelReason::Lost => "lost",
        }
    }
}

/// One attempt handed to a worker.
#[derive(Debug)]
pub struct Job {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// The environment.
    pub environment: EnvironmentName,
    /// The function.
    pub function: FunctionId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What started the run.
    pub event: JobEvent,
    /// The steps so far, in the order in which they were recorded.
    pub steps: Vec<JobStep>,
    /// The declared secrets that are set.
    pub secrets: Vec<JobSecret>,
}

/// The event of a job.
#[derive(Debug)]
pub struct JobEvent {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: EventName,
    /// Its data.
    pub data: Json,
    /// When it was stored.
    pub at: Timestamp,
}

/// A step of a job.
#[derive(Debug)]
pub struct JobStep {
    /// The step.
    pub id: StepId,
    /// How it stands.
    pub known: Known,
}

/// How a step stands, as the worker is told.
#[derive(Debug)]
pub enum Known {
    /// Finished; `None` stands for `null`.
    Result(Option<Json>),
    /// Failed.
    Error(FunctionError),
    /// Announced and still open: the kind's word in the protocol.
    Open(&'static str),
}

/// A secret of a job. No content in `Debug`.
#[derive(Debug)]
pub struct JobSecret {
    /// Its name.
    pub name: SecretName,
    /// Its version.
    pub version: u64,
    /// Its value.
    pub value: Arc<SecretValue>,
}

/// What a worker hears about a stored frame.
#[derive(Debug)]
pub struct Ack {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// Whether the job is over.
    pub ended: bool,
    /// Kept outcomes that the worker does not know.
    pub steps: Vec<JobStep>,
}
