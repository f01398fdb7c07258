//! How long what this server knows of API keys is good enough.
//!
//! Where other servers write to the same store, one of them may have revoked a key, and nobody can tell whether no news came
//! or there was none. So the store is asked: what has been folded once a *barrier* is passed holds every revocation that was
//! acknowledged before the barrier began, and is relied on for a second from then on. While there is traffic the next
//! barrier begins before that is over, one for all; without an answer nobody is accepted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use claviger_core::ErrorKind;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{Error, folded::Folded, shared::Shared};

/// How long after the beginning of a barrier what it confirmed is relied on. Less than the second that is promised, so that
/// what was begun in time is also done in time.
const RELIED_ON: Duration = Duration::from_millis(900);

/// From when on the next barrier is asked for.
const RENEWED_AFTER: Duration = Duration::from_millis(450);

/// What has to be left for somebody who has something to do before it counts.
const TO_SPARE: Duration = Duration::from_millis(200);

/// How long somebody waits for a confirmation.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most callers that wait for news of what they name at the same time.
const MOST_WAITING: usize = 256;

/// The pause after a barrier that failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether this server may rely on what it knows. Looking takes no lock.
pub(super) struct Freshness {
    folded: Arc<Folded>,
    /// Instants are kept as milliseconds since this one.
    origin: Instant,
    /// Until when what is known is relied on.
    until: AtomicU64,
    /// Whether the last barrier failed because the stream has lost records.
    is_lost: AtomicBool,
    /// Whether a barrier is wanted that has not begun.
    is_wanted: AtomicBool,
    wanted: Notify,
    /// Whether the last barrier came to nothing.
    is_failing: AtomicBool,
    /// Tells of every barrier that is over, whatever came of it.
    tried: watch::Sender<()>,
    /// Room for those who wait for news of what they name.
    room: Semaphore,
}

/// What is known at the moment may be relied on, for a while.
#[derive(Clone, Copy)]
pub(super) struct Confirmed {
    /// `None`: for ever.
    until: Option<Instant>,
}

impl Confirmed {
    /// Nobody else writes.
    pub(super) const FOR_EVER: Confirmed = Confirmed { until: None };

    fn has_time_to_spare(self) -> bool {
        self.until.is_none_or(|until| until > Instant::now() + TO_SPARE)
    }

    /// Answers whether it is still so, after what was known was looked at.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`].
    pub(super) fn holds(self) -> Result<(), Error> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        if is_over { Err(Error::Unconfirmed) } else { Ok(()) }
    }
}

impl Freshness {
    /// Confirms what a fold of the access stream knows, whenever it is wanted.
    pub(super) fn start(shared: Shared, folded: Arc<Folded>) -> Arc<Freshness> {
        let freshness = Arc::new(Freshness {
            folded,
            origin: Instant::now(),
            until: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            wanted: Notify::new(),
            is_failing: AtomicBool::new(false),
            tried: watch::Sender::new(()),
            room: Semaphore::new(MOST_WAITING),
        });
        let (confirming, tasks) = (freshness.clone(), shared.tasks.clone());
        tasks.spawn(async move {
            while shared.stop.run_until_cancelled(confirming.wanted.notified()).await.is_some() {
                let is_confirmed = shared.stop.run_until_cancelled(confirming.confirm(&shared)).await == Some(true);
                confirming.is_failing.store(!is_confirmed, Ordering::Relaxed);
                confirming.tried.send_replace(());
                if !is_confirmed {
                    shared.stop.run_until_cancelled(sleep(PAUSE)).await;
                }
            }
        });
        freshness
    }

    /// What is known, if it may be relied on at this moment. To be asked before what is known is looked at.
    ///
    /// # Errors
    /// [`Error::RecordsLost`] and the like, [`Error::Unconfirmed`].
    pub(super) fn confirmed(&self) -> Result<Confirmed, Error> {
        self.folded.intact()?;
        let until = self.origin + Duration::from_millis(self.until.load(Ordering::Acquire));
        let left = until.saturating_duration_since(Instant::now());
        if left <= RELIED_ON - RENEWED_AFTER {
            self.want();
        }
        match (left.is_zero(), self.is_lost.load(Ordering::Relaxed)) {
            (false, _) => Ok(Confirmed { until: Some(until) }),
            (true, false) => Err(Error::Unconfirmed),
            (true, true) => Err(Error::Store(claviger_store::Error::Lost)),
        }
    }

    /// Waits until what is known may be relied on for a while.
    ///
    /// # Errors
    /// [`Error::RecordsLost`], and [`Error::Unconfirmed`] after two seconds.
    pub(super) async fn confirm_soon(&self) -> Result<(), Error> {
        let patience = Instant::now() + PATIENCE;
        let mut tried = self.tried.subscribe();
        loop {
            if self.confirmed().is_ok_and(Confirmed::has_time_to_spare) {
                return Ok(());
            }
            self.want();
            if !matches!(timeout_at(patience, tried.changed()).await, Ok(Ok(()))) {
                return self.confirmed().map(drop);
            }
        }
    }

    /// A place among those who wait for news of what they name, if there is one. Every news has each of them look again.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }

    /// Whether the store did not confirm anything when it was last asked.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    fn want(&self) {
        if !self.is_wanted.swap(true, Ordering::AcqRel) {
            self.wanted.notify_one();
        }
    }

    /// False when no barrier was passed in the time in which it would be of use.
    async fn confirm(&self, shared: &Shared) -> bool {
        // Whoever wants one from here on wants another one: this one has begun.
        self.is_wanted.store(false, Ordering::Release);
        let began = Instant::now();
        let outcome = timeout(RELIED_ON, self.folded.catch_up(shared)).await;
        let is_lost = matches!(&outcome, Ok(Err(error)) if error.kind() == ErrorKind::Corrupt);
        self.is_lost.store(is_lost, Ordering::Relaxed);
        match outcome {
            Ok(Ok(())) => {
                let until = (began + RELIED_ON).saturating_duration_since(self.origin);
                self.until.store(u64::try_from(until.as_millis()).unwrap_or(0), Ordering::Release);
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not confirm which API keys are in force");
                false
            }
            Err(_) => {
                tracing::warn!("the store takes too long to confirm which API keys are in force");
                false
            }
        }
    }
}
