//! Secrets. No answer has room for a value.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Instant, SecretText, json_string};

/// A new value for a secret. Wiped when dropped.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetSecret {
    /// The value: 0 to 65,536 bytes, as text or in base64.
    #[serde(deserialize_with = "json_string::read")]
    #[schema(write_only, value_type = String, example = "sk_live_example_value")]
    pub value: SecretText,
    /// How the value is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What people should know about it. Left out, the present description stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Accept a value too short to be masked in logs and results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_short: bool,
}

/// How new the answer to a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// What the server knows: never older than what it knew before.
    #[default]
    Default,
    /// Everything that was acknowledged before the request, by whichever server.
    Strong,
}

impl Consistency {
    /// Both, in the order in which they are shown.
    pub const ALL: [Consistency; 2] = [Consistency::Default, Consistency::Strong];

    /// The word in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Consistency::Default => "default",
            Consistency::Strong => "strong",
        }
    }
}

/// How a value is written in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As it is.
    #[default]
    Utf8,
    /// In base64 (RFC 4648 section 4, padding optional).
    Base64,
}

/// A secret's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Its name.
    #[schema(example = "STRIPE_KEY")]
    pub name: String,
    /// The environment that it belongs to.
    #[schema(example = "default")]
    pub environment: String,
    /// The space whose own record this is; `null` for the environment's.
    pub space: Option<String>,
    /// In a space: why it shows what it shows. Where secrets of a space are listed or described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The active version; absent while nothing of its own is served, as when it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 7)]
    pub version: Option<u64>,
    /// The revision of its last change: what `If-Match` compares.
    #[schema(example = 12)]
    pub revision: u64,
    /// What people wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was first set, or set again after a delete.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Who last changed it: an API key's id.
    pub updated_by: String,
    /// Present and true when its value is too short to be masked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmaskable: bool,
    /// The versions that are kept, oldest first. Only where one secret is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<SecretVersion>>,
}

/// Where what a space shows under a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The space's own: the environment has nothing of that name.
    Own,
    /// The environment's.
    Inherited,
    /// The space's own, in place of the environment's.
    Overridden,
    /// Nothing: the space must not see the name.
    Blocked,
}

impl Origin {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Inherited => "inherited",
            Origin::Overridden => "overridden",
            Origin::Blocked => "blocked",
        }
    }
}

/// A version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVersion {
    /// Its number, from 1, never used again.
    pub version: u64,
    /// When it was set.
    pub created_at: Instant,
    /// Who set it: an API key's id.
    pub created_by: String,
}

/// A secret that is no longer served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedSecret {
    /// Its name.
    pub name: String,
    /// The environment that it belonged to.
    pub environment: String,
    /// The space whose own it was; absent for the environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The highest version that it had.
    pub version: u64,
    /// The revision of the delete.
    pub revision: u64,
}

/// A part of the list of secrets, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretList {
    /// The secrets.
    pub items: Vec<Secret>,
    /// What to pass as `after` for those that follow; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
