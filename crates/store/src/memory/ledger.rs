//! A ledger in memory.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::kept::Kept;
use crate::{
    Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail, clock,
    tail::{Page, Pages, Position, follow},
};

/// A ledger that is lost with the process. Keeps every promise but durability.
pub struct MemoryLedger {
    incarnation: Incarnation,
    shared: Arc<Shared>,
}

struct Shared {
    streams: [Shelf; Stream::ALL.len()],
}

struct Shelf {
    kept: Mutex<Option<Kept>>,
    position: watch::Sender<Position>,
}

impl Default for MemoryLedger {
    fn default() -> MemoryLedger {
        MemoryLedger::new()
    }
}

impl MemoryLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> MemoryLedger {
        // The hasher's keys are random per instance: that is all an incarnation needs.
        let incarnation = Incarnation(RandomState::new().hash_one("incarnation"));
        MemoryLedger { incarnation, shared: Arc::new(Shared { streams: std::array::from_fn(|_| Shelf::new()) }) }
    }

    fn shelf(&self, stream: Stream) -> &Shelf {
        self.shared.shelf(stream)
    }
}

impl Shared {
    fn shelf(&self, stream: Stream) -> &Shelf {
        &self.streams[stream as usize]
    }
}

impl Shelf {
    fn new() -> Shelf {
        let kept = Kept::new();
        let (position, _) = watch::channel(Position::at(kept.bounds));
        Shelf { kept: Mutex::new(Some(kept)), position }
    }

    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> Result<T> {
        self.kept.lock().as_ref().map(read).ok_or_else(Error::closed)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> Result<T> {
        let mut guard = self.kept.lock();
        let kept = guard.as_mut().ok_or_else(Error::closed)?;
        let changed = change(kept);
        self.position.send_replace(Position::at(kept.bounds));
        Ok(changed)
    }

    fn close(&self) {
        let mut guard = self.kept.lock();
        *guard = None;
        self.position.send_modify(|position| position.is_closed = true);
    }
}

#[async_trait]
impl Pages for Shared {
    fn position(&self, stream: Stream) -> watch::Receiver<Position> {
        self.shelf(stream).position.subscribe()
    }

    async fn page(&self, stream: Stream, filter: &Filter, after: Revision) -> Result<Page> {
        self.shelf(stream).read(|kept| kept.page(filter, after))
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        let stored_at = clock::now();
        let mut results: Vec<Result<Revision>> = Vec::with_capacity(batch.len());
        for append in batch {
            let is_orphan = append.follows && matches!(results.last(), Some(Err(_)));
            results.push(if is_orphan {
                Err(Error::Skipped)
            } else {
                self.shelf(append.stream).change(|kept| kept.append(append, stored_at)).flatten()
            });
        }
        results
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.shelf(stream).read(|kept| kept.last(subject))
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.shelf(stream).read(|kept| kept.history(subject))
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.shelf(stream).read(|kept| kept.subjects(filter))
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.shelf(stream).read(|kept| kept.read(filter, after, limit))
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        follow(self.shared.clone(), stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.shelf(stream).change(|kept| kept.remove(revision))
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.shelf(stream).change(|kept| kept.purge(subject))
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        // Nobody else writes.
        Ok(self.bounds(stream).await?.last)
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.shelf(stream).read(|kept| kept.bounds)
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        for stream in Stream::ALL {
            self.shelf(stream).change(|kept| kept.trim(stream.retention(), now))?;
        }
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) {
        for shelf in &self.shared.streams {
            shelf.close();
        }
    }
}
