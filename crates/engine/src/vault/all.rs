//! Every value that some scopes mean, at once: for clients that know no other way of asking.

use std::{collections::BTreeSet, sync::Arc};

use claviger_core::{Caller, EnvironmentName, Permission, Scope, SecretName, SecretValue, secret::SecretVersion};

use super::{
    SecretMetadata, Vault,
    deliver::{Prepared, Recipient},
};
use crate::Error;

/// Names read at once.
const PAGE: usize = 1_000;

impl Vault {
    /// Hands over what each name means in these scopes of one environment, the innermost first, in the order of the names.
    /// Names outside the caller's bounds are left out, and values that show through a space which was deleted meanwhile.
    /// Scopes that do not exist, or that the caller is not for, say nothing; the environment itself is seen by whoever is for
    /// a space before it. One audit record that names each value is stored before any is opened; where there is none to hand
    /// over, there is no record.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller receives no values, [`Error::EnvironmentNotFound`], [`Error::Invalid`] for scopes of
    /// several environments or none at all, [`Error::Corrupt`] when one of the secrets is damaged, [`Error::TimedOut`], and
    /// what the store says: also when the audit record would be too large for it.
    pub async fn deliver_all(
        &self,
        caller: &Caller,
        scopes: &[Scope],
        what: &str,
    ) -> Result<Vec<(SecretVersion, Arc<SecretValue>, SecretMetadata)>, Error> {
        let environment = one_environment(scopes)?;
        self.access.authorize(caller, Permission::SecretReceive, environment).await?;
        let scopes = self.reached(caller, scopes).await?;
        let mut prepared = Prepared::new(caller, environment, Recipient::Other(what.to_owned()));
        let mut resolved = Vec::new();
        for name in self.names(&scopes).await?.iter().filter(|name| caller.may_receive(name)) {
            resolved.push(self.resolve(&scopes, name).await?);
        }
        self.found(resolved).await?.into_iter().flatten().for_each(|found| prepared.add(found));
        if prepared.delivered().is_empty() {
            return Ok(Vec::new());
        }
        let audited_at = self.shared.append(self.delivery_audit(&prepared)).await?;
        let (opened, _hold) = self.open_each(&prepared, Some(audited_at))?;
        let Prepared { delivered, found, .. } = prepared;
        let metadata = found.iter().map(|read| SecretMetadata::from(&**read));
        let rows = delivered.into_iter().zip(opened).zip(metadata);
        Ok(rows.map(|((version, (_, value)), metadata)| (version, value, metadata)).collect())
    }

    /// Those that exist and that the caller is for, and the environment behind a space of these.
    async fn reached(&self, caller: &Caller, scopes: &[Scope]) -> Result<Vec<Scope>, Error> {
        let mut reached = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let is_inherited = scope.space.is_none() && !reached.is_empty();
            if is_inherited || (caller.reaches_space(scope.space.as_ref()) && self.exists(scope).await?) {
                reached.push(scope.clone());
            }
        }
        Ok(reached)
    }

    /// The names about which any of the scopes says something.
    async fn names(&self, scopes: &[Scope]) -> Result<BTreeSet<SecretName>, Error> {
        self.reflect_everything().await?;
        let mut names = BTreeSet::new();
        for scope in scopes {
            let mut after: Option<String> = None;
            loop {
                let page = self.scan(scope, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.secret.name.to_string());
                names.extend(page.into_iter().map(|found| found.secret.name));
            }
        }
        Ok(names)
    }
}

fn one_environment(scopes: &[Scope]) -> Result<&EnvironmentName, Error> {
    match scopes {
        [first, others @ ..] if others.iter().all(|other| other.environment == first.environment) => {
            Ok(&first.environment)
        }
        _ => Err(Error::invalid("values are handed over of scopes of one environment")),
    }
}
