//! Events.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Instant;

/// An event to emit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmitEvent {
    /// Its dotted name; names under `system.` are the server's own.
    #[schema(example = "payout.requested")]
    pub name: String,
    /// Any JSON, at most 256 KiB; left out, `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = serde_json::Value, example = json!({"amount": 1200}))]
    pub data: Option<Box<RawValue>>,
    /// Its id, unique in its environment or space. An event with an id that is known there is not stored again. Left out, the
    /// server makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The space that it happens in; left out, the environment itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    pub space: Option<String>,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Emitted {
    /// Its id.
    pub id: String,
    /// Its name.
    #[schema(example = "payout.requested")]
    pub name: String,
    /// Its environment.
    #[schema(example = "default")]
    pub environment: String,
    /// Its space; absent when it happened in the environment itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Its place in the stream of events.
    pub revision: u64,
    /// When it was stored.
    pub at: Instant,
}

/// An event as a subscription delivers it. Secret values in its data are masked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its name.
    #[schema(example = "system.secret.STRIPE_KEY.updated")]
    pub name: String,
    /// Where it happened. What concerns API keys for all environments belongs to `default`.
    #[schema(example = "default")]
    pub environment: String,
    /// The space that it happened in; absent when that was the environment itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// When it happened.
    pub at: Instant,
    /// Its place in its stream.
    pub revision: u64,
    /// Any JSON.
    #[schema(value_type = serde_json::Value)]
    pub data: Box<RawValue>,
    /// `event` when a caller emitted it, `system` when it tells of a change.
    #[schema(example = "system")]
    pub source: String,
}

/// Tells a subscriber that events may be missing at this place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// `retention`: they are no longer kept. `incarnation`: the cursor is from before the store was restored. `ahead`:
    /// the cursor is of records that the store no longer has.
    pub reason: String,
    /// The stream.
    pub stream: String,
    /// The revision up to which the subscriber had read it.
    pub asked: u64,
    /// The first revision after the gap.
    pub first: u64,
}
