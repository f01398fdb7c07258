//! Errors on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong (RFC 9457). Tells no value and repeats no input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/errors/<code>`.
    #[schema(example = "/errors/revision_conflict")]
    pub r#type: String,
    /// The stable code.
    #[schema(example = "revision_conflict")]
    pub code: String,
    /// What the code means, in a few words.
    #[schema(example = "Revision conflict")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What happened this time.
    #[schema(example = "the revision is 12, not the expected one")]
    pub detail: String,
    /// The request's id, as in the header `X-Request-Id` and in the server's log.
    pub request_id: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// `revision_conflict`: the revision of the secret or space now, `0` for a secret that is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<u64>,
}
