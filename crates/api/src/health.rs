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
    /// `ready`, or `stopping`.
    #[schema(example = "ready")]
    pub status: String,
    /// `configured`, or `development`: then whoever has the data directory has the secrets.
    #[schema(example = "configured")]
    pub master_key: String,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// The backend.
    #[schema(example = "sqlite")]
    pub store: String,
}
