//! Folds the secrets stream into lists, keeps the cache coherent, says what changed, and has superfluous versions erased.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::Arc,
};

use claviger_core::{
    Revision, Scope, SecretName, Verdict,
    secret::{Action, Secret},
    token_to_name,
};
use claviger_store::{Index, Op, Record, Stream, Subject};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast};

use super::{ChangedSecret, SecretMetadata, cache::SecretCache, eraser};
use crate::{
    Error,
    folded::Folded,
    follow::follow,
    record::{
        order,
        secret::{MetadataForm, StoredSecret, space_token},
    },
    shared::Shared,
};

/// The fold's name in the index.
pub(super) const NAME: &str = "secrets";

/// What the keys of a scope begin with. No name has a control character. A space's name stands there as its token, which
/// the subject of a damaged record still tells.
pub(super) fn prefix(scope: &Scope) -> String {
    let space = scope.space.as_ref().map(space_token).unwrap_or_default();
    format!("{}\0{space}\0", scope.environment)
}

/// What the key of a deleted secret begins with. No environment's name begins so.
const DELETED: &str = "\0deleted\0";

/// What is kept for a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    /// It is set, or blocked.
    Set {
        secret: MetadataForm,
        /// Of the last change.
        revision: u64,
        /// Of the last record, where that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<u64>,
    },
    /// Stands under a key of its own, not to be in the way of lists.
    Deleted { revision: u64 },
    /// The secret's last record does not verify.
    Damaged { revision: u64 },
}

impl Entry {
    fn decode(value: &[u8]) -> Result<Entry, Error> {
        serde_json::from_slice(value).map_err(|_| Error::Bug { what: "an entry of the index does not decode" })
    }

    fn encode(&self) -> Vec<u8> {
        // Strings and numbers: encoding them cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The revision of the secret's last record.
    fn last(&self) -> Revision {
        match *self {
            Entry::Set { revision, last, .. } => Revision(last.unwrap_or(revision)),
            Entry::Deleted { revision } | Entry::Damaged { revision } => Revision(revision),
        }
    }
}

/// Reads what is kept for a key. A damaged secret is an error, not a gap in the list.
pub(super) fn read(value: &[u8]) -> Result<SecretMetadata, Error> {
    let unreadable = Error::Bug { what: "an entry of the index that is no secret" };
    match Entry::decode(value)? {
        Entry::Set { secret, revision, .. } => {
            let secret = secret.into_secret().ok_or(unreadable)?;
            Ok(SecretMetadata { secret, revision: Revision(revision) })
        }
        Entry::Deleted { .. } => Err(unreadable),
        Entry::Damaged { revision } => Err(Error::Corrupt {
            stream: Stream::Secrets.name(),
            revision: Revision(revision),
            what: "a secret of this list has a record that does not verify",
        }),
    }
}

/// The revision of the last record of a secret that was folded, zero for none.
pub(super) async fn last(index: &dyn Index, scope: &Scope, name: &SecretName) -> Result<Revision, Error> {
    let key = key(scope, name);
    let found = match index.get(NAME, &key).await? {
        Some(found) => Some(found),
        None => index.get(NAME, &deleted(&key)).await?,
    };
    found.map_or(Ok(Revision::ZERO), |found| Ok(Entry::decode(&found)?.last()))
}

/// Starts the fold where it was left.
pub(super) async fn start(
    shared: &Shared,
    cache: Arc<SecretCache>,
    changes: broadcast::Sender<ChangedSecret>,
) -> Result<Arc<Folded>, Error> {
    let folded = Folded::resume(shared, NAME, Stream::Secrets).await?;
    let reflected = folded.at();
    let last = shared.ledger.bounds(Stream::Secrets).await?.last;
    let eraser = eraser::start(shared);
    let fold = Fold { shared: shared.clone(), cache, changes, folded: folded.clone(), eraser, live_after: last };
    fold.note_coherence();
    folded.watch_over(shared);
    shared.tasks.spawn(async move {
        follow(&fold.shared, Stream::Secrets, reflected, |records| fold.deal(records)).await;
    });
    Ok(folded)
}

struct Fold {
    shared: Shared,
    cache: Arc<SecretCache>,
    changes: broadcast::Sender<ChangedSecret>,
    folded: Arc<Folded>,
    /// Is told when there is something to erase.
    eraser: Arc<Notify>,
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
        let Some(last) = records.last() else { return Ok(()) };
        let mut ops = Vec::with_capacity(records.len());
        let mut erases = false;
        let mut passed = HashMap::new();
        for record in records {
            let outcome = self.read(record, &passed).await;
            passed.insert(&record.subject, record.revision);
            match outcome {
                Ok(read) => {
                    erases |= !read.erase.is_empty();
                    ops.extend(read.erase.iter().copied().map(eraser::note));
                    ops.extend(ops_of(&read));
                    self.announce(record, Arc::new(read));
                }
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(%error, subject = %record.subject, "a secret's record is damaged");
                    ops.extend(damaged(record));
                    self.cache.forget(&record.subject, record.revision);
                }
                Err(error) => return Err(error),
            }
        }
        self.shared.index.write(NAME, ops, BTreeMap::from([(Stream::Secrets, last.revision)])).await?;
        self.folded.note(last);
        self.note_coherence();
        if erases {
            self.eraser.notify_one();
        }
        Ok(())
    }

    /// Reads a record. One that was put back is damage. The ledger is asked only about what neither memory nor the fold
    /// itself can tell.
    async fn read(&self, record: &Record, passed: &HashMap<&Subject, Revision>) -> Result<StoredSecret, Error> {
        let read = StoredSecret::read(&self.shared.keyring, record)?;
        let kept = self.cache.last(&record.subject);
        let is_known = kept.is_some_and(|kept| kept == record.revision || Some(kept) == order::before(record));
        if !is_known && !self.follows_folded(record, &read, passed).await? {
            order::check_place(&*self.shared.ledger, Stream::Secrets, record).await?;
        }
        Ok(read)
    }

    /// Whether the record before it is the last that was folded of the secret. The fold sees every kept record in order,
    /// so none stands between the two. `passed` are those of this batch, which the index does not have yet.
    async fn follows_folded(
        &self,
        record: &Record,
        read: &StoredSecret,
        passed: &HashMap<&Subject, Revision>,
    ) -> Result<bool, Error> {
        let Secret { scope, name, .. } = &read.stored.secret;
        let folded = match passed.get(&record.subject) {
            Some(revision) => *revision,
            None => last(&*self.shared.index, scope, name).await?,
        };
        Ok(order::before(record) == Some(folded) && folded < record.revision)
    }

    fn announce(&self, record: &Record, read: Arc<StoredSecret>) {
        let changed = read.action.map(|_| {
            let secret = &read.stored.secret;
            ChangedSecret { scope: secret.scope.clone(), name: secret.name.clone() }
        });
        self.cache.folded(&record.subject, read);
        if let Some(changed) = changed.filter(|_| record.revision > self.live_after) {
            // Without a listener there is nobody to tell.
            let _ = self.changes.send(changed);
        }
    }

    fn note_coherence(&self) {
        if self.folded.at() >= self.live_after {
            self.cache.caught_up();
        }
    }
}

fn key(scope: &Scope, name: &SecretName) -> String {
    format!("{}{name}", prefix(scope))
}

/// The key under which it is kept of a secret that it was deleted.
fn deleted(key: &str) -> String {
    format!("{DELETED}{key}")
}

fn ops_of(read: &StoredSecret) -> impl Iterator<Item = Op> {
    let (secret, changed, last) = (&read.stored.secret, read.stored.changed, read.stored.last);
    let key = key(&secret.scope, &secret.name);
    let deleted = deleted(&key);
    let (first, second) = if secret.verdict() != Verdict::Missing {
        let last = (last != changed).then_some(last.0);
        let entry = Entry::Set { secret: MetadataForm::new(secret), revision: changed.0, last };
        // Only what was not there before can have been deleted.
        let is_new = matches!(read.action, Some(Action::Created | Action::Blocked));
        let forgotten = is_new.then_some(Op::Delete { key: deleted });
        (Op::Put { key, value: entry.encode() }, forgotten)
    } else {
        let entry = Entry::Deleted { revision: last.0 };
        (Op::Delete { key }, Some(Op::Put { key: deleted, value: entry.encode() }))
    };
    [Some(first), second].into_iter().flatten()
}

/// The entry of a record that does not verify, as far as its subject tells which secret it should be.
fn damaged(record: &Record) -> Option<Op> {
    let key = key_of(&record.subject)?;
    Some(Op::Put { key, value: Entry::Damaged { revision: record.revision.0 }.encode() })
}

fn key_of(subject: &Subject) -> Option<String> {
    let tokens: Vec<&str> = subject.tokens().collect();
    // A hashed token does not tell the name; it stands for it here.
    let name = |token: &str| token_to_name(token).unwrap_or_else(|| token.to_owned());
    match tokens[..] {
        ["secret", environment, "env", token] => Some(format!("{environment}\0\0{}", name(token))),
        ["secret", environment, "space", space, token] => Some(format!("{environment}\0{space}\0{}", name(token))),
        _ => None,
    }
}
