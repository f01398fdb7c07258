//! A ledger behind a cable that can be cut: what a crashed process no longer reaches.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_store::{Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The next number of a small generator (splitmix64), so that a seed tells the whole story.
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

pub(crate) struct Cable {
    inner: Arc<dyn Ledger>,
    /// Whether other engines write too.
    is_shared: bool,
    is_cut: AtomicBool,
    /// A stream whose tails say nothing.
    silent: watch::Sender<Option<Stream>>,
    /// A stream whose appends fail as on a full disk.
    full: Mutex<Option<Stream>>,
    /// Appends that were refused for that.
    refused: AtomicU64,
    /// What befalls appends to the run stream, one after the other.
    faults: Mutex<VecDeque<Fault>>,
    /// What befalls them at random: seed and one in how many.
    weather: Mutex<Option<(u64, u64)>>,
}

/// What may befall an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It is not stored, and nobody knows.
    Unstored,
    /// It is stored, and nobody knows.
    Unanswered,
}

impl Cable {
    pub(crate) fn new(inner: Arc<dyn Ledger>) -> Cable {
        Cable {
            is_shared: inner.is_shared(),
            inner,
            is_cut: AtomicBool::new(false),
            silent: watch::Sender::default(),
            full: Mutex::new(None),
            refused: AtomicU64::new(0),
            faults: Mutex::default(),
            weather: Mutex::default(),
        }
    }

    /// A cable of one of several engines.
    pub(crate) fn of_many(inner: Arc<dyn Ledger>) -> Cable {
        Cable { is_shared: true, ..Cable::new(inner) }
    }

    /// Has the next appends to the run stream meet these faults.
    pub(crate) fn befall(&self, faults: &[Fault]) {
        self.faults.lock().extend(faults);
    }

    /// Has one in so many appends to the run stream meet a fault, until told otherwise.
    pub(crate) fn weather(&self, weather: Option<(u64, u64)>) {
        *self.weather.lock() = weather;
    }

    /// Appends that were refused because a stream is full.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    fn fault(&self, append: &Append) -> Fault {
        if append.stream != Stream::Runs {
            return Fault::None;
        }
        if let Some(fault) = self.faults.lock().pop_front() {
            return fault;
        }
        match &mut *self.weather.lock() {
            Some((seed, one_in)) => match random(seed) % (*one_in * 2) {
                0 => Fault::Unstored,
                1 => Fault::Unanswered,
                _ => Fault::None,
            },
            None => Fault::None,
        }
    }

    async fn append_one(&self, append: Append) -> Result<Revision> {
        let ledger = self.reach()?;
        if Some(append.stream) == *self.full.lock() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Full);
        }
        let fault = self.fault(&append);
        if fault == Fault::Unstored {
            return Err(Error::Unavailable { source: None });
        }
        // A store that others share knows message ids for a while only; here that while is always over.
        let message_id = append.message_id.clone().filter(|_| !self.is_shared);
        let alone = Append { follows: false, message_id, ..append };
        let stored = ledger.append(vec![alone]).await.pop().expect("one result");
        if fault == Fault::Unanswered { Err(Error::Unavailable { source: None }) } else { stored }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    pub(crate) fn fill_up(&self, stream: Option<Stream>) {
        *self.full.lock() = stream;
    }

    /// Has the tails of a stream say nothing, until told otherwise.
    pub(crate) fn silence(&self, stream: Option<Stream>) {
        self.silent.send_replace(stream);
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
        let mut results = Vec::new();
        for append in batch {
            // One by one, so that an entry that follows a refused one is skipped as it must be.
            let skip = append.follows && matches!(results.last(), Some(Err(_)));
            results.push(if skip { Err(Error::Skipped) } else { self.append_one(append).await });
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
        let silent = self.silent.subscribe();
        let heard = self.inner.tail(stream, filter, after).then(move |record| {
            let mut silent = silent.clone();
            async move {
                // The cable is gone when this fails, and so is whoever follows.
                let _ = silent.wait_for(|silent| *silent != Some(stream)).await;
                record
            }
        });
        heard.boxed()
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.reach()?.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.reach()?.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.reach()?.barrier(stream).await
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
        self.is_shared
    }

    async fn close(&self) {
        match self.reach() {
            Ok(ledger) if !self.is_shared => ledger.close().await,
            // The others go on.
            _ => self.cut(),
        }
    }
}
