//! The vault: every change and every use of a secret.
//!
//! The management plane ([`Vault::set`], [`Vault::describe`], [`Vault::list`], [`Vault::explain`], [`Vault::delete`],
//! [`Vault::block`]) sees metadata only. The runtime plane ([`Vault::prepare`], [`Vault::prepare_lookup`], [`Vault::open`])
//! hands out values, in three steps that cannot be swapped: resolve what is asked for, store the audit record, open.
//! [`Vault::deliver_all`] does all three.

mod all;
mod cache;
mod change;
mod check;
mod clear;
mod deliver;
mod eraser;
mod fold;
mod fresh;
mod list;
mod lookup;
mod read;
mod redactors;
mod resolve;
mod values;

use std::sync::Arc;

use claviger_core::{
    Revision, Scope, SecretName, SecretValue,
    secret::{Action, Secret},
};
use claviger_store::Stream;
use tokio::sync::broadcast;

pub use deliver::{Prepared, Request};
pub use list::{ListedSecret, Origin};
pub use lookup::Lookup;
pub use resolve::{Explanation, TrailEntry};
pub use values::Delivered;

use self::{cache::SecretCache, change::Turns, redactors::Redactors};
use crate::{
    Error,
    access::Access,
    audit::Audit,
    folded::{Folded, last_since},
    record::{
        order,
        secret::{StoredSecret, subject},
    },
    shared::Shared,
};

/// How many changes a slow listener may lag behind before it is told that it missed some.
const CHANGES: usize = 1_024;

/// Holds the secrets.
pub struct Vault {
    shared: Shared,
    access: Arc<Access>,
    audit: Arc<Audit>,
    cache: Arc<SecretCache>,
    turns: Turns,
    redactors: Arc<Redactors>,
    /// How far the stream has been folded.
    folded: Arc<Folded>,
    changes: broadcast::Sender<ChangedSecret>,
}

/// A secret of which something has changed: it was set, deleted, blocked or unblocked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChangedSecret {
    /// Where. A change in an environment itself may be one for its spaces too.
    pub scope: Scope,
    /// Its name.
    pub name: SecretName,
}

/// A secret as the management plane sees it: everything but its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    /// Its metadata.
    pub secret: Secret,
    /// The revision of its last change: what compare-and-set compares.
    pub revision: Revision,
}

/// A value to be set.
#[derive(Debug)]
pub struct SetSecret {
    /// The value: 0–64 KiB of bytes.
    pub value: SecretValue,
    /// What people say about the secret, at most 1,000 characters; `None` keeps what they said before.
    pub description: Option<String>,
    /// What to do about a value too short to be masked.
    pub short: Short,
    /// The revision of the last change the caller knows of, zero for "not set"; `None` sets it whatever it is.
    pub expected: Option<Revision>,
}

/// What to do about a value of fewer than six bytes, which cannot be masked without lying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// Refuse it.
    Refuse,
    /// Accept it, marked as unmaskable.
    Accept,
}

/// What came of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOutcome {
    /// The secret now.
    pub secret: SecretMetadata,
    /// Whether it was created or updated.
    pub action: Action,
}

impl Vault {
    /// Starts folding the secrets stream.
    pub(crate) async fn start(shared: Shared, access: Arc<Access>, audit: Arc<Audit>) -> Result<Vault, Error> {
        let cache = Arc::new(SecretCache::default());
        let redactors = Arc::new(Redactors::default());
        let (changes, _) = broadcast::channel(CHANGES);
        let folded = fold::start(&shared, cache.clone(), changes.clone()).await?;
        redactors.clone().start_forgetting(&shared);
        Ok(Vault { shared, access, audit, cache, turns: Turns::default(), redactors, folded, changes })
    }

    /// Hears of every change of a secret from now on, by this server and by others. A receiver that lags is told so and has to
    /// look at everything it cares for.
    #[must_use]
    pub fn changed(&self) -> broadcast::Receiver<ChangedSecret> {
        self.changes.subscribe()
    }

    /// What makes secrets unavailable, if something does.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.folded.intact().err()
    }

    /// The last record of a secret, from memory when it is there.
    async fn fetch(&self, scope: &Scope, name: &SecretName) -> Result<Option<Arc<StoredSecret>>, Error> {
        self.folded.intact()?;
        match self.cache.get(&subject(scope, name)) {
            Some(cached) => Ok(cached),
            None => self.fetch_stored(scope, name).await,
        }
    }

    /// The last record of a secret, from the ledger: never an older one than this server has seen.
    async fn fetch_stored(&self, scope: &Scope, name: &SecretName) -> Result<Option<Arc<StoredSecret>>, Error> {
        let subject = &subject(scope, name);
        let ticket = self.cache.ticket();
        let seen = self.cache.seen(subject).max(fold::last(&*self.shared.index, scope, name).await?);
        let record = last_since(&*self.shared.ledger, Stream::Secrets, subject, seen).await?;
        let read = record.as_ref().map(|record| StoredSecret::read(&self.shared.keyring, record)).transpose()?;
        if let Some(record) = &record {
            order::check_place(&*self.shared.ledger, Stream::Secrets, record).await?;
        }
        let read = read.map(Arc::new);
        self.cache.fill(ticket, subject, read.clone());
        Ok(read)
    }
}

impl From<&StoredSecret> for SecretMetadata {
    fn from(read: &StoredSecret) -> SecretMetadata {
        SecretMetadata { secret: read.stored.secret.clone(), revision: read.stored.changed }
    }
}
