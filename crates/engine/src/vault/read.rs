//! How new what is read has to be.

use std::time::Duration;

use claviger_core::{Caller, Permission, Revision, Scope};
use claviger_store::Stream;
use tokio::time::timeout;

use super::Vault;
use crate::Error;

/// How long a list waits for what was written before it was asked for.
const LIST_WAITS: Duration = Duration::from_secs(2);

/// How long a strong read waits for what was written anywhere before it was asked for.
const STRONG_WAITS: Duration = Duration::from_secs(5);

impl Vault {
    /// Waits until this server has everything that any server acknowledged before the call: a read after it is a strong
    /// one, also about whether there is the space. Costs a round trip to the store where others write to it too; reads that
    /// wait at the same time share it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::TimedOut`] after five seconds, [`Error::RecordsLost`], and
    /// what the store says.
    pub async fn catch_up(&self, caller: &Caller, scope: &Scope) -> Result<(), Error> {
        self.access.authorize(caller, Permission::SecretList, &scope.environment).await?;
        match &scope.space {
            Some(_) => tokio::try_join!(self.access.settle(), self.settle()).map(drop),
            None => self.settle().await,
        }
    }

    /// The same for the engine's own use.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        timeout(STRONG_WAITS, self.folded.catch_up(&self.shared)).await.map_err(|_| Error::TimedOut)?
    }

    /// Waits until the index has everything up to a revision that the stream has.
    pub(super) async fn reflect(&self, revision: Revision) -> Result<(), Error> {
        self.folded.intact()?;
        timeout(STRONG_WAITS, self.folded.reach(&self.shared, revision)).await.map_err(|_| Error::TimedOut)?
    }

    /// Waits until the index has what this server had written or seen before the call.
    pub(super) async fn reflect_everything(&self) -> Result<(), Error> {
        self.folded.intact()?;
        let last = self.shared.ledger.bounds(Stream::Secrets).await?.last;
        timeout(LIST_WAITS, self.folded.reach(&self.shared, last)).await.map_err(|_| Error::TimedOut)?
    }
}
