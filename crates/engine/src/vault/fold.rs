//! Folds the secrets stream into lists, keeps the cache coherent, says what changed, and erases superfluous versions.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use claviger_core::{EnvironmentName, Revision, Scope, SecretName, token_to_name};
use claviger_store::{Op, Record, Stream, Subject};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::{SecretMetadata, cache::SecretCache};
use crate::{
    Error,
    follow::follow,
    record::{
        order,
        secret::{MetadataForm, StoredSecret},
    },
    shared::Shared,
};

/// The fold's name in the index.
pub(super) const NAME: &str = "secrets";

/// What the keys of a scope begin with. No name has a control character.
pub(super) fn prefix(scope: &Scope) -> String {
    let space = scope.space.as_ref().map_or("", claviger_core::SpaceName::as_str);
    format!("{}\0{space}\0", scope.environment)
}

/// What is kept for a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Folded {
    Set {
        secret: MetadataForm,
        revision: u64,
    },
    /// The secret's last record does not verify.
    Damaged {
        revision: u64,
    },
}

/// Reads what is kept for a key. A damaged secret is an error, not a gap in the list.
pub(super) fn read(value: &[u8]) -> Result<SecretMetadata, Error> {
    let unreadable = || Error::Bug { what: "an entry of the index does not decode" };
    match serde_json::from_slice(value).map_err(|_| unreadable())? {
        Folded::Set { secret, revision } => {
            let secret = secret.into_secret().ok_or_else(unreadable)?;
            Ok(SecretMetadata { secret, revision: Revision(revision) })
        }
        Folded::Damaged { revision } => Err(Error::Corrupt {
            stream: Stream::Secrets.name(),
            revision: Revision(revision),
            what: "a secret of this list has a record that does not verify",
        }),
    }
}

/// Starts the fold where it was left. The receiver tells how far it has come.
pub(super) async fn start(
    shared: &Shared,
    cache: Arc<SecretCache>,
    changes: broadcast::Sender<(EnvironmentName, SecretName)>,
) -> Result<watch::Receiver<Revision>, Error> {
    let last = shared.ledger.bounds(Stream::Secrets).await?.last;
    let reflected = shared.index.reflected(NAME).await?.get(&Stream::Secrets).copied().unwrap_or_default();
    let reflected = if reflected > last { begin_again(shared).await? } else { reflected };
    let (progress, folded) = watch::channel(reflected);
    let fold = Fold { shared: shared.clone(), cache, changes, progress, live_after: last };
    fold.note_progress(reflected);
    shared.tasks.spawn(async move {
        follow(&fold.shared, Stream::Secrets, reflected, |records| fold.deal(records)).await;
    });
    Ok(folded)
}

/// An index that is ahead of the ledger belongs to another one.
async fn begin_again(shared: &Shared) -> Result<Revision, Error> {
    shared.index.clear(NAME).await?;
    Ok(Revision::ZERO)
}

struct Fold {
    shared: Shared,
    cache: Arc<SecretCache>,
    changes: broadcast::Sender<(EnvironmentName, SecretName)>,
    progress: watch::Sender<Revision>,
    /// The stream's last revision when the engine started: what comes after it is news.
    live_after: Revision,
}

impl Fold {
    async fn deal(&self, records: Vec<Record>) -> ControlFlow<()> {
        match self.fold(&records).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                tracing::warn!(%error, "the list of secrets could not be brought up to date, it will be tried again");
                ControlFlow::Break(())
            }
        }
    }

    async fn fold(&self, records: &[Record]) -> Result<(), Error> {
        let Some(last) = records.last().map(|record| record.revision) else { return Ok(()) };
        let mut ops = Vec::with_capacity(records.len());
        let mut erase = Vec::new();
        for record in records {
            match self.read(record).await {
                Ok(read) => {
                    erase.extend_from_slice(&read.erase);
                    ops.push(op(&read));
                    self.announce(record, Arc::new(read));
                }
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(%error, subject = %record.subject, "a secret's record is damaged");
                    ops.extend(damaged(record));
                    self.cache.forget(&record.subject);
                }
                Err(error) => return Err(error),
            }
        }
        // Erased before the fold has passed: a server that dies here does it again.
        let ledger = &self.shared.ledger;
        let erased = join_all(erase.into_iter().map(|revision| ledger.erase(Stream::Secrets, revision))).await;
        erased.into_iter().collect::<Result<(), _>>()?;
        self.shared.index.write(NAME, ops, BTreeMap::from([(Stream::Secrets, last)])).await?;
        self.note_progress(last);
        Ok(())
    }

    /// Reads a record. One that was put back is damage. What this server wrote itself, or has a successor of in memory, need
    /// not be looked up.
    async fn read(&self, record: &Record) -> Result<StoredSecret, Error> {
        let read = StoredSecret::read(&self.shared.keyring, record)?;
        let kept = self.cache.last(&record.subject);
        let is_known = kept.is_some_and(|kept| kept == record.revision || Some(kept) == order::before(record));
        if !is_known {
            order::check_place(&*self.shared.ledger, Stream::Secrets, record).await?;
        }
        Ok(read)
    }

    fn announce(&self, record: &Record, read: Arc<StoredSecret>) {
        let changed = read.action.map(|_| {
            let secret = &read.stored.secret;
            (secret.scope.environment.clone(), secret.name.clone())
        });
        self.cache.folded(&record.subject, read);
        if let Some(changed) = changed.filter(|_| record.revision > self.live_after) {
            // Without a listener there is nobody to tell.
            let _ = self.changes.send(changed);
        }
    }

    fn note_progress(&self, revision: Revision) {
        if revision >= self.live_after {
            self.cache.caught_up();
        }
        self.progress.send_replace(revision);
    }
}

fn op(read: &StoredSecret) -> Op {
    let secret = &read.stored.secret;
    let key = format!("{}{}", prefix(&secret.scope), secret.name);
    if secret.active.is_none() {
        return Op::Delete { key };
    }
    let folded = Folded::Set { secret: MetadataForm::new(secret), revision: read.stored.changed.0 };
    Op::Put { key, value: encode(&folded) }
}

/// The entry of a record that does not verify, as far as its subject tells which secret it should be.
fn damaged(record: &Record) -> Option<Op> {
    let key = key_of(&record.subject)?;
    Some(Op::Put { key, value: encode(&Folded::Damaged { revision: record.revision.0 }) })
}

fn key_of(subject: &Subject) -> Option<String> {
    let tokens: Vec<&str> = subject.tokens().collect();
    // A hashed token does not tell the name; it stands for it here.
    let name = |token: &str| token_to_name(token).unwrap_or_else(|| token.to_owned());
    match tokens[..] {
        ["secret", environment, "env", token] => Some(format!("{environment}\0\0{}", name(token))),
        ["secret", environment, "space", space, token] => {
            Some(format!("{environment}\0{}\0{}", name(space), name(token)))
        }
        _ => None,
    }
}

fn encode(folded: &Folded) -> Vec<u8> {
    // Strings and numbers: encoding them cannot fail.
    serde_json::to_vec(folded).unwrap_or_default()
}
