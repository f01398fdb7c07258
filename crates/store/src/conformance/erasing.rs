//! Erasing records and purging subjects.

use std::sync::Arc;

use claviger_core::Revision;

use super::{any, append, assert_conflict, fill, guarded, next, revisions, stored};
use crate::{Bounds, Expected, Filter, Ledger, Stream, Subject};

/// No read gives it, the others stay.
pub async fn an_erased_record_is_gone(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    fill(&*ledger, Stream::Runs, &subject, 3).await;
    ledger.erase(Stream::Runs, Revision(2)).await.unwrap();
    let kept = [Revision(1), Revision(3)];
    assert_eq!(revisions(&ledger.history(Stream::Runs, &subject).await.unwrap()), kept);
    assert_eq!(revisions(&ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 9).await.unwrap()), kept);
    assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().revision, Revision(3));
}

/// After the last record of a subject is erased, guards compare with the one before.
pub async fn the_one_before_becomes_the_last(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let appended = fill(&*ledger, Stream::Runs, &subject, 2).await;
    ledger.erase(Stream::Runs, appended[1]).await.unwrap();
    assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().revision, appended[0]);
    assert_conflict(append(&*ledger, guarded(&subject, b"", Expected::At(appended[1]))).await, appended[0]);
    stored(&*ledger, guarded(&subject, b"", Expected::At(appended[0]))).await;
}

/// Not even when the stream is empty again.
pub async fn revisions_are_not_used_again(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    for round in 0..5 {
        let revision = stored(&*ledger, guarded(&subject, b"", Expected::Absent)).await;
        assert_eq!(revision, Revision(round + 1));
        ledger.erase(Stream::Runs, revision).await.unwrap();
        assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().map(|record| record.revision), None);
    }
}

/// A revision that never was, or is gone, or a subject without records.
pub async fn erasing_nothing_is_no_error(ledger: Arc<dyn Ledger>) {
    ledger.erase(Stream::Runs, Revision(1)).await.unwrap();
    ledger.erase(Stream::Runs, Revision::ZERO).await.unwrap();
    ledger.purge(Stream::Runs, &Subject::new(&["a"])).await.unwrap();
    let revision = stored(&*ledger, any(&Subject::new(&["a"]), b"")).await;
    assert_eq!(revision, Revision(1));
    for _ in 0..2 {
        ledger.erase(Stream::Runs, revision).await.unwrap();
    }
}

/// Exactly the subject, not those under it, and only in that stream.
pub async fn purging_takes_a_subject(ledger: Arc<dyn Ledger>) {
    let (a, ab) = (Subject::new(&["a"]), Subject::new(&["a", "b"]));
    for stream in [Stream::Runs, Stream::Audit] {
        fill(&*ledger, stream, &a, 3).await;
        fill(&*ledger, stream, &ab, 2).await;
    }
    ledger.purge(Stream::Runs, &a).await.unwrap();
    assert_eq!(ledger.subjects(Stream::Runs, &Filter::All).await.unwrap(), std::slice::from_ref(&ab));
    assert_eq!(ledger.history(Stream::Runs, &ab).await.unwrap().len(), 2);
    assert_eq!(ledger.history(Stream::Audit, &a).await.unwrap().len(), 3);
    assert_eq!(stored(&*ledger, guarded(&a, b"", Expected::Absent)).await, Revision(6));
}

/// A tail goes on behind erased records, whether it had come to them or not.
pub async fn tails_pass_over_the_erased(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    fill(&*ledger, Stream::Runs, &subject, 6).await;
    for erased in [1, 3, 4, 6] {
        ledger.erase(Stream::Runs, Revision(erased)).await.unwrap();
    }
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    assert_eq!(revisions(&next(&mut tail, 2).await), [Revision(2), Revision(5)]);
    stored(&*ledger, any(&subject, b"")).await;
    assert_eq!(revisions(&next(&mut tail, 1).await), [Revision(7)]);
}

/// Erasing and purging change neither bound.
pub async fn bounds_count_what_was_given_out(ledger: Arc<dyn Ledger>) {
    let bounds = |last| Bounds { first: Revision(1), last: Revision(last) };
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap(), bounds(0));
    let subject = Subject::new(&["a"]);
    fill(&*ledger, Stream::Runs, &subject, 3).await;
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap(), bounds(3));
    ledger.erase(Stream::Runs, Revision(1)).await.unwrap();
    ledger.purge(Stream::Runs, &subject).await.unwrap();
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap(), bounds(3));
    assert_eq!(ledger.bounds(Stream::Audit).await.unwrap(), bounds(0));
}
