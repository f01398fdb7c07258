//! Whether the server is there, and whether it can work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: String,
}

/// Whether the server can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// `ready`, `stopping`, or `unavailable` while the store cannot be reached.
    #[schema(example = "ready")]
    pub status: String,
    /// `configured`, or `development`: then whoever has the data directory has the secrets.
    #[schema(example = "configured")]
    pub master_key: String,
    /// What the operator should know, for an admin key; for others, how many such warnings there are. And what is wrong just now.
    pub warnings: Vec<String>,
    /// The backend: `sqlite`, or `nats`.
    #[schema(example = "sqlite")]
    pub store: String,
    /// What becomes of acknowledged writes.
    pub durability: Durability,
}

/// What is known about acknowledged writes, as it was when the server started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Durability {
    /// `durable`: they survive a loss of power, and on NATS that of a server. `weak`: they may not. `unknown`: nobody says.
    #[schema(example = "durable")]
    pub level: String,
    /// How many copies there are of the records that have the fewest.
    #[schema(example = 1)]
    pub replicas: u32,
    /// `file`, or `memory` when some records are nowhere else.
    #[schema(example = "file")]
    pub storage: String,
    /// `always`: every copy is on its disk before it counts. `later`: some are not. `unknown`: nobody says.
    #[schema(example = "always")]
    pub synced: String,
}
