//! What workers hear. The server translates these to the worker protocol.

use std::sync::Arc;

use claviger_core::{
    EnvironmentName, EventName, FunctionId, Revision, SecretName, SecretValue, SpaceName, Timestamp,
    run::{RunId, StepId},
};

use tokio::sync::OwnedSemaphorePermit;

use super::{FunctionError, Json, LookupId};
use crate::Error;

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
    /// The answer to a look-up.
    Secret(LookedUp),
    /// A look-up that could not be answered, as far as is known now.
    Unanswered {
        /// The run.
        run: RunId,
        /// The claim under which it came.
        fence: Revision,
        /// The look-up.
        id: LookupId,
        /// Why. Several may have the same reason.
        error: Arc<Error>,
    },
    /// A secret of this name that the job looked up has changed: what it was told may be true no more.
    Changed {
        /// The run.
        run: RunId,
        /// The claim.
        fence: Revision,
        /// The secret's name.
        name: SecretName,
    },
    /// The server is going away.
    Drain,
}

/// The answer to a look-up. No content in `Debug`.
#[derive(Debug)]
pub struct LookedUp {
    /// The run.
    pub run: RunId,
    /// The claim.
    pub fence: Revision,
    /// The look-up.
    pub id: LookupId,
    /// The secret's name.
    pub name: SecretName,
    /// Version and value; `None` when it is not set there, or not for this worker.
    pub found: Option<(u64, Arc<SecretValue>)>,
    /// Given back with the answer: a worker that does not read what it is answered may not ask for ever.
    pub(super) _room: OwnedSemaphorePermit,
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
    /// The space it happened in; `None` for the environment itself.
    pub space: Option<SpaceName>,
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
