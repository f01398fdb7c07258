//! The record of decisions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Instant;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// Values were handed to a worker.
    Delivered,
    /// It was not allowed.
    Refused,
    /// Something was changed.
    Changed,
}

/// A secret and a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditedSecret {
    /// Its name.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// The version.
    #[schema(example = 7)]
    pub version: u64,
    /// The space whose own value it was; absent for the environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
}

/// One record of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its place in the audit stream.
    pub revision: u64,
    /// When.
    pub at: Instant,
    /// What was done or asked for.
    #[schema(example = "secret.receive")]
    pub action: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Who: an API key's id.
    pub caller: String,
    /// The function that received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The run that it received for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The run's environment, when it is another than the one of which this is the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_environment: Option<String>,
    /// What it received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<AuditedSecret>,
    /// Why it was refused; of values that no run received, what asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A part of the audit entries, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The entries.
    pub items: Vec<AuditEntry>,
    /// What to pass as `after` for those that follow; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
