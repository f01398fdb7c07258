//! What this process knows of a stream without asking.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use claviger_core::{Revision, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{fault::Fault, survey::Survey};
use crate::{Bounds, Filter, Record, live::Live};

/// Most revisions remembered as erased: more than a replica that still answers is behind.
const ERASED: usize = 65_536;

/// One stream, as its consumer sees it.
pub(super) struct Feed {
    /// The latest records, for the tails.
    pub(super) live: Live,
    /// Up to which sequence everything was seen, control records included.
    passed: watch::Sender<Revision>,
    /// The last revision that was acknowledged to this process.
    acknowledged: AtomicU64,
    /// The last sequence that this process knows to be in the stream, control records included.
    placed: AtomicU64,
    health: Mutex<Health>,
    /// Whether what is stored is not what it was.
    is_lost: AtomicBool,
    /// The last record that was seen, to be found there again.
    witness: Mutex<Option<(Revision, Timestamp)>>,
    erased: Mutex<Erased>,
}

/// How the consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It is being made.
    New,
    /// It is there and is heard.
    Fresh,
    /// It failed, and another one is being made.
    Failed(Fault),
}

#[derive(Default)]
struct Erased {
    revisions: BTreeSet<Revision>,
    oldest_first: VecDeque<Revision>,
}

impl Feed {
    /// A stream that was surveyed.
    pub(super) fn new(Survey { bounds, sequence, newest }: Survey) -> Feed {
        Feed {
            live: Live::new(bounds),
            passed: watch::Sender::new(sequence),
            acknowledged: AtomicU64::new(0),
            placed: AtomicU64::new(0),
            health: Mutex::new(Health::New),
            is_lost: AtomicBool::new(false),
            witness: Mutex::new(newest),
            erased: Mutex::default(),
        }
    }

    /// A record came.
    pub(super) fn push(&self, record: Record) {
        let revision = record.revision;
        *self.witness.lock() = Some((revision, record.stored_at));
        if !self.is_erased(revision) {
            self.live.push(record);
        }
        let bounds = self.live.position().bounds;
        self.live.advance(Bounds { last: revision.max(bounds.last), ..bounds });
        self.pass(revision);
    }

    /// Everything up to this sequence was seen.
    pub(super) fn pass(&self, revision: Revision) {
        self.passed.send_if_modified(|passed| {
            let is_new = *passed < revision;
            *passed = revision.max(*passed);
            is_new
        });
    }

    pub(super) fn passed(&self) -> watch::Receiver<Revision> {
        self.passed.subscribe()
    }

    /// Retention dropped what is before `first`.
    pub(super) fn trimmed(&self, first: Revision) {
        let bounds = self.live.position().bounds;
        self.live.advance(Bounds { first: first.max(bounds.first), ..bounds });
    }

    pub(super) fn acknowledged(&self, revision: Revision) {
        self.acknowledged.fetch_max(revision.0, Ordering::AcqRel);
        self.placed(revision);
    }

    /// A record or control record of this sequence is in the stream.
    pub(super) fn placed(&self, revision: Revision) {
        self.placed.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// Whether the stream has what the consumer has not brought yet.
    pub(super) fn is_behind(&self) -> bool {
        self.passed.borrow().0 < self.placed.load(Ordering::Acquire)
    }

    pub(super) fn witness(&self) -> Option<(Revision, Timestamp)> {
        *self.witness.lock()
    }

    /// What was lost stays so until a consumer is heard again: that it cannot be made says nothing new.
    pub(super) fn set_health(&self, health: Health) {
        match health {
            Health::Failed(Fault::Lost) => self.is_lost.store(true, Ordering::Release),
            Health::Fresh => self.is_lost.store(false, Ordering::Release),
            Health::New | Health::Failed(_) => {}
        }
        *self.health.lock() = health;
    }

    pub(super) fn is_fresh(&self) -> bool {
        *self.health.lock() == Health::Fresh
    }

    /// Why there is no consumer, if there is none.
    pub(super) fn fault(&self) -> Option<Fault> {
        match &*self.health.lock() {
            _ if self.is_lost() => Some(Fault::Lost),
            Health::Failed(fault) => Some(fault.clone()),
            Health::New | Health::Fresh => None,
        }
    }

    /// Whether what is stored is not what it was. Nothing can be built on it.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// The bounds as they are known here, with everything that was acknowledged to this process.
    pub(super) fn bounds(&self) -> Bounds {
        let Bounds { first, last } = self.live.position().bounds;
        Bounds { first, last: last.max(Revision(self.acknowledged.load(Ordering::Acquire))) }
    }

    /// How far what passes is known to go, as far as that is remembered. It may have been erased by others.
    pub(super) fn known(&self, filter: &Filter) -> Revision {
        match filter {
            Filter::All => self.bounds().last,
            Filter::Exact(_) | Filter::Under(_) => self.live.last(filter).unwrap_or_default(),
        }
    }

    /// It is in no read from now on. What has not been given out yet cannot have been erased.
    pub(super) fn erased(&self, revision: Revision) {
        if revision > self.bounds().last {
            return;
        }
        let mut erased = self.erased.lock();
        if erased.revisions.insert(revision) {
            erased.oldest_first.push_back(revision);
        }
        if erased.oldest_first.len() > ERASED
            && let Some(oldest) = erased.oldest_first.pop_front()
        {
            erased.revisions.remove(&oldest);
        }
        drop(erased);
        self.live.remove(revision);
    }

    pub(super) fn is_erased(&self, revision: Revision) -> bool {
        self.erased.lock().revisions.contains(&revision)
    }
}
