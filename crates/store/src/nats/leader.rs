//! The word of a stream's leader, from one that is not behind what is known here.

use async_trait::async_trait;
use claviger_core::Revision;

use super::{api::Kept, fault::Fault, pause::Patience};
use crate::Result;

/// Whoever answers as a stream's leader. One that was paused or cut off may do so without being it any more.
#[async_trait]
pub(super) trait Leader: Sync {
    /// The last message that is asked for.
    async fn newest(&self) -> Result<Option<Kept>>;

    /// The last sequence of the stream.
    async fn end(&self) -> Result<Revision>;
}

/// The last message that is asked for. The stream went to `known` before the call. A message before that is the last
/// one only if the stream goes as far and the answer stays the same: otherwise who answered is behind, and is asked again.
pub(super) async fn newest_since(leader: &impl Leader, known: Revision) -> Result<Option<Kept>> {
    let mut patience = Patience::new();
    let mut newest = leader.newest().await?;
    while revision(newest.as_ref()) < known {
        let end = leader.end().await?;
        let again = leader.newest().await?;
        if end >= known && revision(again.as_ref()) == revision(newest.as_ref()) {
            return Ok(again);
        }
        newest = again;
        if revision(newest.as_ref()) < known && !patience.is_left().await {
            return Err(Fault::Leaderless.into());
        }
    }
    Ok(newest)
}

/// The revision of a message, zero for none.
pub(super) fn revision(kept: Option<&Kept>) -> Revision {
    kept.map_or(Revision::ZERO, |kept| kept.revision)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use claviger_core::Timestamp;
    use parking_lot::Mutex;

    use super::*;

    /// Gives these answers, the last one again and again.
    struct Scripted {
        newest: Mutex<VecDeque<u64>>,
        end: Mutex<VecDeque<u64>>,
    }

    fn answer(answers: &Mutex<VecDeque<u64>>) -> u64 {
        let mut answers = answers.lock();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }
    }

    #[async_trait]
    impl Leader for Scripted {
        async fn newest(&self) -> Result<Option<Kept>> {
            let revision = Revision(answer(&self.newest));
            let kept =
                Kept { subject: String::new(), revision, stored_at: Timestamp(0), bytes: bytes::Bytes::default() };
            Ok((revision > Revision::ZERO).then_some(kept))
        }

        async fn end(&self) -> Result<Revision> {
            Ok(Revision(answer(&self.end)))
        }
    }

    async fn found(newest: &[u64], end: &[u64], known: u64) -> u64 {
        let [newest, end] = [newest, end].map(|answers| Mutex::new(answers.iter().copied().collect()));
        let kept = newest_since(&Scripted { newest, end }, Revision(known)).await.unwrap();
        revision(kept.as_ref()).0
    }

    #[tokio::test]
    async fn an_answer_that_is_not_behind_is_taken() {
        assert_eq!(found(&[7], &[0], 7).await, 7);
        assert_eq!(found(&[8], &[0], 7).await, 8);
        assert_eq!(found(&[0], &[0], 0).await, 0);
    }

    #[tokio::test]
    async fn who_is_behind_is_asked_again() {
        // The stream ends before what is known, then another one answers.
        assert_eq!(found(&[3, 3, 9], &[3], 7).await, 9);
        assert_eq!(found(&[0, 0, 0, 0, 7], &[0], 7).await, 7);
        // The second answer is another server's.
        assert_eq!(found(&[3, 9], &[9], 7).await, 9);
        assert_eq!(found(&[3, 5, 5], &[9], 7).await, 5);
    }

    #[tokio::test]
    async fn what_was_erased_is_not_waited_for() {
        assert_eq!(found(&[3], &[9], 7).await, 3);
        assert_eq!(found(&[0], &[7], 7).await, 0);
    }
}
