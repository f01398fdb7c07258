//! A store that several servers share, of which one may hear nothing new.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_store::{Append, Bounds, Filter, Ledger, MemoryLedger, Record, Result, Stream, Subject, Tail};
use futures_util::StreamExt;
use tokio::sync::watch;

/// One server's way to the store.
pub(crate) struct Node {
    sea: Arc<MemoryLedger>,
    /// What is done to environments, keys and spaces does not come here.
    is_deaf: watch::Sender<bool>,
}

impl Node {
    pub(crate) fn new(sea: &Arc<MemoryLedger>) -> Arc<Node> {
        Arc::new(Node { sea: sea.clone(), is_deaf: watch::Sender::new(false) })
    }

    pub(crate) fn deafen(&self) {
        self.is_deaf.send_replace(true);
    }

    pub(crate) fn heal(&self) {
        self.is_deaf.send_replace(false);
    }
}

#[async_trait]
impl Ledger for Node {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        self.sea.append(batch).await
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.sea.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.sea.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.sea.subjects(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.sea.read(stream, filter, after, limit).await
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        let is_deaf = self.is_deaf.subscribe();
        let held = move |record| {
            let mut is_deaf = is_deaf.clone();
            async move {
                // The node is gone when this fails, and so is whoever follows.
                let _ = is_deaf.wait_for(|is_deaf| !is_deaf || stream != Stream::Access).await;
                record
            }
        };
        self.sea.tail(stream, filter, after).then(held).boxed()
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.sea.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.sea.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.sea.barrier(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.sea.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.sea.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.sea.incarnation()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn close(&self) {}
}
