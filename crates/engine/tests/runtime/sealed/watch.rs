//! A ledger and a queue that note what they are given.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_store::{Append, Bounds, Filter, Hint, Ledger, Queue, Record, Result, Stream, Subject, Tail};
use parking_lot::Mutex;
use tokio::sync::watch::Sender;

/// Something that went into the store.
#[derive(Clone)]
pub(super) struct Watched {
    /// The stream, or what it was.
    pub(super) place: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct WatchedLedger {
    inner: Arc<dyn Ledger>,
    seen: Mutex<Vec<Watched>>,
}

impl WatchedLedger {
    pub(super) fn new(inner: Arc<dyn Ledger>) -> WatchedLedger {
        WatchedLedger { inner, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Vec<Watched> {
        self.seen.lock().clone()
    }

    fn note(&self, append: &Append) {
        let mut seen = self.seen.lock();
        let place = append.stream.name();
        seen.push(Watched { place, bytes: append.subject.as_str().as_bytes().to_vec() });
        seen.push(Watched { place, bytes: append.bytes.clone() });
        let ids = append.message_id.iter().map(|id| Watched { place: "message id", bytes: id.clone().into_bytes() });
        seen.extend(ids);
    }
}

#[async_trait]
impl Ledger for WatchedLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        batch.iter().for_each(|append| self.note(append));
        self.inner.append(batch).await
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.inner.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.inner.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.inner.subjects(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.inner.read(stream, filter, after, limit).await
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        self.inner.tail(stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.inner.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.inner.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.inner.barrier(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.inner.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.inner.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

pub(super) struct WatchedQueue {
    inner: Arc<dyn Queue>,
    seen: Mutex<Vec<Watched>>,
    offers: Sender<usize>,
}

impl WatchedQueue {
    pub(super) fn new(inner: Arc<dyn Queue>) -> WatchedQueue {
        WatchedQueue { inner, seen: Mutex::default(), offers: Sender::new(0) }
    }

    pub(super) fn seen(&self) -> Vec<Watched> {
        self.seen.lock().clone()
    }

    /// Completes when so many hints were offered.
    pub(super) async fn offered(&self, count: usize) {
        self.offers.subscribe().wait_for(|offers| *offers >= count).await.unwrap();
    }
}

#[async_trait]
impl Queue for WatchedQueue {
    async fn offer(&self, topic: &str, id: &str) -> Result<()> {
        self.seen.lock().push(Watched { place: "hint's topic", bytes: topic.as_bytes().to_vec() });
        self.seen.lock().push(Watched { place: "hint", bytes: id.as_bytes().to_vec() });
        self.inner.offer(topic, id).await?;
        self.offers.send_modify(|offers| *offers += 1);
        Ok(())
    }

    async fn take(&self, topic: &str, limit: usize, lease: Duration) -> Result<Vec<Hint>> {
        self.inner.take(topic, limit, lease).await
    }

    async fn ready(&self, topic: &str) {
        self.inner.ready(topic).await;
    }

    async fn extend(&self, topic: &str, hint: &Hint, lease: Duration) -> Result<()> {
        self.inner.extend(topic, hint, lease).await
    }

    async fn done(&self, topic: &str, hint: &Hint) -> Result<()> {
        self.inner.done(topic, hint).await
    }
}
