//! Audit entries as they are stored.

use std::sync::Arc;

use claviger_core::{EnvironmentName, Permission, SecretName, Timestamp};
use claviger_store::{Record, Stream, Subject};
use serde::{Deserialize, Serialize};

use super::verify;
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
        secrets: Vec<(String, u64)>,
    },
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
            FactForm::Delivered { function, run, secrets } => Fact::Delivered {
                function: function.parse().ok()?,
                run: run.parse().ok()?,
                secrets: secrets
                    .into_iter()
                    .map(|(name, version)| Some((name.parse::<SecretName>().ok()?, version)))
                    .collect::<Option<_>>()?,
            },
            FactForm::Refused { role, permission, what, unrecorded } => {
                Fact::Refused { role: role.parse().ok()?, permission, what, unrecorded }
            }
        })
    }
}

/// A permission's stable word.
pub(crate) fn permission_word(permission: Permission) -> &'static str {
    match permission {
        Permission::EnvironmentCreate => "environment.create",
        Permission::EnvironmentList => "environment.list",
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
