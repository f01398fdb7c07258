//! Everything in memory: for tests, and the queue of a single server.

mod index;
mod kept;
mod ledger;
mod queue;
mod topic;

pub use index::MemoryIndex;
pub use ledger::MemoryLedger;
pub use queue::MemoryQueue;
pub(crate) use topic::Topic;
