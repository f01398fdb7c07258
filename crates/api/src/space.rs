//! Spaces.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Instant;

/// A space of an environment. It sees the environment's secrets, and may override or block each.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// Its name, unique in the environment.
    #[schema(example = "acme")]
    pub name: String,
    /// The environment that it belongs to.
    #[schema(example = "default")]
    pub environment: String,
    /// What its users keep there: one JSON object. Everybody who may list spaces reads it: every key but a
    /// subscriber's, of the spaces that it is for.
    #[schema(value_type = Object, example = json!({"plan": "gold"}))]
    pub metadata: Box<RawValue>,
    /// When it was created.
    pub created_at: Instant,
    /// Who created it: an API key's id.
    pub created_by: String,
    /// When it last changed.
    pub updated_at: Instant,
    /// Who last changed it: an API key's id.
    pub updated_by: String,
    /// The revision of its last change.
    #[schema(example = 12)]
    pub revision: u64,
}

/// A part of the list of spaces, by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpaceList {
    /// The spaces.
    pub items: Vec<Space>,
    /// What to pass as `after` for those that follow; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A new space.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSpace {
    /// Its name: 1 to 200 characters, as for a secret's name.
    #[schema(example = "acme")]
    pub name: String,
    /// One JSON object of at most 8 KiB; left out, an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"plan": "gold"}))]
    pub metadata: Option<Box<RawValue>>,
}

/// What a space is to be from now on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSpace {
    /// Takes the place of the present metadata: one JSON object of at most 8 KiB.
    #[schema(value_type = Object, example = json!({"plan": "gold"}))]
    pub metadata: Box<RawValue>,
}

/// A space that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedSpace {
    /// Its name.
    pub name: String,
    /// The environment that it belonged to.
    pub environment: String,
    /// How many secrets of its own were deleted with it, blocks included.
    pub deleted_secrets: u64,
}
