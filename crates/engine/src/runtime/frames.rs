//! What workers say. The server translates these from the worker protocol.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use claviger_core::{
    EnvironmentName, EventName, FunctionId, Pattern, Revision, SecretName, SpaceName, Timestamp,
    run::{RunId, StepId},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Condition;
use crate::Error;

/// JSON text, passed on untouched.
pub type Json = Box<RawValue>;

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

/// A worker's frame about a run.
#[derive(Debug)]
pub enum Frame {
    /// Outcomes, and perhaps the end of its job.
    Report(JobReport),
    /// It asks for a secret by name.
    Lookup(Lookup),
}

/// What a worker reports of its job.
#[derive(Debug)]
pub struct JobReport {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// Outcomes, in order.
    pub outcomes: Vec<Outcome>,
    /// The end of the job.
    pub ending: Option<FrameEnd>,
}

/// A worker's question for a secret, while it has a job.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// Names the question in its answer.
    pub id: LookupId,
    /// The secret's name.
    pub name: SecretName,
    /// The environment; `None` for the job's.
    pub environment: Option<EnvironmentName>,
    /// Where in the environment.
    pub space: LookupSpace,
}

/// Where in its environment a secret is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupSpace {
    /// In the job's space, if the environment is the job's, else in the environment itself.
    OfJob,
    /// In the environment itself.
    Environment,
    /// In this space.
    Named(SpaceName),
}

/// Names a look-up within its job: 1–64 visible ASCII characters, chosen by the worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LookupId(Arc<str>);

impl LookupId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LookupId {
    type Err = Error;

    /// # Errors
    /// [`Error::Invalid`].
    fn from_str(text: &str) -> Result<LookupId, Error> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        match fits {
            true => Ok(LookupId(text.into())),
            false => Err(Error::invalid("the id of a look-up has 1 to 64 visible ASCII characters")),
        }
    }
}

impl fmt::Display for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
