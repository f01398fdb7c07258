//! Servers' views of one ledger in memory, which are a little behind, and may be broken on purpose.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_store::{Append, Bounds, Expected, Filter, Ledger, MemoryLedger, Record, Result, Stream, Subject, Tail};
use claviger_torture::Random;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::time::sleep;

/// What is wrong with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing.
    None,
    /// The barrier tells that nothing was written but what is known here, so that nobody waits for the news.
    LyingBarrier,
    /// Now and then an acknowledged change of a secret is gone again.
    LostAppends,
    /// Now and then a guard is not looked at.
    CarelessGuards,
}

/// One server's view.
pub(crate) struct View {
    ledger: Arc<MemoryLedger>,
    defect: Defect,
    /// How long news of secrets take to come here.
    delay: Duration,
    random: Mutex<Random>,
    /// The revision of the last secret's change that came here.
    known: Arc<AtomicU64>,
}

impl View {
    pub(crate) fn new(ledger: Arc<MemoryLedger>, defect: Defect, delay: Duration, random: Random) -> View {
        View { ledger, defect, delay, random: Mutex::new(random), known: Arc::default() }
    }

    fn breaks(&self, defect: Defect, stream: Stream) -> bool {
        self.defect == defect && stream == Stream::Secrets && self.random.lock().one_in(20)
    }
}

/// What is left of the delay of a record.
fn left(delay: Duration, record: &Record) -> Duration {
    let since = |at: Timestamp| u64::try_from(at.0).map_or(Duration::ZERO, Duration::from_millis);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since(record.stored_at) + delay).saturating_sub(now)
}

#[async_trait]
impl Ledger for View {
    async fn append(&self, mut batch: Vec<Append>) -> Vec<Result<Revision>> {
        let streams: Vec<Stream> = batch.iter().map(|append| append.stream).collect();
        for append in &mut batch {
            if self.breaks(Defect::CarelessGuards, append.stream) {
                append.expected = Expected::Any;
            }
        }
        let results = self.ledger.append(batch).await;
        for (result, stream) in results.iter().zip(streams) {
            if let Ok(revision) = result
                && self.breaks(Defect::LostAppends, stream)
            {
                self.ledger.erase(stream, *revision).await.expect("an erased record");
            }
        }
        results
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        match (self.defect, stream) {
            (Defect::LyingBarrier, Stream::Secrets) => Ok(Revision(self.known.load(Ordering::SeqCst))),
            _ => self.ledger.barrier(stream).await,
        }
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        let tail = self.ledger.tail(stream, filter, after);
        if stream != Stream::Secrets {
            return tail;
        }
        let (delay, known) = (self.delay, self.known.clone());
        let late = move |record: Result<Record>| {
            let known = known.clone();
            async move {
                if let Ok(record) = &record {
                    sleep(left(delay, record)).await;
                    known.fetch_max(record.revision.0, Ordering::SeqCst);
                }
                record
            }
        };
        tail.then(late).boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.ledger.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.ledger.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.ledger.subjects(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.ledger.read(stream, filter, after, limit).await
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.ledger.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.ledger.purge(stream, subject).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.ledger.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.ledger.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.ledger.incarnation()
    }

    /// The ledger belongs to all of them.
    async fn close(&self) {}
}
