//! Hints about work that may be ready.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// An offered id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What was offered.
    pub id: String,
}

/// A queue of **hints, never truth**: loss and repetition are harmless, because a sweep over the index
/// offers again whatever is ready, and whether work may start is decided by a guarded append.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Offers an id on a topic. Offering an id that waits there already changes nothing.
    async fn offer(&self, topic: &str, id: &str) -> Result<()>;

    /// Takes up to `limit` hints, oldest first, without waiting for any. A hint that is not
    /// [`done`](Queue::done) within `lease` is handed out again.
    async fn take(&self, topic: &str, limit: usize, lease: Duration) -> Result<Vec<Hint>>;

    /// Completes when the topic may have a hint to take: at once when it has, otherwise after the next
    /// offer or when a lease runs out. May complete early.
    async fn ready(&self, topic: &str);

    /// Renews the lease of a taken hint.
    async fn extend(&self, topic: &str, hint: &Hint, lease: Duration) -> Result<()>;

    /// Removes a taken hint.
    async fn done(&self, topic: &str, hint: &Hint) -> Result<()>;
}
