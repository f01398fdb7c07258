//! Metadata, one secret or many.

use std::time::Duration;

use claviger_core::{Caller, Permission, Scope, SecretName};
use claviger_store::Stream;
use tokio::time::timeout;

use super::{SecretMetadata, Vault, fold};
use crate::{Error, Page, page::checked};

/// How long a list waits for what was written before it was asked for.
const LIST_WAITS: Duration = Duration::from_secs(2);

/// How long a strong read waits for what was written anywhere before it was asked for.
const STRONG_WAITS: Duration = Duration::from_secs(5);

impl Vault {
    /// Waits until this server has everything that any server acknowledged before the call: a read after it is a strong
    /// one. Costs a round trip to the store where others write to it too; reads that wait at the same time share it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::TimedOut`] after five seconds, [`Error::RecordsLost`], and
    /// what the store says.
    pub async fn catch_up(&self, caller: &Caller, scope: &Scope) -> Result<(), Error> {
        self.access.authorize(caller, Permission::SecretList, &scope.environment).await?;
        self.settle().await
    }

    /// The same for the engine's own use.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        timeout(STRONG_WAITS, self.folded.catch_up(&self.shared)).await.map_err(|_| Error::TimedOut)?
    }

    /// A secret's metadata. This server never answers with an older one than it did before, nor than it was told by the
    /// store; what another server was told of may take a moment to come here.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SecretNotFound`], [`Error::Corrupt`],
    /// [`Error::RecordsLost`], and what the store says.
    pub async fn describe(&self, caller: &Caller, scope: &Scope, name: &SecretName) -> Result<SecretMetadata, Error> {
        self.access.authorize(caller, Permission::SecretList, &scope.environment).await?;
        let read = self.fetch(scope, name).await?.filter(|read| read.stored.secret.active.is_some());
        read.map(|read| SecretMetadata::from(&*read)).ok_or(Error::SecretNotFound)
    }

    /// The secrets set in a scope, in the order of their names' bytes, after a name. At most 1,000 at a time; `next` is
    /// the name to go on after. Whatever this server had written or seen before the call is in the list.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::Corrupt`] when one of the secrets is damaged,
    /// [`Error::RecordsLost`], [`Error::TimedOut`] when the list is more than 2 s behind, and what the store says.
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
        self.folded.intact()?;
        let last = self.shared.ledger.bounds(Stream::Secrets).await?.last;
        timeout(LIST_WAITS, self.folded.reach(&self.shared, last)).await.map_err(|_| Error::TimedOut)?
    }
}
