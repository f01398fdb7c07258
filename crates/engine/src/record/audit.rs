//! Audit entries as they are stored.

use std::sync::Arc;

use claviger_core::{EnvironmentName, Permission, Timestamp, secret::SecretVersion};
use claviger_store::{Record, Stream, Subject};
use serde::{Deserialize, Serialize};

use super::{secret::SecretVersionForm, verify};
use crate::{
    Error,
    audit::{AuditEntry, Fact},
};

/// `audit.<env>.delivery`
pub(crate) fn delivery_subject(environment: &EnvironmentName) -> Subject {
    Subject::new(&["audit", environment.as_str(), "delivery"])
}

/// `audit.<env>.refusal`
pub(crate) fn refusal_subject(environment: &EnvironmentName) -> Subject {
    Subject::new(&["audit", environment.as_str(), "refusal"])
}

/// What both have before them: `audit.<env>`
pub(crate) fn environment_subject(environment: &EnvironmentName) -> Subject {
    Subject::new(&["audit", environment.as_str()])
}

/// The body of a record.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuditForm {
    at: i64,
    caller: Arc<str>,
    fact: FactForm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FactForm {
    Delivered {
        function: String,
        run: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<String>,
        secrets: Vec<SecretVersionForm>,
    },
    #[serde(rename = "handed_over")]
    HandedOver { what: String, secrets: Vec<SecretVersionForm> },
    Refused {
        role: String,
        permission: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
        #[serde(default, skip_serializing_if = "is_zero")]
        unrecorded: u64,
    },
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl AuditForm {
    pub(crate) fn new(at: Timestamp, caller: Arc<str>, fact: FactForm) -> AuditForm {
        AuditForm { at: at.0, caller, fact }
    }

    /// Reads a record. One that does not verify is corruption.
    pub(crate) fn read(keyring: &claviger_crypto::Keyring, record: &Record) -> Result<AuditEntry, Error> {
        let form: AuditForm = verify(keyring, Stream::Audit, record)?;
        let corrupt = Error::Corrupt {
            stream: Stream::Audit.name(),
            revision: record.revision,
            what: "it is no entry that was ever written",
        };
        let fact = form.fact.read().ok_or(corrupt)?;
        Ok(AuditEntry { revision: record.revision, at: Timestamp(form.at), caller: form.caller, fact })
    }
}

impl FactForm {
    fn read(self) -> Option<Fact> {
        Some(match self {
            FactForm::Delivered { function, run, home, secrets } => Fact::Delivered {
                function: function.parse().ok()?,
                run: run.parse().ok()?,
                home: home.map(|home| home.parse()).transpose().ok()?,
                secrets: versions(secrets)?,
            },
            FactForm::HandedOver { what, secrets } => Fact::HandedOver { what, secrets: versions(secrets)? },
            FactForm::Refused { role, permission, what, unrecorded } => {
                Fact::Refused { role: role.parse().ok()?, permission, what, unrecorded }
            }
        })
    }
}

/// `None` when one of them names no secret.
fn versions(forms: Vec<SecretVersionForm>) -> Option<Vec<SecretVersion>> {
    forms.into_iter().map(SecretVersionForm::into_version).collect()
}

/// A permission's stable word.
pub(crate) fn permission_word(permission: Permission) -> &'static str {
    match permission {
        Permission::EnvironmentCreate => "environment.create",
        Permission::EnvironmentList => "environment.list",
        Permission::SpaceWrite => "space.write",
        Permission::SpaceList => "space.list",
        Permission::ApiKeyWrite => "apikey.write",
        Permission::ApiKeyList => "apikey.list",
        Permission::SecretWrite => "secret.write",
        Permission::SecretList => "secret.list",
        Permission::SecretReceive => "secret.receive",
        Permission::EventEmit => "event.emit",
        Permission::EventSubscribe => "event.subscribe",
        Permission::FunctionServe => "function.serve",
        Permission::FunctionList => "function.list",
        Permission::RunList => "run.list",
        Permission::RunCancel => "run.cancel",
        Permission::AuditList => "audit.list",
    }
}
