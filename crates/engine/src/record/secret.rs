//! A secret as it is stored: metadata, and the active version's envelope.

use std::sync::Arc;

use claviger_core::{
    Revision, Scope, SecretName, SpaceName, Timestamp,
    secret::{Action, Secret, SecretVersion, Stored, Version},
    subject_token,
};
use claviger_crypto::{Binding, Keyring, sha256};
use claviger_store::{Record, Stream, Subject};
use serde::{Deserialize, Serialize};

use super::{base64_bytes, verify};
use crate::Error;

/// A secret's subject: `secret.<env>.env.<token>`, or `secret.<env>.space.<space token>.<token>`.
pub(crate) fn subject(scope: &Scope, name: &SecretName) -> Subject {
    let environment = scope.environment.as_str();
    let name = subject_token(name.as_str(), sha256);
    match &scope.space {
        None => Subject::new(&["secret", environment, "env", &name]),
        Some(space) => Subject::new(&["secret", environment, "space", &space_token(space), &name]),
    }
}

/// A space's name as one token of a subject.
pub(crate) fn space_token(space: &SpaceName) -> String {
    subject_token(space.as_str(), sha256)
}

/// A record of a secret, read and verified.
#[derive(Debug)]
pub(crate) struct StoredSecret {
    /// The state and the revisions that guard it.
    pub(crate) stored: Stored,
    /// What the change was; `None` for maintenance.
    pub(crate) action: Option<Action>,
    /// Records whose versions this one made superfluous.
    pub(crate) erase: Vec<Revision>,
    /// The active version, sealed; `None` when deleted or blocked.
    envelope: Option<Envelope>,
}

impl StoredSecret {
    /// Reads a record. One that does not verify, or stands in the wrong place, is corruption.
    pub(crate) fn read(keyring: &Keyring, record: &Record) -> Result<StoredSecret, Error> {
        let form: SecretForm = verify(keyring, Stream::Secrets, record)?;
        let corrupt = |what| Error::Corrupt { stream: Stream::Secrets.name(), revision: record.revision, what };
        let read = form.into_stored(record.revision).ok_or(corrupt("it is no state a secret can be in"))?;
        let secret = &read.stored.secret;
        if subject(&secret.scope, &secret.name) != record.subject {
            return Err(corrupt("it stands in the place of another secret"));
        }
        Ok(read)
    }

    /// The sealed active version, with its number; `None` when deleted or blocked.
    pub(crate) fn active(&self) -> Option<(u64, &[u8])> {
        Some((self.stored.secret.active?, &self.envelope.as_ref()?.0))
    }
}

/// What an envelope of a secret is bound to.
pub(crate) fn binding<'a>(secret: &'a Secret, version: u64) -> Binding<'a> {
    Binding::Secret {
        environment: secret.scope.environment.as_str(),
        space: secret.scope.space.as_ref().map(SpaceName::as_str),
        name: secret.name.as_str(),
        version,
        metadata: if secret.unmaskable { b"unmaskable" } else { b"" },
    }
}

/// The body of a record.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecretForm {
    secret: MetadataForm,
    /// Who wrote this record: for a change the same as `updated_by`.
    caller: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<ActionForm>,
    /// Why, in the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// In a maintenance record, the revision of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    erase: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope>,
}

impl SecretForm {
    /// The record of a change.
    pub(crate) fn of_change(changed: &claviger_core::secret::Changed, envelope: Option<Vec<u8>>) -> SecretForm {
        SecretForm {
            secret: MetadataForm::new(&changed.secret),
            caller: changed.secret.updated_by.clone(),
            action: Some(ActionForm::from(changed.action)),
            reason: None,
            changed: None,
            erase: changed.erase.iter().map(|revision| revision.0).collect(),
            envelope: envelope.map(|bytes| Envelope(bytes.into())),
        }
    }

    /// What a read of this record answers once it is stored.
    pub(crate) fn stored_at(self, revision: Revision) -> Result<StoredSecret, Error> {
        self.into_stored(revision).ok_or(Error::Bug { what: "a secret's record that does not read back" })
    }

    /// Replaces the envelope by what `renew` makes of it. False when the record is no state a secret can be in.
    pub(crate) fn renew_envelope<E>(
        &mut self,
        renew: impl FnOnce(&Binding<'_>, &[u8]) -> Result<Arc<[u8]>, E>,
    ) -> Result<bool, E> {
        let secret = self.secret.clone().into_secret();
        match (secret.as_ref().map(|secret| (secret, secret.active)), &mut self.envelope) {
            (Some((secret, Some(version))), Some(envelope)) => {
                envelope.0 = renew(&binding(secret, version), &envelope.0)?;
                Ok(true)
            }
            (Some((_, None)), None) => Ok(true),
            _ => Ok(false),
        }
    }

    fn into_stored(self, revision: Revision) -> Option<StoredSecret> {
        let secret = self.secret.into_secret()?;
        let changed = self.changed.map_or(revision, Revision);
        let is_complete =
            secret.active.is_some() == self.envelope.is_some() && self.changed.is_none() == self.action.is_some();
        is_complete.then(|| StoredSecret {
            stored: Stored { secret, changed, last: revision },
            action: self.action.map(Action::from),
            erase: self.erase.into_iter().map(Revision).collect(),
            envelope: self.envelope,
        })
    }
}

/// A secret's metadata, in records and in the index.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MetadataForm {
    name: String,
    environment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    space: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    latest: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    versions: Vec<VersionForm>,
    created_at: i64,
    updated_at: i64,
    updated_by: Arc<str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unmaskable: bool,
}

impl MetadataForm {
    pub(crate) fn new(secret: &Secret) -> MetadataForm {
        MetadataForm {
            name: secret.name.to_string(),
            environment: secret.scope.environment.to_string(),
            space: secret.scope.space.as_ref().map(ToString::to_string),
            description: secret.description.clone(),
            latest: secret.latest,
            active: secret.active,
            blocked: secret.blocked,
            versions: secret.versions.iter().map(VersionForm::new).collect(),
            created_at: secret.created_at.0,
            updated_at: secret.updated_at.0,
            updated_by: secret.updated_by.clone(),
            unmaskable: secret.unmaskable,
        }
    }

    /// `None` when it is no state a secret can be in.
    pub(crate) fn into_secret(self) -> Option<Secret> {
        let space = self.space.map(|space| space.parse()).transpose().ok()?;
        let scope = Scope { environment: self.environment.parse().ok()?, space };
        if self.blocked && (self.active.is_some() || scope.space.is_none()) {
            return None;
        }
        Some(Secret {
            name: self.name.parse().ok()?,
            scope,
            description: self.description,
            latest: self.latest,
            active: self.active,
            blocked: self.blocked,
            versions: self.versions.into_iter().map(VersionForm::into_version).collect(),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            updated_by: self.updated_by,
            unmaskable: self.unmaskable,
        })
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct VersionForm {
    number: u64,
    created_at: i64,
    created_by: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

impl VersionForm {
    fn new(version: &Version) -> VersionForm {
        VersionForm {
            number: version.number,
            created_at: version.created_at.0,
            created_by: version.created_by.clone(),
            revision: version.revision.map(|revision| revision.0),
        }
    }

    fn into_version(self) -> Version {
        Version {
            number: self.number,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            revision: self.revision.map(Revision),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionForm {
    Created,
    Updated,
    Deleted,
    Blocked,
    Unblocked,
}

impl From<Action> for ActionForm {
    fn from(action: Action) -> ActionForm {
        match action {
            Action::Created => ActionForm::Created,
            Action::Updated => ActionForm::Updated,
            Action::Deleted => ActionForm::Deleted,
            Action::Blocked => ActionForm::Blocked,
            Action::Unblocked => ActionForm::Unblocked,
        }
    }
}

impl From<ActionForm> for Action {
    fn from(form: ActionForm) -> Action {
        match form {
            ActionForm::Created => Action::Created,
            ActionForm::Updated => Action::Updated,
            ActionForm::Deleted => Action::Deleted,
            ActionForm::Blocked => Action::Blocked,
            ActionForm::Unblocked => Action::Unblocked,
        }
    }
}

/// A version that was handed out, as records name it: `[name, version]`, with the space behind them if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SecretVersionForm {
    InEnvironment(String, u64),
    InSpace(String, u64, String),
}

impl SecretVersionForm {
    pub(crate) fn new(named: &SecretVersion) -> SecretVersionForm {
        let (name, version) = (named.name.to_string(), named.version);
        match &named.space {
            None => SecretVersionForm::InEnvironment(name, version),
            Some(space) => SecretVersionForm::InSpace(name, version, space.to_string()),
        }
    }

    /// `None` when it names no secret.
    pub(crate) fn into_version(self) -> Option<SecretVersion> {
        let (name, version, space) = match self {
            SecretVersionForm::InEnvironment(name, version) => (name, version, None),
            SecretVersionForm::InSpace(name, version, space) => (name, version, Some(space)),
        };
        let space = space.map(|space| space.parse()).transpose().ok()?;
        Some(SecretVersion { name: name.parse().ok()?, version, space })
    }
}

/// A sealed value, as base64 in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Envelope(#[serde(with = "base64_bytes")] Arc<[u8]>);
