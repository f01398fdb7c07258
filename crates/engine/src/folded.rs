//! How far a fold has come, and whether its stream still has what was folded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use claviger_core::Revision;
use claviger_store::{Ledger, Op, Record, Stream, Subject};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{Error, shared::Shared};

/// How long a store is asked again for what was there: its leader may be changing.
const ASKED_AGAIN_FOR: Duration = Duration::from_secs(2);
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often a shared store is asked for the last record that was folded.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where a fold notes which life of the store it is about. No other key begins so.
const LIFE: &str = "\0life";

/// The progress of a fold that a task of this process keeps current.
pub(crate) struct Folded {
    stream: Stream,
    at: watch::Sender<Revision>,
    /// The last record that was folded. The stream has it, or a later one of its subject.
    last: Mutex<Option<(Subject, Revision)>>,
    /// What the stream has lost: a revision that was there, zero for none, and what it ended with instead.
    lost: AtomicU64,
    found: AtomicU64,
}

impl Folded {
    /// A fold that reflects a stream up to here.
    pub(crate) fn new(stream: Stream, at: Revision) -> Arc<Folded> {
        let (at, _) = watch::channel(at);
        Arc::new(Folded { stream, at, last: Mutex::default(), lost: AtomicU64::new(0), found: AtomicU64::new(0) })
    }

    /// Takes up a fold where the index has it. One about another life of a store that nobody shares begins again.
    ///
    /// # Errors
    /// [`Error::RecordsLost`] when the stream ends before what the index reflects, or is another shared store's, and what the store says.
    pub(crate) async fn resume(shared: &Shared, name: &str, stream: Stream) -> Result<Arc<Folded>, Error> {
        let life = shared.ledger.incarnation().0.to_be_bytes().to_vec();
        let noted = shared.index.get(name, LIFE).await?;
        if noted.as_ref().is_some_and(|noted| *noted != life) {
            refuse_another_life(shared, name, stream).await?;
            shared.index.clear(name).await?;
        }
        if noted.as_ref() != Some(&life) {
            let note = Op::Put { key: LIFE.to_owned(), value: life };
            shared.index.write(name, vec![note], Default::default()).await?;
        }
        let reflected = shared.index.reflected(name).await?.get(&stream).copied().unwrap_or_default();
        check_end(&*shared.ledger, stream, reflected).await?;
        Ok(Folded::new(stream, reflected))
    }

    /// Everything up to this revision is folded.
    pub(crate) fn at(&self) -> Revision {
        *self.at.borrow()
    }

    /// Notes that everything up to this record is folded.
    pub(crate) fn note(&self, last: &Record) {
        *self.last.lock() = Some((last.subject.clone(), last.revision));
        self.at.send_if_modified(|at| std::mem::replace(at, last.revision.max(*at)) < last.revision);
    }

    /// Waits until everything up to a revision is folded. Without end: the caller bounds it.
    ///
    /// # Errors
    /// [`Error::Stopping`].
    pub(crate) async fn reach(&self, shared: &Shared, revision: Revision) -> Result<(), Error> {
        let mut at = self.at.subscribe();
        let reached = shared.stop.run_until_cancelled(at.wait_for(|at| *at >= revision)).await;
        reached.is_some_and(|reached| reached.is_ok()).then_some(()).ok_or(Error::Stopping)
    }

    /// Waits until everything is folded that was acknowledged before the call, by whichever server. Without end: the
    /// caller bounds it.
    ///
    /// # Errors
    /// [`Error::RecordsLost`], [`Error::Stopping`], and what the store says.
    pub(crate) async fn catch_up(&self, shared: &Shared) -> Result<(), Error> {
        let folded = self.at();
        let end = shared.ledger.barrier(self.stream).await?;
        if end < folded {
            self.lose(folded, end);
        }
        self.intact()?;
        self.reach(shared, end).await
    }

    /// Answers whether the stream still has what was folded, as far as that is known.
    ///
    /// # Errors
    /// [`Error::RecordsLost`].
    pub(crate) fn intact(&self) -> Result<(), Error> {
        let known = Revision(self.lost.load(Ordering::Acquire));
        if known == Revision::ZERO {
            return Ok(());
        }
        let found = Revision(self.found.load(Ordering::Relaxed));
        Err(Error::RecordsLost { stream: self.stream.name(), known, found })
    }

    /// Asks a shared store now and then whether it still has what was folded. Where nobody else writes, nobody takes away.
    pub(crate) fn watch_over(self: &Arc<Self>, shared: &Shared) {
        if !shared.ledger.is_shared() {
            return;
        }
        let (folded, shared) = (self.clone(), shared.clone());
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            while shared.stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
                folded.look(&shared).await;
            }
        });
    }

    async fn look(&self, shared: &Shared) {
        let Some((subject, known)) = self.last.lock().clone() else { return };
        let asked = last_since(&*shared.ledger, self.stream, &subject, known);
        match shared.stop.run_until_cancelled(asked).await {
            Some(Ok(_)) => self.lost.store(0, Ordering::Release),
            Some(Err(Error::RecordsLost { known, .. })) => {
                let end = shared.ledger.barrier(self.stream);
                let end = shared.stop.run_until_cancelled(end).await.and_then(Result::ok);
                self.lose(known, end.filter(|end| *end < known).unwrap_or_default());
            }
            Some(Err(Error::Store(claviger_store::Error::Lost))) => self.lose(known, Revision::ZERO),
            // It does not answer: that tells nothing.
            Some(Err(_)) | None => {}
        }
    }

    fn lose(&self, known: Revision, found: Revision) {
        self.found.store(found.0, Ordering::Relaxed);
        let before = self.lost.swap(known.0, Ordering::Release);
        if before == 0 {
            let stream = self.stream.name();
            tracing::error!(stream, %known, %found, "the stream has lost records; what needs it is refused from now on");
        }
    }
}

/// The last record of a subject, of which one of this revision or a later one was seen: an older answer is asked for again.
///
/// # Errors
/// [`Error::RecordsLost`] after two seconds, and what the store says.
pub(crate) async fn last_since(
    ledger: &dyn Ledger,
    stream: Stream,
    subject: &Subject,
    known: Revision,
) -> Result<Option<Record>, Error> {
    let until = Instant::now() + ASKED_AGAIN_FOR;
    loop {
        let last = ledger.last(stream, subject).await?;
        let found = last.as_ref().map_or(Revision::ZERO, |last| last.revision);
        if found >= known {
            return Ok(last);
        }
        if Instant::now() >= until {
            return Err(Error::RecordsLost { stream: stream.name(), known, found });
        }
        sleep(ASKED_AGAIN_AFTER).await;
    }
}

/// Refuses to forget what a shared store had: it may be the store that has forgotten.
async fn refuse_another_life(shared: &Shared, name: &str, stream: Stream) -> Result<(), Error> {
    let reflected = shared.index.reflected(name).await?;
    let known = reflected.get(&stream).copied().unwrap_or_default();
    match shared.ledger.is_shared() && known > Revision::ZERO {
        true => Err(Error::RecordsLost { stream: stream.name(), known, found: Revision::ZERO }),
        false => Ok(()),
    }
}

/// Refuses a stream that ends before what was folded of it.
async fn check_end(ledger: &dyn Ledger, stream: Stream, known: Revision) -> Result<(), Error> {
    let until = Instant::now() + ASKED_AGAIN_FOR;
    let mut found = ledger.bounds(stream).await?.last;
    while found < known {
        if Instant::now() >= until {
            return Err(Error::RecordsLost { stream: stream.name(), known, found });
        }
        sleep(ASKED_AGAIN_AFTER).await;
        // What a majority has, not what one server makes of it.
        found = ledger.barrier(stream).await?;
    }
    Ok(())
}
