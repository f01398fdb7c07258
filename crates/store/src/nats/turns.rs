//! One piece of work for many who want it.

use std::sync::atomic::{AtomicU64, Ordering};

use claviger_core::Revision;
use tokio::sync::Mutex;

use crate::Result;

/// Work that serves everybody who asked for it before it began: those who come while it runs share the next
/// time.
#[derive(Default)]
pub(super) struct Turns {
    begun: AtomicU64,
    /// The number of the last one that ended, and its outcome.
    ended: Mutex<Option<(u64, Result<Revision>)>>,
}

impl Turns {
    /// The outcome of work that begins after this call.
    pub(super) async fn share(&self, work: impl Future<Output = Result<Revision>>) -> Result<Revision> {
        let wanted = self.begun.load(Ordering::Acquire) + 1;
        let mut ended = self.ended.lock().await;
        if let Some((number, outcome)) = &*ended
            && *number >= wanted
        {
            return outcome.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let outcome = work.await;
        *ended = Some((number, outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share() {
        let (turns, gate, runs) = (Turns::default(), Arc::new(Notify::new()), AtomicU64::new(0));
        let work = || async {
            gate.notified().await;
            Ok(Revision(runs.fetch_add(1, Ordering::AcqRel) + 1))
        };
        let callers = join_all((0..10).map(|_| turns.share(work())));
        let opened = async {
            while runs.load(Ordering::Acquire) < 2 {
                gate.notify_one();
                tokio::task::yield_now().await;
            }
        };
        let (answers, ()) = tokio::join!(callers, opened);
        let answers: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().0).collect();
        assert_eq!(answers, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
    }

    #[tokio::test]
    async fn an_abandoned_turn_is_taken_by_the_next() {
        let turns = Turns::default();
        assert!(turns.share(std::future::pending()).now_or_never().is_none());
        assert_eq!(turns.share(async { Ok(Revision(5)) }).await.unwrap(), Revision(5));
    }
}
