//! What a list shows of a run.

use std::sync::Arc;

use claviger_core::run::{End, Open, Phase};
use serde::{Deserialize, Serialize};

/// What a list shows of a run, and what a restart needs to know of it. Nothing sealed, no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) function: Arc<str>,
    pub(crate) status: Status,
    pub(crate) attempt: u32,
    pub(crate) event_id: Arc<str>,
    pub(crate) event_name: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) space: Option<Arc<str>>,
    pub(crate) created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) missing: Vec<String>,
}

/// How a run stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Ready, and no worker has it yet.
    Queued,
    /// A worker executes it.
    Running,
    /// It sleeps until an instant.
    Sleeping,
    /// It waits for an event or another run.
    Waiting,
    /// A required secret is not set.
    Blocked,
    /// An attempt failed; the next one starts later.
    Retrying,
    /// It returned.
    Completed,
    /// It failed for good.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 9] = [
        Status::Queued,
        Status::Running,
        Status::Sleeping,
        Status::Waiting,
        Status::Blocked,
        Status::Retrying,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Sleeping => "sleeping",
            Status::Waiting => "waiting",
            Status::Blocked => "blocked",
            Status::Retrying => "retrying",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows it.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Cancelled)
    }

    /// The status of a run.
    pub(crate) fn of(run: &claviger_core::run::Run) -> Status {
        match &run.phase {
            Phase::Queued => Status::Queued,
            Phase::Running => Status::Running,
            Phase::Suspended if run.open_steps().all(|(_, open)| matches!(open, Open::Sleep { .. })) => {
                Status::Sleeping
            }
            Phase::Suspended => Status::Waiting,
            Phase::Retrying { .. } => Status::Retrying,
            Phase::Blocked { .. } => Status::Blocked,
            Phase::Ended(End::Completed(_)) => Status::Completed,
            Phase::Ended(End::Failed(_)) => Status::Failed,
            Phase::Ended(End::Cancelled { .. }) => Status::Cancelled,
        }
    }
}
