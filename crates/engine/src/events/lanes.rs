//! Reading several streams at once, each from its own position.

use std::{collections::VecDeque, time::Duration};

use claviger_core::{EnvironmentName, Revision};
use claviger_store::{Filter, Record};
use futures_util::future::select_all;

use super::{cursor::Positions, follow::Followed, ring::Item};

/// How long to wait before asking a store again that could not answer.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Most records taken at once.
pub(super) const BATCH: usize = 64;

/// What comes next on one of the streams.
pub(super) enum Batch {
    /// Records right after the position, none missing between them.
    Items(VecDeque<Item>),
    /// The next record there is; those between the position and it are no longer kept.
    Hole { first: Revision },
    /// There is no record up to here, and there never was one.
    Nothing { through: Revision },
}

/// One stream, read from a position.
pub(super) struct Lane {
    followed: Followed,
    /// Everything up to here has been taken.
    position: Revision,
    /// The only environment whose events are wanted, if there is one: the others need not be opened.
    only: Option<EnvironmentName>,
}

/// Several streams. Within one, records come in revision order; the streams take turns.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    turn: usize,
}

impl Lane {
    pub(super) fn new(followed: Followed, position: Revision, only: Option<EnvironmentName>) -> Lane {
        Lane { followed, position, only }
    }

    fn is_behind(&mut self) -> bool {
        *self.followed.head.borrow_and_update() > self.position
    }

    /// What comes after the position. Waits while the store is away; `None` when the engine stops meanwhile.
    async fn read(&self) -> Option<Batch> {
        loop {
            match self.followed.ring.read(self.position, BATCH) {
                // What the ring has was taken as it came: nothing was dropped meanwhile that nobody tells of.
                Ok(items) => return Some(self.contiguous(items, Revision::ZERO)),
                Err(floor) => {
                    if let Some(batch) = self.read_ledger(floor).await {
                        return Some(batch);
                    }
                }
            }
            // `has_changed` fails once the follower is gone.
            self.followed.head.has_changed().ok()?;
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// The same from the ledger, for a position below the ring's floor. `None` when the store cannot answer.
    async fn read_ledger(&self, floor: Revision) -> Option<Batch> {
        let stream = self.followed.stream;
        match self.try_read_ledger(floor).await {
            Ok(batch) => Some(batch),
            Err(error) => {
                tracing::warn!(stream = stream.name(), %error, "catching up with a stream was interrupted");
                None
            }
        }
    }

    async fn try_read_ledger(&self, floor: Revision) -> claviger_store::Result<Batch> {
        let (ledger, stream) = (&self.followed.decoder.shared.ledger, self.followed.stream);
        let records = ledger.read(stream, &Filter::All, self.position, BATCH).await?;
        let is_unbroken = records.iter().zip(self.position.0 + 1..).all(|(record, next)| record.revision.0 == next);
        // Asked after the read, and only where it matters: what was dropped before it is known by now.
        let kept_from = match is_unbroken && !records.is_empty() {
            true => Revision::ZERO,
            false => ledger.bounds(stream).await?.first,
        };
        if !records.is_empty() {
            return Ok(self.contiguous(records.iter().map(|record| self.item(record)).collect(), kept_from));
        }
        let was_something = !ledger.is_shared() || self.position.next() < kept_from;
        Ok(match was_something {
            // Nothing is left of what was there up to the floor.
            true => Batch::Hole { first: floor.next() },
            false => Batch::Nothing { through: floor },
        })
    }

    /// The items up to the first before which a record is missing.
    fn contiguous(&self, mut items: VecDeque<Item>, kept_from: Revision) -> Batch {
        let mut last = self.position;
        let follows = |at: usize| {
            let follows = self.follows(&items, at, (last, kept_from));
            last = items[at].revision;
            follows
        };
        let count = (0..items.len()).map(follows).take_while(|follows| *follows).count();
        match items.get(count) {
            Some(item) if count == 0 => Batch::Hole { first: item.revision },
            _ => {
                items.truncate(count);
                Batch::Items(items)
            }
        }
    }

    /// Whether no record was dropped between an item and the revision before it.
    fn follows(&self, items: &VecDeque<Item>, at: usize, (last, kept_from): (Revision, Revision)) -> bool {
        let item = &items[at];
        if item.revision == last.next() {
            return true;
        }
        if !self.followed.decoder.shared.ledger.is_shared() {
            // Revisions are given out without gaps: one that is missing was dropped.
            return false;
        }
        // Here barriers take some. What is dropped for its age lies before all that is kept, and whatever else is dropped
        // was followed by a record of its subject, which names it.
        let is_known = |before| before <= self.position || items.range(..at).any(|item| item.revision == before);
        last.next() >= kept_from && item.before.is_none_or(is_known)
    }

    fn item(&self, record: &Record) -> Item {
        let is_foreign = self.only.as_ref().is_some_and(|only| record.subject.tokens().nth(1) != Some(only.as_str()));
        if is_foreign {
            return Item { revision: record.revision, before: None, event: None };
        }
        Item::decoded(&self.followed.decoder, self.followed.stream, record)
    }
}

impl Lanes {
    pub(super) fn new(lanes: Vec<Lane>) -> Lanes {
        Lanes { lanes, turn: 0 }
    }

    pub(super) fn positions(&self) -> Positions {
        self.lanes.iter().map(|lane| (lane.followed.stream, lane.position)).collect()
    }

    /// The last revision of a lane's stream that is known here.
    pub(super) fn head(&self, lane: usize) -> Revision {
        *self.lanes[lane].followed.head.borrow()
    }

    pub(super) fn position(&self, lane: usize) -> Revision {
        self.lanes[lane].position
    }

    pub(super) fn stream_name(&self, lane: usize) -> &'static str {
        self.lanes[lane].followed.stream.name()
    }

    /// Notes that everything up to a revision has been taken.
    pub(super) fn advance(&mut self, lane: usize, revision: Revision) {
        self.lanes[lane].position = revision;
    }

    /// Waits for what comes next, and says on which lane. Positions stay: taking is the caller's to note. Nothing is
    /// lost when the future is dropped. `None` when the engine stops.
    pub(super) async fn next(&mut self) -> Option<(usize, Batch)> {
        loop {
            for _ in 0..self.lanes.len() {
                self.turn = (self.turn + 1) % self.lanes.len();
                if self.lanes[self.turn].is_behind() {
                    return Some((self.turn, self.lanes[self.turn].read().await?));
                }
            }
            let changes = self.lanes.iter_mut().map(|lane| Box::pin(lane.followed.head.changed()));
            select_all(changes).await.0.ok()?;
        }
    }
}
