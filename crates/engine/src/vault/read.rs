//! Metadata, one secret or many.

use std::time::Duration;

use claviger_core::{Caller, Permission, Revision, Scope, SecretName};
use claviger_store::Stream;
use tokio::time::timeout;

use super::{SecretMetadata, Vault, fold};
use crate::{Error, Page, page::checked};

/// How long a list waits for what was written before it was asked for.
const LIST_WAITS: Duration = Duration::from_secs(2);

impl Vault {
    /// A secret's metadata.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SecretNotFound`], [`Error::Corrupt`], and what the
    /// store says.
    pub async fn describe(&self, caller: &Caller, scope: &Scope, name: &SecretName) -> Result<SecretMetadata, Error> {
        self.access.authorize(caller, Permission::SecretList, &scope.environment).await?;
        let read = self.fetch(scope, name).await?.filter(|read| read.stored.secret.active.is_some());
        read.map(|read| SecretMetadata::from(&*read)).ok_or(Error::SecretNotFound)
    }

    /// The secrets set in a scope, in the order of their names' bytes, after a name. At most 1,000 at a time; `next` is
    /// the name to go on after. Whatever was written before the call is in the list.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::Corrupt`] when one of the secrets is damaged,
    /// [`Error::TimedOut`] when the list is more than 2 s behind, and what the store says.
    pub async fn list(
        &self,
        caller: &Caller,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<SecretMetadata>, Error> {
        self.access.authorize(caller, Permission::SecretList, &scope.environment).await?;
        self.reflect_everything().await?;
        let limit = checked(limit)?;
        let prefix = fold::prefix(scope);
        let after = after.map(|name| format!("{prefix}{name}")).unwrap_or_default();
        let entries = self.shared.index.scan(fold::NAME, &prefix, &after, limit + 1).await?;
        let infos = entries.iter().map(|entry| fold::read(&entry.value)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(infos, limit, |info| info.secret.name.to_string()))
    }

    async fn reflect_everything(&self) -> Result<(), Error> {
        let last = self.shared.ledger.bounds(Stream::Secrets).await?.last;
        let mut folded = self.folded.clone();
        let reached = folded.wait_for(|revision: &Revision| *revision >= last);
        match timeout(LIST_WAITS, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopping),
            Err(_) => Err(Error::TimedOut),
        }
    }
}
