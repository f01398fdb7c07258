//! The runtime plane: values for declared code, each hand-over audited before anything is opened.

use std::sync::Arc;

use claviger_core::{
    Caller, EnvironmentName, FunctionId, Permission, Scope, SecretName, SpaceName, run::RunId, secret::SecretVersion,
};
use claviger_store::{Append, Expected, Stream};

use super::{Vault, resolve::Found};
use crate::{
    Error,
    record::{
        audit::{AuditForm, FactForm, delivery_subject},
        secret::{SecretVersionForm, StoredSecret},
    },
    runtime::DeclaredSecret,
};

/// Which job wants which secrets.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where the run is.
    pub scope: &'a Scope,
    /// The function.
    pub function: &'a FunctionId,
    /// The run.
    pub run: RunId,
    /// What the function declares.
    pub declared: &'a [DeclaredSecret],
}

/// What somebody would receive: resolved, nothing opened.
#[derive(Debug)]
pub struct Prepared {
    missing_required: Vec<SecretName>,
    pub(super) delivered: Vec<SecretVersion>,
    /// One for each of `delivered`.
    pub(super) found: Vec<Arc<StoredSecret>>,
    /// Where the values live.
    pub(super) environment: EnvironmentName,
    caller: Arc<str>,
    recipient: Recipient,
}

/// Who is to receive values, as the audit says it.
#[derive(Clone, Debug)]
pub(super) enum Recipient {
    /// A job.
    Job {
        function: FunctionId,
        run: RunId,
        /// Where the run is.
        home: EnvironmentName,
    },
    /// Whoever asked for all at once, in the server's words.
    Other(String),
}

impl Prepared {
    pub(super) fn new(caller: &Caller, environment: &EnvironmentName, recipient: Recipient) -> Prepared {
        Prepared {
            missing_required: Vec::new(),
            delivered: Vec::new(),
            found: Vec::new(),
            environment: environment.clone(),
            caller: caller.id.clone(),
            recipient,
        }
    }

    pub(super) fn add(&mut self, (version, read): Found) {
        self.delivered.push(version);
        self.found.push(read);
    }

    /// Required secrets that are not set, or that the caller may not receive.
    #[must_use]
    pub fn missing_required(&self) -> &[SecretName] {
        &self.missing_required
    }

    /// Which versions of what is there, in the order of declaration.
    #[must_use]
    pub fn delivered(&self) -> &[SecretVersion] {
        &self.delivered
    }
}

impl Vault {
    /// Finds out what a job would receive. Declared secrets outside the caller's bounds count as missing, and so do all in
    /// a space that does not exist.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller receives no values, does not serve the function, or is not for this space;
    /// [`Error::EnvironmentNotFound`], [`Error::Corrupt`], [`Error::TimedOut`] when nobody can tell within five seconds
    /// whether the space is still there, and what the store says.
    pub async fn prepare(&self, caller: &Caller, request: Request<'_>) -> Result<Prepared, Error> {
        let Request { scope, function, run, declared } = request;
        self.authorize_job(caller, scope, function).await?;
        let recipient = Recipient::Job { function: function.clone(), run, home: scope.environment.clone() };
        let mut prepared = Prepared::new(caller, &scope.environment, recipient);
        let chain = self.chain(scope).await?;
        let mut resolved = Vec::with_capacity(declared.len());
        for DeclaredSecret { name, .. } in declared {
            let scopes = if caller.may_receive(name) { &chain[..] } else { &[] };
            resolved.push(self.resolve(scopes, name).await?);
        }
        for (DeclaredSecret { name, required }, found) in declared.iter().zip(self.found(resolved).await?) {
            match found {
                Some(found) => prepared.add(found),
                None if *required => prepared.missing_required.push(name.clone()),
                None => {}
            }
        }
        Ok(prepared)
    }

    /// Answers whether the caller may receive values for a job of this function in this scope.
    pub(super) async fn authorize_job(
        &self,
        caller: &Caller,
        scope: &Scope,
        function: &FunctionId,
    ) -> Result<(), Error> {
        self.access.authorize(caller, Permission::SecretReceive, &scope.environment).await?;
        let bound = if !caller.may_serve(function) {
            format!("it may not serve the function `{function}`")
        } else if !caller.reaches_space(scope.space.as_ref()) {
            format!("it is not for {}", words(scope.space.as_ref()))
        } else {
            return Ok(());
        };
        Err(self.access.refuse(caller, Permission::FunctionServe, Some(&scope.environment), Some(bound)).await)
    }

    /// The audit record of a hand-over, to be stored before [`Vault::open`].
    #[must_use]
    pub fn delivery_audit(&self, prepared: &Prepared) -> Append {
        let secrets = prepared.delivered.iter().map(SecretVersionForm::new).collect();
        let fact = match &prepared.recipient {
            Recipient::Job { function, run, home } => FactForm::Delivered {
                function: function.to_string(),
                run: run.to_string(),
                home: (*home != prepared.environment).then(|| home.to_string()),
                secrets,
            },
            Recipient::Other(what) => FactForm::HandedOver { what: what.clone(), secrets },
        };
        let entry = AuditForm::new(self.shared.now(), prepared.caller.clone(), fact);
        self.shared.sign(Stream::Audit, delivery_subject(&prepared.environment), &entry, Expected::Any)
    }
}

/// A part of an environment, for people.
pub(super) fn words(space: Option<&SpaceName>) -> String {
    space.map_or("the environment itself, only for spaces".to_owned(), |space| format!("the space `{space}`"))
}
