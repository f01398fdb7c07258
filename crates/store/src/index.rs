//! Derived, rebuildable, ordered keys.

use std::collections::BTreeMap;

use async_trait::async_trait;
use claviger_core::Revision;

use crate::{Result, Stream};

/// One change to a fold's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets a key.
    Put {
        /// The key, compared as bytes.
        key: String,
        /// What is kept for it.
        value: Vec<u8>,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
}

/// A key and what is kept for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// What is kept for it.
    pub value: Vec<u8>,
}

/// What is folded from tails: lists, filters, timers, a fast start. Several *folds* share an index,
/// each with keys of its own, named by a word. Losing the index loses nothing: a fold whose
/// [`reflected`](Index::reflected) is empty starts again from the ledger. Writes need not be durable,
/// but keys and the revisions they reflect are written together or not at all.
#[async_trait]
pub trait Index: Send + Sync {
    /// Applies the operations in order and notes that the fold now reflects the streams up to these
    /// revisions (streams not named keep theirs).
    async fn write(&self, fold: &str, ops: Vec<Op>, reflected: BTreeMap<Stream, Revision>) -> Result<()>;

    /// Up to which revision of each stream the fold has been written. Empty for a new fold.
    async fn reflected(&self, fold: &str) -> Result<BTreeMap<Stream, Revision>>;

    /// The value of one key.
    async fn get(&self, fold: &str, key: &str) -> Result<Option<Vec<u8>>>;

    /// At most `limit` entries whose key begins with `prefix` and is greater than `after` (or all that
    /// begin with `prefix` when `after` is empty), in byte order of the keys.
    async fn scan(&self, fold: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>>;

    /// Forgets a fold: its keys and what it reflects.
    async fn clear(&self, fold: &str) -> Result<()>;
}
