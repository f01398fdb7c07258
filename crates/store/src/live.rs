//! What tails see of a stream: how far it goes, and its latest records.

use std::collections::VecDeque;

use claviger_core::Revision;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Bounds, Filter, Record,
    tail::{PAGE_BYTES, PAGE_RECORDS, Page, Position},
};

/// Most records kept for the tails that keep up.
const RECORDS: usize = 1024;

/// Most bytes of them.
const BYTES: usize = 1024 * 1024;

/// One stream, as far as it is known here. Any number of tails share its latest records; only a tail that
/// falls behind reads what is stored.
pub(crate) struct Live {
    recent: Mutex<Recent>,
    position: watch::Sender<Position>,
}

struct Recent {
    records: VecDeque<Record>,
    bytes: usize,
    /// Every kept record after this one is here.
    after: Revision,
    last: Revision,
}

impl Live {
    pub(crate) fn new(bounds: Bounds) -> Live {
        let recent = Recent { records: VecDeque::new(), bytes: 0, after: bounds.last, last: bounds.last };
        Live { recent: Mutex::new(recent), position: watch::Sender::new(Position::at(bounds)) }
    }

    /// Adds a stored record.
    pub(crate) fn push(&self, record: Record) {
        self.recent.lock().push(record);
    }

    /// Lets go of a record that was erased.
    pub(crate) fn remove(&self, revision: Revision) {
        self.recent.lock().remove(revision);
    }

    /// Lets go of every record: they are read from the store again.
    pub(crate) fn forget(&self) {
        let mut recent = self.recent.lock();
        *recent = Recent { records: VecDeque::new(), bytes: 0, after: recent.last, last: recent.last };
    }

    /// Wakes the tails, if there is something new for them.
    pub(crate) fn advance(&self, bounds: Bounds) {
        self.position.send_if_modified(|position| {
            let is_new = position.bounds.last != bounds.last;
            position.bounds = bounds;
            is_new
        });
    }

    /// Ends the tails.
    pub(crate) fn close(&self) {
        self.position.send_modify(|position| position.is_closed = true);
    }

    pub(crate) fn position(&self) -> Position {
        *self.position.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// The last of the latest records that passes.
    pub(crate) fn last(&self, filter: &Filter) -> Option<Revision> {
        let recent = self.recent.lock();
        recent.records.iter().rev().find(|record| filter.matches(&record.subject)).map(|record| record.revision)
    }

    /// A page of the latest records; `None` when older ones are wanted.
    pub(crate) fn page(&self, filter: &Filter, after: Revision) -> Option<Page> {
        self.recent.lock().page(filter, after)
    }
}

impl Recent {
    fn push(&mut self, record: Record) {
        self.last = record.revision;
        self.bytes += record.bytes.len();
        self.records.push_back(record);
        while self.records.len() > RECORDS || self.bytes > BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
            self.after = oldest.revision;
        }
    }

    fn remove(&mut self, revision: Revision) {
        if let Ok(at) = self.records.binary_search_by_key(&revision, |record| record.revision)
            && let Some(record) = self.records.remove(at)
        {
            self.bytes -= record.bytes.len();
        }
    }

    fn page(&self, filter: &Filter, after: Revision) -> Option<Page> {
        if after < self.after {
            return None;
        }
        let from = self.records.partition_point(|record| record.revision <= after);
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in self.records.range(from..).filter(|record| filter.matches(&record.subject)) {
            bytes += record.bytes.len();
            records.push(record.clone());
            if records.len() == PAGE_RECORDS || bytes >= PAGE_BYTES {
                return Some(Page { records, seen: record.revision });
            }
        }
        Some(Page { records, seen: after.max(self.last) })
    }
}
