//! Callers, environments, API keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Instant, SecretText};

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallerView {
    /// The API key's id.
    #[schema(example = "k7wq2mxa")]
    pub id: String,
    /// Its role.
    #[schema(example = "operator")]
    pub role: String,
    /// The environments that it reaches: `all`, or a list of names.
    pub environments: Reach,
    /// The environment that is meant when none is named.
    #[schema(example = "default")]
    pub environment: String,
    /// The spaces that it is narrowed to; absent means the environment and all its spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spaces: Option<Vec<String>>,
}

/// Which environments an API key reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Reach {
    /// `all`.
    All(AllEnvironments),
    /// These.
    Some(Vec<String>),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllEnvironments {
    /// Every environment.
    All,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Its name.
    #[schema(example = "default")]
    pub name: String,
    /// When it was created.
    pub created_at: Instant,
}

/// The environments that the caller reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentList {
    /// The environments, by name.
    pub items: Vec<Environment>,
}

/// A new environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    /// Its name: `[a-z][a-z0-9-]{0,38}`, not `all`.
    #[schema(example = "staging")]
    pub name: String,
}

/// An API key. Its secret part is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Its id.
    #[schema(example = "k7wq2mxa")]
    pub id: String,
    /// `admin`, `operator`, `runtime`, `viewer` or `subscriber`.
    #[schema(example = "runtime")]
    pub role: String,
    /// Its environment's name, or `all`.
    #[schema(example = "default")]
    pub environment: String,
    /// What people wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `runtime`: name patterns of the secrets that it may receive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// `runtime`: the functions that it may serve; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<String>>,
    /// `runtime`: the spaces that it is narrowed to; absent means the environment and all its spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spaces: Option<Vec<String>>,
    /// `subscriber`: the event patterns that it may subscribe to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// `subscriber`: the browser origins that it may be used from; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// When it was made.
    pub created_at: Instant,
    /// Who made it: an API key's id.
    pub created_by: String,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Instant>,
}

/// The API keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyList {
    /// The API keys, oldest first.
    pub items: Vec<ApiKey>,
}

/// A new API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateApiKey {
    /// `admin`, `operator`, `runtime`, `viewer` or `subscriber`.
    #[schema(example = "runtime")]
    pub role: String,
    /// An environment's name, or `all`.
    #[schema(example = "default")]
    pub environment: String,
    /// What people should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `runtime`: name patterns of the secrets that it may receive, at least one; `*` stands for any run of characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["STRIPE_*"]))]
    pub secrets: Vec<String>,
    /// `runtime`: the functions that it may serve; left out, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<String>>,
    /// `runtime`: only these spaces, not the environment itself; left out, the environment and all its spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["acme"]))]
    pub spaces: Option<Vec<String>>,
    /// `subscriber`: the event patterns that it may subscribe to, at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// `subscriber`: the browser origins that it may be used from; none means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Seconds until it expires; left out, a `subscriber` key has 24 hours and others do not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A new API key, with the key itself: shown this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedApiKey {
    /// What is known about it.
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key: what goes into the header `Authorization: Bearer …`.
    #[schema(value_type = String, example = "clv_default_k7wq2mxa_…")]
    pub key: SecretText,
}
