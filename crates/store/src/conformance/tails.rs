//! Tails: what is stored, then what comes.

use std::sync::Arc;

use claviger_core::Revision;
use futures_util::{FutureExt, StreamExt, future::join_all};

use super::{any, fill, next, revisions, stored};
use crate::{Filter, Ledger, Stream, Subject};

/// The stored records come first, then each new one, without waiting for more.
pub async fn stored_then_live(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    fill(&*ledger, Stream::Runs, &subject, 3).await;
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    assert_eq!(revisions(&next(&mut tail, 3).await), [Revision(1), Revision(2), Revision(3)]);
    for at in 4..10_u64 {
        assert!(tail.next().now_or_never().is_none(), "nothing has come yet");
        stored(&*ledger, any(&subject, &at.to_le_bytes())).await;
        let record = next(&mut tail, 1).await.remove(0);
        assert_eq!((record.revision, &*record.bytes), (Revision(at), &at.to_le_bytes()[..]));
    }
}

/// A tail begins right after its cursor, wherever that is.
pub async fn begins_after_the_cursor(ledger: Arc<dyn Ledger>) {
    fill(&*ledger, Stream::Runs, &Subject::new(&["a"]), 10).await;
    for after in 0..10 {
        let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision(after));
        assert_eq!(next(&mut tail, 1).await[0].revision, Revision(after + 1));
    }
}

/// Only what passes the filter comes, stored and live.
pub async fn filters_apply(ledger: Arc<dyn Ledger>) {
    let (a, ab, c) = (Subject::new(&["a"]), Subject::new(&["a", "b"]), Subject::new(&["c"]));
    let mut exact = ledger.tail(Stream::Runs, Filter::Exact(a.clone()), Revision::ZERO);
    let mut under = ledger.tail(Stream::Runs, Filter::Under(a.clone()), Revision::ZERO);
    for round in 0..3_u64 {
        for subject in [&a, &ab, &c] {
            stored(&*ledger, any(subject, b"")).await;
        }
        assert_eq!(next(&mut exact, 1).await[0].revision, Revision(round * 3 + 1));
        assert_eq!(next(&mut under, 1).await[0].revision, Revision(round * 3 + 2));
    }
    let mut late = ledger.tail(Stream::Runs, Filter::Under(a), Revision(2));
    assert_eq!(revisions(&next(&mut late, 2).await), [Revision(5), Revision(8)]);
}

/// However many records come between two looks at a tail, it gives all of them.
pub async fn a_tail_that_lags_misses_nothing(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    let mut wanted = fill(&*ledger, Stream::Runs, &subject, 1).await;
    let mut seen = revisions(&next(&mut tail, 1).await);
    for count in [3000, 1, 700, 300] {
        wanted.extend(fill(&*ledger, Stream::Runs, &subject, count).await);
        seen.extend(revisions(&next(&mut tail, count / 2).await));
    }
    seen.extend(revisions(&next(&mut tail, wanted.len() - seen.len()).await));
    assert_eq!(seen, wanted);
}

/// Records of the greatest length come whole and in order, more of them than are kept in memory.
pub async fn large_records_arrive(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let length = ledger.max_record_bytes();
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    for at in 0..6_u8 {
        stored(&*ledger, any(&subject, &vec![at; length])).await;
    }
    for (record, at) in next(&mut tail, 6).await.iter().zip(0_u8..) {
        assert!(record.bytes.len() == length && record.bytes.iter().all(|&byte| byte == at));
    }
}

/// Many tails each see everything; dropping some does not disturb the others.
pub async fn tails_are_independent(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let mut tails: Vec<_> = (0..50).map(|_| ledger.tail(Stream::Runs, Filter::All, Revision::ZERO)).collect();
    fill(&*ledger, Stream::Runs, &subject, 10).await;
    for tail in &mut tails {
        assert_eq!(next(tail, 5).await.len(), 5);
    }
    tails.truncate(25);
    let wanted = fill(&*ledger, Stream::Runs, &subject, 10).await;
    let seen = join_all(tails.iter_mut().map(|tail| next(tail, 15))).await;
    assert!(seen.iter().all(|records| revisions(&records[5..]) == wanted));
}

/// A cursor that the stream has not reached yet waits for what is after it.
pub async fn a_cursor_ahead_waits(ledger: Arc<dyn Ledger>) {
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision(5));
    fill(&*ledger, Stream::Runs, &Subject::new(&["a"]), 7).await;
    assert_eq!(revisions(&next(&mut tail, 2).await), [Revision(6), Revision(7)]);
}
