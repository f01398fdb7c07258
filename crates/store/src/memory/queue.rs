//! A queue in memory. Serves the SQLite backend too, which has one process only.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::topic::Topic;
use crate::{Hint, Queue, Result};

/// A queue that is lost with the process; the sweep fills the next one.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    topics: Mutex<HashMap<String, Arc<Shelf>>>,
}

#[derive(Debug, Default)]
struct Shelf {
    topic: Mutex<Topic>,
    offered: Notify,
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> MemoryQueue {
        MemoryQueue::default()
    }

    fn shelf(&self, topic: &str) -> Arc<Shelf> {
        let mut topics = self.topics.lock();
        match topics.get(topic) {
            Some(shelf) => shelf.clone(),
            None => topics.entry(topic.to_owned()).or_default().clone(),
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn offer(&self, topic: &str, id: &str) -> Result<()> {
        let shelf = self.shelf(topic);
        if shelf.topic.lock().offer(id) {
            shelf.offered.notify_waiters();
        }
        Ok(())
    }

    async fn take(&self, topic: &str, limit: usize, lease: Duration) -> Result<Vec<Hint>> {
        let now = Instant::now();
        let ids = self.shelf(topic).topic.lock().take(limit, now, now + lease);
        Ok(ids.into_iter().map(|id| Hint { id }).collect())
    }

    async fn ready(&self, topic: &str) {
        let shelf = self.shelf(topic);
        loop {
            let mut offered = std::pin::pin!(shelf.offered.notified());
            // Listening begins before the look, so that no offer falls between them.
            offered.as_mut().enable();
            let next_return = {
                let mut topic = shelf.topic.lock();
                if topic.is_ready(Instant::now()) {
                    return;
                }
                topic.next_return()
            };
            match next_return {
                // Late or early, the loop looks again.
                Some(at) => drop(timeout_at(at, offered).await),
                None => offered.await,
            }
        }
    }

    async fn extend(&self, topic: &str, hint: &Hint, lease: Duration) -> Result<()> {
        self.shelf(topic).topic.lock().extend(&hint.id, Instant::now() + lease);
        Ok(())
    }

    async fn done(&self, topic: &str, hint: &Hint) -> Result<()> {
        let shelf = self.shelf(topic);
        if shelf.topic.lock().done(&hint.id) {
            shelf.offered.notify_waiters();
        }
        Ok(())
    }
}
