//! Environments and API keys as they are stored, and what else the access stream holds.

use std::sync::Arc;

use claviger_core::{Bounds, EnvironmentName, FunctionId, Pattern, Reach, Role, SpaceName, Timestamp};
use claviger_store::{Record, Stream, Subject};
use serde::{Deserialize, Serialize};

use super::{
    base64_bytes,
    space::{SpaceForm, StoredSpace},
    verify,
};
use crate::{Error, access::ApiKeyMetadata};

/// `environment.<env>`
pub(crate) fn environment_subject(name: &EnvironmentName) -> Subject {
    Subject::new(&["environment", name.as_str()])
}

/// `apikey.<id>`; `None` when the text cannot be an id.
pub(crate) fn api_key_subject(id: &str) -> Option<Subject> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| Subject::new(&["apikey", id]))
}

/// A record of the access stream, read and verified.
#[derive(Clone, Debug)]
pub(crate) enum AccessRecord {
    /// An environment was created.
    Environment(StoredEnvironment),
    /// An API key was created, or revoked if `revoked_at` is set.
    ApiKey(StoredApiKey),
    /// A space was created, changed or deleted.
    Space(StoredSpace),
}

impl AccessRecord {
    /// Reads a record. One that does not verify, or stands in the wrong place, is corruption.
    pub(crate) fn read(keyring: &claviger_crypto::Keyring, record: &Record) -> Result<AccessRecord, Error> {
        let corrupt = |what| Error::Corrupt { stream: Stream::Access.name(), revision: record.revision, what };
        let form: AccessForm = verify(keyring, Stream::Access, record)?;
        let read = form.read().ok_or(corrupt("it is no state an environment, an API key or a space can be in"))?;
        if read.subject().as_ref() != Some(&record.subject) {
            return Err(corrupt("it stands in the place of another record"));
        }
        Ok(read)
    }

    fn subject(&self) -> Option<Subject> {
        match self {
            AccessRecord::Environment(environment) => Some(environment_subject(&environment.name)),
            AccessRecord::ApiKey(key) => api_key_subject(&key.info.id),
            AccessRecord::Space(space) => Some(space.subject()),
        }
    }
}

/// An environment.
#[derive(Clone, Debug)]
pub(crate) struct StoredEnvironment {
    pub(crate) name: EnvironmentName,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: Arc<str>,
    /// The id of the data key that seals its values.
    pub(crate) data_key: Arc<str>,
}

/// An API key, with the hash of its secret part.
#[derive(Clone)]
pub(crate) struct StoredApiKey {
    pub(crate) info: ApiKeyMetadata,
    pub(crate) revoked_by: Option<Arc<str>>,
    pub(crate) hash: Arc<[u8]>,
}

impl std::fmt::Debug for StoredApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredApiKey({:?})", self.info)
    }
}

/// The body of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessForm {
    Environment { name: String, created_at: i64, created_by: Arc<str>, data_key: Arc<str> },
    ApiKey(Box<ApiKeyForm>),
    Space(Box<SpaceForm>),
}

impl AccessForm {
    pub(crate) fn of_environment(environment: &StoredEnvironment) -> AccessForm {
        AccessForm::Environment {
            name: environment.name.to_string(),
            created_at: environment.created_at.0,
            created_by: environment.created_by.clone(),
            data_key: environment.data_key.clone(),
        }
    }

    pub(crate) fn of_api_key(key: &StoredApiKey) -> AccessForm {
        AccessForm::ApiKey(Box::new(ApiKeyForm::new(key)))
    }

    pub(crate) fn of_space(space: &StoredSpace) -> AccessForm {
        AccessForm::Space(Box::new(SpaceForm::new(space)))
    }

    fn read(self) -> Option<AccessRecord> {
        Some(match self {
            AccessForm::Environment { name, created_at, created_by, data_key } => {
                let (name, created_at) = (name.parse().ok()?, Timestamp(created_at));
                AccessRecord::Environment(StoredEnvironment { name, created_at, created_by, data_key })
            }
            AccessForm::ApiKey(form) => AccessRecord::ApiKey(form.read()?),
            AccessForm::Space(form) => AccessRecord::Space(form.read()?),
        })
    }
}

// What narrows a key must not get lost on a server that does not know of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyForm {
    id: Arc<str>,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    functions: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spaces: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    origins: Vec<String>,
    created_at: i64,
    created_by: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_by: Option<Arc<str>>,
    #[serde(with = "base64_bytes")]
    hash: Arc<[u8]>,
}

impl ApiKeyForm {
    fn new(key: &StoredApiKey) -> ApiKeyForm {
        let StoredApiKey { info, revoked_by, hash } = key;
        ApiKeyForm {
            id: info.id.clone(),
            role: info.role.to_string(),
            environment: match &info.reach {
                Reach::All => None,
                Reach::One(environment) => Some(environment.to_string()),
            },
            description: info.description.clone(),
            secrets: info.bounds.secrets.clone(),
            functions: info.bounds.functions.as_deref().map(texts_of),
            spaces: info.bounds.spaces.as_deref().map(texts_of),
            events: texts_of(&info.bounds.events),
            origins: info.bounds.origins.clone(),
            created_at: info.created_at.0,
            created_by: info.created_by.clone(),
            expires_at: info.expires_at.map(|at| at.0),
            revoked_at: info.revoked_at.map(|at| at.0),
            revoked_by: revoked_by.clone(),
            hash: hash.clone(),
        }
    }

    fn read(self) -> Option<StoredApiKey> {
        let bounds = Bounds {
            secrets: self.secrets,
            functions: parse_bound::<FunctionId>(self.functions)?,
            spaces: parse_bound::<SpaceName>(self.spaces)?,
            events: parse_all::<Pattern>(self.events)?,
            origins: self.origins,
        };
        let info = ApiKeyMetadata {
            id: self.id,
            role: self.role.parse::<Role>().ok()?,
            reach: match self.environment {
                None => Reach::All,
                Some(name) => Reach::One(name.parse().ok()?),
            },
            description: self.description,
            bounds: Arc::new(bounds),
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            expires_at: self.expires_at.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
        };
        Some(StoredApiKey { info, revoked_by: self.revoked_by, hash: self.hash })
    }
}

fn texts_of<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// `None` for a bound that does not read: it must not become no bound.
fn parse_bound<T: std::str::FromStr>(texts: Option<Vec<String>>) -> Option<Option<Vec<T>>> {
    texts.map_or(Some(None), |texts| parse_all(texts).map(Some))
}

fn parse_all<T: std::str::FromStr>(texts: Vec<String>) -> Option<Vec<T>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}
