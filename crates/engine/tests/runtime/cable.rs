//! A ledger behind a cable that can be cut: what a crashed process no longer reaches.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_store::{Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail};
use parking_lot::Mutex;

pub(crate) struct Cable {
    inner: Arc<dyn Ledger>,
    is_cut: AtomicBool,
    /// A stream whose appends fail as on a full disk.
    full: Mutex<Option<Stream>>,
}

impl Cable {
    pub(crate) fn new(inner: Arc<dyn Ledger>) -> Cable {
        Cable { inner, is_cut: AtomicBool::new(false), full: Mutex::new(None) }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn fill_up(&self, stream: Option<Stream>) {
        *self.full.lock() = stream;
    }

    fn reach(&self) -> Result<&dyn Ledger> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable { source: None }),
            false => Ok(&*self.inner),
        }
    }
}

#[async_trait]
impl Ledger for Cable {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        let full = *self.full.lock();
        let mut results = Vec::new();
        for append in batch {
            // One by one, so that an entry that follows a refused one is skipped as it must be.
            let skip = append.follows && matches!(results.last(), Some(Err(_)));
            let result = match self.reach() {
                Err(error) => Err(error),
                Ok(_) if skip => Err(Error::Skipped),
                Ok(_) if Some(append.stream) == full => Err(Error::Full),
                Ok(ledger) => {
                    let alone = Append { follows: false, ..append };
                    ledger.append(vec![alone]).await.pop().expect("one result")
                }
            };
            results.push(result);
        }
        results
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.reach()?.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.reach()?.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.reach()?.subjects(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.reach()?.read(stream, filter, after, limit).await
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        self.inner.tail(stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.reach()?.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.reach()?.purge(stream, subject).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.reach()?.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.reach()?.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        if let Ok(ledger) = self.reach() {
            ledger.close().await;
        }
    }
}
