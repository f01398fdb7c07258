//! Why a name means what it means in a scope.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Instant;

/// What a name means in an environment or a space, and why. Without the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The name.
    #[schema(example = "SLACK_TOKEN")]
    pub name: String,
    /// The environment that was asked.
    #[schema(example = "default")]
    pub environment: String,
    /// The space that was asked; `null` for the environment itself.
    #[schema(example = "acme")]
    pub space: Option<String>,
    /// What is served there; absent when it is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Served>,
    /// The scopes that were tried, innermost first, ending with the one that decided.
    pub trail: Vec<TrailEntry>,
}

/// The version that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Served {
    /// The space whose own value it is; `null` for the environment's.
    pub space: Option<String>,
    /// The version.
    #[schema(example = 3)]
    pub version: u64,
}

/// One scope that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrailEntry {
    /// The space; `null` for the environment.
    #[schema(example = "acme")]
    pub space: Option<String>,
    /// What it said.
    pub verdict: Verdict,
    /// `value`: the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Since when it has said so; absent where nobody ever said anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// Who made it so: an API key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The revision of that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// What a scope says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It has a value.
    Value,
    /// Nothing is served here, whatever stands further out.
    Blocked,
    /// It has nothing to say: the next one is tried.
    Missing,
}
