//! The runtime plane: values for declared code, each hand-over audited before anything is opened.

use std::{fmt, sync::Arc};

use claviger_core::{
    Caller, EnvironmentName, FunctionId, Mask, Permission, Redactor, Revision, Scope, SecretName, SecretValue, Verdict,
    resolve, run::RunId,
};
use claviger_store::{Append, Expected, Filter, Stream};

use super::{
    Vault,
    redactors::{Versions, build},
};
use crate::{
    Error, LiveHold,
    record::{
        audit::{AuditForm, FactForm, delivery_subject},
        secret::{StoredSecret, binding, subject},
    },
    runtime::DeclaredSecret,
};

/// Which job wants which secrets.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where.
    pub environment: &'a EnvironmentName,
    /// The function.
    pub function: &'a FunctionId,
    /// The run.
    pub run: RunId,
    /// What the function declares.
    pub declared: &'a [DeclaredSecret],
}

/// What a job would receive: resolved, nothing opened.
#[derive(Debug)]
pub struct Prepared {
    missing_required: Vec<SecretName>,
    delivered: Vec<(SecretName, u64)>,
    environment: EnvironmentName,
    function: FunctionId,
    run: RunId,
    caller: Arc<str>,
    /// One for each of `delivered`.
    found: Vec<Arc<StoredSecret>>,
}

/// The values of a job.
pub struct Delivered {
    /// Names, versions and values, in the order of declaration.
    pub values: Vec<(SecretName, u64, Arc<SecretValue>)>,
    /// Masks these values.
    pub redactor: Redactor,
    /// Keeps these values masked in every log line of this process.
    pub hold: LiveHold,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivered({} values)", self.values.len())
    }
}

impl Prepared {
    /// Required secrets that are not set, or that the caller may not receive.
    #[must_use]
    pub fn missing_required(&self) -> &[SecretName] {
        &self.missing_required
    }

    /// Names and versions of what is there, in the order of declaration.
    #[must_use]
    pub fn delivered(&self) -> &[(SecretName, u64)] {
        &self.delivered
    }
}

impl Vault {
    /// Finds out what a job would receive. Declared secrets outside the caller's bounds count as missing.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller receives no values, or does not serve the function;
    /// [`Error::EnvironmentNotFound`], [`Error::Corrupt`], and what the store says.
    pub async fn prepare(&self, caller: &Caller, request: Request<'_>) -> Result<Prepared, Error> {
        let Request { environment, function, run, declared } = request;
        self.access.authorize(caller, Permission::SecretReceive, environment).await?;
        if !caller.may_serve(function) {
            let bound = Some(format!("it may not serve the function `{function}`"));
            return Err(self.access.refuse(caller, Permission::FunctionServe, Some(environment), bound).await);
        }
        let mut prepared = Prepared {
            missing_required: Vec::new(),
            delivered: Vec::with_capacity(declared.len()),
            environment: environment.clone(),
            function: function.clone(),
            run,
            caller: caller.id.clone(),
            found: Vec::with_capacity(declared.len()),
        };
        let scope = Scope::environment(environment.clone());
        for DeclaredSecret { name, required } in declared {
            let found = if caller.may_receive(name) { self.resolve(&scope, name).await? } else { None };
            match found {
                Some((version, read)) => {
                    prepared.delivered.push((name.clone(), version));
                    prepared.found.push(read);
                }
                None if *required => prepared.missing_required.push(name.clone()),
                None => {}
            }
        }
        Ok(prepared)
    }

    /// The audit record of a hand-over, to be stored before [`Vault::open`].
    #[must_use]
    pub fn delivery_audit(&self, prepared: &Prepared) -> Append {
        let secrets = prepared.delivered.iter().map(|(name, version)| (name.to_string(), *version)).collect();
        let (function, run) = (prepared.function.to_string(), prepared.run.to_string());
        let entry =
            AuditForm::new(self.shared.now(), prepared.caller.clone(), FactForm::Delivered { function, run, secrets });
        self.shared.sign(Stream::Audit, delivery_subject(&prepared.environment), &entry, Expected::Any)
    }

    /// Opens what was prepared. Takes the revision at which [`Vault::delivery_audit`] was stored: without a durable audit
    /// record there is none, and nothing opens. Where there is nothing to deliver, none is needed.
    ///
    /// # Errors
    /// [`Error::Bug`] for values without an audit record; [`Error::Corrupt`] when a value does not open.
    pub fn open(&self, prepared: Prepared, audited_at: Option<Revision>) -> Result<Delivered, Error> {
        if audited_at.is_none() && !prepared.found.is_empty() {
            return Err(Error::Bug { what: "a delivery without its audit record" });
        }
        let mut values = Vec::with_capacity(prepared.found.len());
        let mut masked = Vec::with_capacity(prepared.found.len());
        let mut versions =
            Versions { environment: prepared.environment, secrets: Vec::with_capacity(values.capacity()) };
        for ((name, version), read) in prepared.delivered.into_iter().zip(prepared.found) {
            let value = Arc::new(self.open_active(&read)?);
            masked.push((Mask::new(&name, version), value.clone()));
            versions.secrets.push((read.stored.secret.scope.space.clone(), name.clone(), version));
            values.push((name, version, value));
        }
        let hold = self.shared.live.hold(&masked);
        let redactor = self.redactors.of(versions, &hold);
        if audited_at.is_some() {
            self.audit.count_delivery();
        }
        Ok(Delivered { values, redactor, hold })
    }

    /// A redactor of versions that a run received earlier. Versions that are no longer kept are left out.
    pub async fn reopen(&self, environment: &EnvironmentName, versions: &[(SecretName, u64)]) -> Redactor {
        let scope = Scope::environment(environment.clone());
        let mut masked = Vec::with_capacity(versions.len());
        for (name, version) in versions {
            match self.open_version(&scope, name, *version).await {
                Ok(Some(value)) => masked.push((Mask::new(name, *version), Arc::new(value))),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a value that was delivered earlier cannot be masked any more"),
            }
        }
        build(&masked)
    }

    /// Whether a name means a value in an environment. For the engine's own use: no caller learns of it.
    pub(crate) async fn is_set(&self, environment: &EnvironmentName, name: &SecretName) -> Result<bool, Error> {
        Ok(self.resolve(&Scope::environment(environment.clone()), name).await?.is_some())
    }

    async fn resolve(&self, from: &Scope, name: &SecretName) -> Result<Option<(u64, Arc<StoredSecret>)>, Error> {
        let mut asked = Vec::with_capacity(2);
        for scope in from.chain() {
            if let Some(read) = self.fetch(&scope, name).await? {
                asked.push(read);
            }
        }
        let active = |read: &Arc<StoredSecret>| read.stored.secret.active;
        let in_scope = |scope: &Scope| asked.iter().find(|read| read.stored.secret.scope == *scope);
        let verdict = |scope: &Scope| in_scope(scope).and_then(active).map_or(Verdict::Missing, Verdict::Value);
        let found = resolve(from, verdict).found;
        Ok(found.and_then(|(scope, version)| in_scope(&scope).map(|read| (version, read.clone()))))
    }

    async fn open_version(&self, scope: &Scope, name: &SecretName, version: u64) -> Result<Option<SecretValue>, Error> {
        let Some(last) = self.fetch(scope, name).await? else { return Ok(None) };
        if last.active().is_some_and(|(active, _)| active == version) {
            return self.open_active(&last).map(Some);
        }
        let known = last.stored.secret.versions.iter().find(|known| known.number == version);
        let Some(revision) = known.and_then(|known| known.revision) else { return Ok(None) };
        let filter = Filter::Exact(subject(scope, name));
        let before = Revision(revision.0.saturating_sub(1));
        let records = self.shared.ledger.read(Stream::Secrets, &filter, before, 1).await?;
        let Some(record) = records.first().filter(|record| record.revision == revision) else { return Ok(None) };
        let read = StoredSecret::read(&self.shared.keyring, record)?;
        if read.stored.secret.active != Some(version) {
            return Ok(None);
        }
        self.open_active(&read).map(Some)
    }

    fn open_active(&self, read: &StoredSecret) -> Result<SecretValue, Error> {
        let corrupt = || Error::Corrupt {
            stream: Stream::Secrets.name(),
            revision: read.stored.last,
            what: "its value does not open",
        };
        let (version, envelope) = read.active().ok_or_else(corrupt)?;
        let opened = self.shared.keyring.open_sealed(&binding(&read.stored.secret, version), envelope);
        opened.map_err(|_| corrupt())
    }
}
