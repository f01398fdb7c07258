//! The ledger, the queue and the index: bytes on subjects in streams, and what is derived from them.
//!
//! The store sees ciphertext and signed metadata only; it never holds a key. Everything is designed
//! for the weakest backend: **the unit of atomicity is one record appended.**

mod clock;
mod index;
mod ledger;
mod live;
mod memory;
mod nats;
mod queue;
mod sqlite;
mod stream;
mod tail;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use index::{Entry, Index, Op};
pub use ledger::{Append, Bounds, Error, Expected, Ledger, MAX_RECORD_BYTES, Record, Result, Tail};
pub use memory::{MemoryIndex, MemoryLedger, MemoryQueue};
pub use nats::{NatsConnection, NatsLedger, NatsOptions, NatsQueue, Placement};
pub use queue::{Hint, Queue};
pub use sqlite::{Durability, Rewritten, SqliteIndex, SqliteLedger, SqliteOptions};
pub use stream::{Filter, Retention, Stream, Subject};
