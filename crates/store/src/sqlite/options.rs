//! How to open a ledger.

use std::path::PathBuf;

/// What a commit waits for.
#[allow(clippy::manual_non_exhaustive, reason = "the hidden variant is used, by tests only")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The disk has it (fsync).
    #[default]
    Full,
    /// Nothing. Loses acknowledged records with the power; here so that the test which cuts the
    /// power can be shown to notice.
    #[doc(hidden)]
    Off,
}

/// How to open a [`SqliteLedger`](crate::SqliteLedger).
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file; made if it is not there, its directory is not. The write-ahead log (`-wal`),
    /// its index (`-shm`) and the lock (`.lock`) are beside it.
    pub path: PathBuf,
    /// What a commit waits for.
    pub durability: Durability,
    /// A registered file layer for SQLite to use. For tests.
    #[doc(hidden)]
    pub vfs: Option<String>,
    /// The most pages of 4 KiB in the file. For tests of a full disk.
    #[doc(hidden)]
    pub max_pages: Option<u32>,
    /// Pages in the log after which it is copied into the database.
    #[doc(hidden)]
    pub checkpoint_pages: u32,
}

impl SqliteOptions {
    /// The options for this database file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions {
            path: path.into(),
            durability: Durability::Full,
            vfs: None,
            max_pages: None,
            checkpoint_pages: 1000,
        }
    }
}
