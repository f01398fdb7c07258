//! One directory, no other process: the default backend.
//!
//! One thread owns the only connection that writes. It takes everything that waits, appends it in
//! one transaction, commits (one fsync), and only then answers. Reads go through connections of
//! their own and never wait for the writer.

mod apply;
mod connect;
mod error;
mod heads;
mod index;
mod ledger;
mod lock;
mod options;
mod pool;
mod read;
mod rewrite;
mod schema;
mod sql;
mod trim;
mod writer;

pub use index::SqliteIndex;
pub use ledger::SqliteLedger;
pub use options::{Durability, SqliteOptions};
pub use rewrite::Rewritten;
