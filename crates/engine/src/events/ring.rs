//! What one stream brought lately.

use std::{collections::VecDeque, sync::Arc};

use claviger_core::Revision;
use claviger_store::{Record, Stream};
use parking_lot::RwLock;

use super::{decode::Decoder, event::Decoded};
use crate::record::order;

/// Most records kept.
const KEPT_RECORDS: usize = 4096;
/// Most bytes of event data kept.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// A record that was read and decoded.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) revision: Revision,
    /// The record before it on its subject, as far as it says so.
    pub(super) before: Option<Revision>,
    /// `None` for a record that is no event, or cannot be read.
    pub(super) event: Option<Arc<Decoded>>,
}

/// The latest records of a stream, decoded once for all who follow it. One writes, many read.
pub(super) struct Ring(RwLock<Kept>);

struct Kept {
    items: VecDeque<Item>,
    /// Every record of the stream after this revision is kept here.
    floor: Revision,
    bytes: usize,
}

impl Ring {
    /// An empty ring of a stream that is followed from here on.
    pub(super) fn after(floor: Revision) -> Ring {
        Ring(RwLock::new(Kept { items: VecDeque::new(), floor, bytes: 0 }))
    }

    /// Adds records, in revision order, and lets go of the oldest.
    pub(super) fn push(&self, items: Vec<Item>) {
        let mut kept = self.0.write();
        kept.bytes += items.iter().map(Item::bytes).sum::<usize>();
        kept.items.extend(items);
        while kept.items.len() > KEPT_RECORDS || kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.items.pop_front() else { break };
            kept.bytes -= oldest.bytes();
            kept.floor = oldest.revision;
        }
    }

    /// At most `limit` records after a position.
    ///
    /// # Errors
    /// The ring's floor, when the position is below it: then the ledger has what the ring let go of.
    pub(super) fn read(&self, after: Revision, limit: usize) -> Result<VecDeque<Item>, Revision> {
        let kept = self.0.read();
        if after < kept.floor {
            return Err(kept.floor);
        }
        let start = kept.items.partition_point(|item| item.revision <= after);
        Ok(kept.items.range(start..).take(limit).cloned().collect())
    }
}

impl Item {
    /// Reads a record.
    pub(super) fn decoded(decoder: &Decoder, stream: Stream, record: &Record) -> Item {
        let event = decoder.decode(stream, record);
        Item { revision: record.revision, before: order::before(record), event }
    }

    fn bytes(&self) -> usize {
        self.event.as_ref().map_or(0, |event| event.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(revisions: impl Iterator<Item = u64>) -> Vec<Item> {
        revisions.map(|revision| Item { revision: Revision(revision), before: None, event: None }).collect()
    }

    fn revisions(items: VecDeque<Item>) -> Vec<u64> {
        items.into_iter().map(|item| item.revision.0).collect()
    }

    #[test]
    fn a_reader_gets_what_follows_its_position() {
        let ring = Ring::after(Revision(10));
        assert!(ring.read(Revision(10), 64).unwrap().is_empty());
        ring.push(items([11, 12, 15].into_iter()));
        assert_eq!(revisions(ring.read(Revision(10), 64).unwrap()), [11, 12, 15]);
        assert_eq!(revisions(ring.read(Revision(12), 64).unwrap()), [15]);
        assert_eq!(revisions(ring.read(Revision(13), 64).unwrap()), [15]);
        assert_eq!(revisions(ring.read(Revision(10), 2).unwrap()), [11, 12]);
        assert!(ring.read(Revision(99), 64).unwrap().is_empty());
        assert_eq!(ring.read(Revision(9), 64).err(), Some(Revision(10)));
    }

    #[test]
    fn an_overrun_reader_is_sent_to_the_ledger() {
        let ring = Ring::after(Revision::ZERO);
        let last = KEPT_RECORDS as u64 + 5;
        ring.push(items(1..=last));
        assert_eq!(ring.read(Revision(4), 1).err(), Some(Revision(5)));
        assert_eq!(revisions(ring.read(Revision(5), 1).unwrap()), [6]);
        assert_eq!(revisions(ring.read(Revision(last - 1), 64).unwrap()), [last]);
    }
}
