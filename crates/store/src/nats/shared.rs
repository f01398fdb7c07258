//! What the ledger, its tails and its consumers share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use claviger_core::Revision;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    api::Kept,
    connection::NatsConnection,
    fault::Fault,
    feed::Feed,
    names::Names,
    read::{self, Span},
    turns::Turns,
};
use crate::{
    Error, Filter, Record, Result, Stream,
    tail::{Page, Pages, Position},
};

/// How long it is news that a write was not answered.
const NEWS_FOR: Duration = Duration::from_secs(10);

/// A ledger's connection and what is known of its streams.
pub(super) struct Shared {
    pub(super) connection: NatsConnection,
    shelves: [Shelf; Stream::ALL.len()],
    /// When and why the last write failed, if it did.
    trouble: Mutex<Option<(Instant, Error)>>,
}

/// One stream.
pub(super) struct Shelf {
    pub(super) names: Names,
    pub(super) feed: Feed,
    pub(super) barriers: Turns,
    /// Whether several servers have it, which may not agree at every moment.
    pub(super) is_replicated: bool,
}

impl Shared {
    pub(super) fn new(connection: NatsConnection, shelves: [Shelf; Stream::ALL.len()]) -> Shared {
        Shared { connection, shelves, trouble: Mutex::default() }
    }

    pub(super) fn shelf(&self, stream: Stream) -> &Shelf {
        &self.shelves[stream as usize]
    }

    pub(super) fn names(&self, stream: Stream) -> &Names {
        &self.shelf(stream).names
    }

    pub(super) fn feed(&self, stream: Stream) -> &Feed {
        &self.shelf(stream).feed
    }

    pub(super) fn is_replicated(&self, stream: Stream) -> bool {
        self.shelf(stream).is_replicated
    }

    /// Ends the tails and the requests.
    pub(super) fn close(&self) {
        self.connection.begin_to_close();
        for shelf in &self.shelves {
            shelf.feed.live.close();
        }
    }

    /// Whether the ledger is open and the stream is what it was.
    pub(super) fn check(&self, stream: Stream) -> Result<()> {
        match self.feed(stream).is_lost() {
            _ if self.connection.is_closed() => Err(Error::closed()),
            true => Err(Fault::Lost.into()),
            false => Ok(()),
        }
    }

    /// A write ended, well or with this error.
    pub(super) fn note_write(&self, error: Option<&Error>) {
        match error {
            None => *self.trouble.lock() = None,
            Some(error @ (Error::Full | Error::Unavailable { .. })) => {
                *self.trouble.lock() = Some((Instant::now(), error.clone()));
            }
            Some(_) => {}
        }
    }

    /// Why the last write failed. That there was no answer is no news after a while, if nobody has tried again.
    fn write_trouble(&self) -> Option<Error> {
        match &*self.trouble.lock() {
            Some((_, error @ Error::Full)) => Some(error.clone()),
            Some((at, error)) if at.elapsed() < NEWS_FOR => Some(error.clone()),
            _ => None,
        }
    }

    /// What is wrong with the connection or a stream, or was with the last write.
    pub(super) fn trouble(&self) -> Option<Error> {
        let stream = || self.shelves.iter().find_map(|shelf| shelf.feed.fault()).map(Error::from);
        self.connection.trouble().or_else(stream).or_else(|| self.write_trouble())
    }

    /// The record that a message is. `None` for a message that somebody else put there: no subject of ours is called so.
    pub(super) fn record(&self, stream: Stream, kept: Kept) -> Option<Record> {
        let Kept { subject, revision, stored_at, bytes } = kept;
        let subject = self.names(stream).parse(&subject)?;
        Some(Record { subject, revision, stored_at, bytes: bytes[..].into() })
    }
}

/// The shared part, as the tails hold it.
pub(super) struct Source(pub(super) Arc<Shared>);

#[async_trait]
impl Pages for Source {
    fn position(&self, stream: Stream) -> watch::Receiver<Position> {
        self.0.feed(stream).live.subscribe()
    }

    async fn page(&self, stream: Stream, filter: &Filter, after: Revision) -> Result<Page> {
        let live = &self.0.feed(stream).live;
        if let Some(page) = live.page(filter, after) {
            return Ok(page);
        }
        let last = live.position().bounds.last;
        let found = read::read(&self.0, stream, filter, Span::page(after, last)).await?;
        let returned = found.records.last().map_or(after, |record| record.revision);
        // Who answered was not behind `last`, so up to there nothing is missing.
        let seen = if found.is_all { returned.max(last) } else { returned };
        Ok(Page { records: found.records, seen })
    }
}
