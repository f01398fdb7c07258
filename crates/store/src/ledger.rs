//! The promise every backend keeps.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::{ErrorKind, Incarnation, Revision, Timestamp};
use futures_util::stream::BoxStream;

use crate::{Filter, Stream, Subject};

/// Most bytes in one record. With subject and headers it fits a NATS message of 1 MiB, the servers' default limit.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// What [`Ledger::append`] checks before it appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// The subject has no kept record.
    Absent,
    /// The subject's last kept record has this revision. [`Revision::ZERO`] means the same as
    /// [`Expected::Absent`].
    At(Revision),
}

/// One record to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The stream it goes to.
    pub stream: Stream,
    /// The subject within the stream.
    pub subject: Subject,
    /// What is stored; at most [`Ledger::max_record_bytes`].
    pub bytes: Vec<u8>,
    /// The guard (compare-and-set).
    pub expected: Expected,
    /// Makes a repeated append harmless: while a record with this id is kept in the stream (on NATS:
    /// within the stream's duplicate window, two minutes at least), appending it again stores nothing
    /// and answers with the first record's revision, whatever `expected` says.
    pub message_id: Option<String>,
    /// Append only if the entry before it in the batch was appended (or was a known duplicate);
    /// otherwise the answer is [`Error::Skipped`]. The first entry of a batch never follows.
    pub follows: bool,
}

impl Append {
    /// An append with no message id that does not depend on the entry before it.
    #[must_use]
    pub fn new(stream: Stream, subject: Subject, bytes: Vec<u8>, expected: Expected) -> Append {
        Append { stream, subject, bytes, expected, message_id: None, follows: false }
    }

    /// The same, to be appended only after the entry before it.
    #[must_use]
    pub fn following(self) -> Append {
        Append { follows: true, ..self }
    }
}

/// A stored record. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its subject.
    pub subject: Subject,
    /// Its place in the stream.
    pub revision: Revision,
    /// When the backend stored it, by the backend's clock.
    pub stored_at: Timestamp,
    /// What was appended.
    pub bytes: Arc<[u8]>,
}

/// What a stream holds at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The smallest revision from which nothing has been dropped by retention: a cursor that is at
    /// `first - 1` or later misses nothing. 1 on a stream that never dropped.
    pub first: Revision,
    /// The last revision ever given out; zero on a new stream.
    pub last: Revision,
}

/// Why the store could not do it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The guard did not hold. Nothing was stored.
    #[error("the last revision of the subject is not the expected one")]
    Conflict {
        /// The revision of the subject's last kept record, zero when it has none.
        last: Revision,
    },
    /// The entry it follows was not appended. Nothing was stored.
    #[error("not appended because the record before it was not")]
    Skipped,
    /// No room. Nothing was stored.
    #[error("the store is full")]
    Full,
    /// The record is larger than the limit.
    #[error("a record of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Another server holds the store.
    #[error("another server is using this data directory")]
    InUse,
    /// The directory or file cannot be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// What is stored is damaged, or from a newer version.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What was found, without content.
        what: &'static str,
    },
    /// The backend lets nobody in with these credentials. Calls that fail for it say
    /// [`Error::Unavailable`], with this as the source.
    #[error("the store does not accept the credentials: {what}")]
    Credentials {
        /// What is wrong with them.
        what: &'static str,
    },
    /// The backend is set up in a way that breaks a promise of the ledger. Nothing was changed.
    #[error("the store is not set up as it has to be: {what}")]
    Unsuitable {
        /// Which setting, of what, and what it has to be.
        what: String,
    },
    /// What was acknowledged is no longer there.
    #[error("a stream has lost records that were acknowledged")]
    Lost,
    /// The store, or a stream of it, is not there any more, or is not the one that was there before. Nothing was made or
    /// changed.
    #[error("{what}")]
    Gone {
        /// What is not there, by its name.
        what: String,
    },
    /// The backend failed or is shutting down; whether an append was stored is unknown.
    #[error("the store is not available")]
    Unavailable {
        /// The backend's own error.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    /// The store was closed, or is closing.
    pub(crate) fn closed() -> Error {
        Error::Unavailable { source: None }
    }

    /// The kind that callers see.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Conflict { .. } | Error::InUse => ErrorKind::Conflict,
            Error::Skipped | Error::Credentials { .. } | Error::Unsuitable { .. } | Error::Unavailable { .. } => {
                ErrorKind::Unavailable
            }
            Error::Full | Error::ReadOnly => ErrorKind::Full,
            Error::TooLarge { .. } => ErrorKind::TooLarge,
            Error::Damaged { .. } | Error::Lost | Error::Gone { .. } => ErrorKind::Corrupt,
        }
    }
}

/// Short for a result of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// Records as they are stored, in revision order, without end. An error ends it; start again after
/// the last revision seen.
pub type Tail = BoxStream<'static, Result<Record>>;

/// Records on subjects in streams.
///
/// An acknowledged append is durable (fsync, or the replication the backend was told to require)
/// and visible to every later read of this process.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Appends, not atomically as a batch; one result per entry, same order. Entries of one subject are
    /// appended in their order, and so are those of one stream unless one had to be tried again (on NATS,
    /// while the stream has no leader). On SQLite one fsync serves the whole batch and all batches waiting
    /// with it; on NATS the entries are on their way together, but for those that follow another.
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>>;

    /// The subject's last record.
    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>>;

    /// The subject's kept records, oldest first.
    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>>;

    /// Every subject with a kept record that passes, sorted. For rebuilding only.
    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>>;

    /// At most `limit` kept records after `after`, in revision order.
    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>>;

    /// The same without end: what is kept after `after`, then what comes. Never skips or reorders.
    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail;

    /// Makes one record unrecoverable. Erasing what is not there is no error.
    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()>;

    /// Makes every record of a subject unrecoverable. Its revisions are not used again.
    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()>;

    /// A revision that no record acknowledged before the call is beyond, whichever server wrote it: once a
    /// fold has passed it, it holds all of them. Where other servers write too, that takes an append (of
    /// what no read or tail shows) that is acknowledged like any other.
    async fn barrier(&self, stream: Stream) -> Result<Revision>;

    /// What the stream holds.
    async fn bounds(&self, stream: Stream) -> Result<Bounds>;

    /// Drops what [`Stream::retention`] allows to drop, as of `now`. Backends that do it by
    /// themselves do nothing here.
    async fn trim(&self, now: Timestamp) -> Result<()>;

    /// This life of the store.
    fn incarnation(&self) -> Incarnation;

    /// Most bytes in one record of this ledger, [`MAX_RECORD_BYTES`] unless it needs some of them itself.
    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    /// Whether other servers may be writing to the same store. When not, whatever a former process
    /// had claimed is free at start.
    fn is_shared(&self) -> bool;

    /// Why the last write did not work, until one works again. For telling people, not for deciding.
    fn trouble(&self) -> Option<Error> {
        None
    }

    /// Flushes, closes, and lets go of locks. Calls after it answer [`Error::Unavailable`].
    async fn close(&self);
}
