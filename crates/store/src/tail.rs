//! Tails, for backends that can page through what is stored and tell how far it goes.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use claviger_core::Revision;
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use crate::{Bounds, Error, Filter, Record, Result, Stream, Tail};

/// Most records that one page holds.
pub(crate) const PAGE_RECORDS: usize = 256;

/// Bytes after which a page ends, so that a tail over large records stays small.
pub(crate) const PAGE_BYTES: usize = 1024 * 1024;

/// How far a stream has got. Sent after every commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) bounds: Bounds,
    pub(crate) is_closed: bool,
}

impl Position {
    /// An open stream with these bounds.
    pub(crate) fn at(bounds: Bounds) -> Position {
        Position { bounds, is_closed: false }
    }
}

/// Some records, and the revision up to which nothing that passes the filter is missing.
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    pub(crate) seen: Revision,
}

/// What a tail needs of a backend.
#[async_trait]
pub(crate) trait Pages: Send + Sync {
    /// The stream's position, now and later.
    fn position(&self, stream: Stream) -> watch::Receiver<Position>;

    /// The records after `after`, as many as fit a page. `seen` is beyond `after` whenever the
    /// stream is.
    async fn page(&self, stream: Stream, filter: &Filter, after: Revision) -> Result<Page>;
}

/// Follows a stream without polling.
pub(crate) fn follow(pages: Arc<dyn Pages>, stream: Stream, filter: Filter, after: Revision) -> Tail {
    let position = pages.position(stream);
    let follower = Follower { pages, stream, filter, position, seen: after, ready: VecDeque::new() };
    stream::try_unfold(follower, |mut follower| async move {
        let record = follower.next().await?;
        Ok(Some((record, follower)))
    })
    .boxed()
}

struct Follower {
    pages: Arc<dyn Pages>,
    stream: Stream,
    filter: Filter,
    position: watch::Receiver<Position>,
    seen: Revision,
    ready: VecDeque<Record>,
}

impl Follower {
    async fn next(&mut self) -> Result<Record> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            let position = *self.position.borrow_and_update();
            if position.is_closed {
                return Err(Error::closed());
            }
            if position.bounds.last > self.seen {
                let page = self.pages.page(self.stream, &self.filter, self.seen).await?;
                self.seen = page.seen;
                self.ready = page.records.into();
            } else if self.position.changed().await.is_err() {
                return Err(Error::closed());
            }
        }
    }
}
