//! Spaces as they are stored.

use std::sync::Arc;

use claviger_core::{EnvironmentName, SpaceName, Timestamp, subject_token};
use claviger_crypto::sha256;
use claviger_store::Subject;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the subject of every space begins with.
pub(crate) const KIND: &str = "space";

/// `space.<env>.<token>`
pub(crate) fn space_subject(environment: &EnvironmentName, name: &SpaceName) -> Subject {
    Subject::new(&[KIND, environment.as_str(), &subject_token(name.as_str(), sha256)])
}

/// What a record of a space says happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SpaceAction {
    /// It is there, and was not before.
    Created,
    /// It has other metadata.
    Updated,
    /// It is gone. Its secrets are deleted after that.
    Deleted,
}

impl SpaceAction {
    /// The last segment of the event's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SpaceAction::Created => "created",
            SpaceAction::Updated => "updated",
            SpaceAction::Deleted => "deleted",
        }
    }
}

/// A space, and what happened to it last.
#[derive(Clone, Debug)]
pub(crate) struct StoredSpace {
    pub(crate) environment: EnvironmentName,
    pub(crate) name: SpaceName,
    pub(crate) action: SpaceAction,
    /// JSON text on one line.
    pub(crate) metadata: Arc<RawValue>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: Arc<str>,
    pub(crate) updated_at: Timestamp,
    pub(crate) updated_by: Arc<str>,
}

impl StoredSpace {
    /// Whether there is such a space after this record.
    pub(crate) fn is_live(&self) -> bool {
        self.action != SpaceAction::Deleted
    }

    pub(crate) fn subject(&self) -> Subject {
        space_subject(&self.environment, &self.name)
    }
}

/// The body of a record.
#[derive(Serialize, Deserialize)]
pub(crate) struct SpaceForm {
    environment: String,
    name: String,
    action: SpaceAction,
    metadata: Box<RawValue>,
    created_at: i64,
    created_by: Arc<str>,
    updated_at: i64,
    updated_by: Arc<str>,
}

impl SpaceForm {
    pub(crate) fn new(space: &StoredSpace) -> SpaceForm {
        SpaceForm {
            environment: space.environment.to_string(),
            name: space.name.to_string(),
            action: space.action,
            metadata: (*space.metadata).to_owned(),
            created_at: space.created_at.0,
            created_by: space.created_by.clone(),
            updated_at: space.updated_at.0,
            updated_by: space.updated_by.clone(),
        }
    }

    pub(crate) fn read(self) -> Option<StoredSpace> {
        Some(StoredSpace {
            environment: self.environment.parse().ok()?,
            name: self.name.parse().ok()?,
            action: self.action,
            metadata: self.metadata.into(),
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            updated_at: Timestamp(self.updated_at),
            updated_by: self.updated_by,
        })
    }
}
