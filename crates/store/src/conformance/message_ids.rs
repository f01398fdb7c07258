//! Message ids: a repeated append is harmless.

use std::sync::Arc;

use claviger_core::Revision;
use futures_util::future::join_all;

use super::{any, append, guarded, stored};
use crate::{Append, Error, Expected, Ledger, Stream, Subject};

fn with_id(entry: Append, id: &str) -> Append {
    Append { message_id: Some(id.to_owned()), ..entry }
}

/// The answer is the first record's revision, within a batch too.
pub async fn a_repetition_stores_nothing(ledger: Arc<dyn Ledger>) {
    let (a, b) = (Subject::new(&["a"]), Subject::new(&["b"]));
    let first = stored(&*ledger, with_id(any(&a, b"1"), "id")).await;
    stored(&*ledger, any(&a, b"2")).await;
    assert_eq!(stored(&*ledger, with_id(any(&a, b"3"), "id")).await, first);
    assert_eq!(stored(&*ledger, with_id(any(&b, b"3"), "id")).await, first, "whatever the subject");
    let results = ledger.append(vec![with_id(any(&a, b"4"), "new"), with_id(any(&a, b"5"), "new")]).await;
    assert!(matches!(results[..], [Ok(Revision(3)), Ok(Revision(3))]));
    let kept = ledger.history(Stream::Runs, &a).await.unwrap();
    assert_eq!(super::contents(&kept), [b"1", b"2", b"4"]);
    assert_eq!(ledger.last(Stream::Runs, &b).await.unwrap().map(|record| record.revision), None);
}

/// A guard that no longer holds, because the first attempt was appended, does not matter.
pub async fn a_repetition_ignores_the_guard(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let entry = || with_id(guarded(&subject, b"", Expected::Absent), "id");
    let first = stored(&*ledger, entry()).await;
    assert_eq!(stored(&*ledger, entry()).await, first);
    assert!(matches!(
        append(&*ledger, with_id(guarded(&subject, b"", Expected::Absent), "other")).await,
        Err(Error::Conflict { .. })
    ));
    // An id that was refused was not used.
    stored(&*ledger, with_id(any(&subject, b""), "other")).await;
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap().last, Revision(2));
}

/// A known duplicate counts as appended for the entry that follows it.
pub async fn a_repetition_can_be_followed(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let batch = || vec![with_id(any(&subject, b"1"), "first"), with_id(any(&subject, b"2"), "second").following()];
    for _ in 0..3 {
        assert!(matches!(ledger.append(batch()).await[..], [Ok(Revision(1)), Ok(Revision(2))]));
    }
}

/// The same id in another stream is another id.
pub async fn ids_are_per_stream(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    stored(&*ledger, any(&subject, b"")).await;
    for (stream, revision) in [(Stream::Runs, 2), (Stream::Audit, 1)] {
        let entry = with_id(Append::new(stream, subject.clone(), vec![], Expected::Any), "id");
        assert_eq!(stored(&*ledger, entry).await, Revision(revision));
    }
}

/// An id is known while its record is kept; after that the append may be stored again, and gets a
/// revision of its own. (On NATS the duplicate window decides, so both are allowed.)
pub async fn ids_are_free_after_erasure(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let entry = || with_id(any(&subject, b""), "id");
    let first = stored(&*ledger, entry()).await;
    ledger.erase(Stream::Runs, first).await.unwrap();
    let again = stored(&*ledger, entry()).await;
    if ledger.is_shared() {
        assert!([first, first.next()].contains(&again));
    } else {
        assert_eq!(again, first.next());
    }
}

/// Concurrent repetitions store one record, and all learn its revision.
pub async fn many_callers_store_one(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let callers = (0..32).map(|caller| {
        let (ledger, subject) = (ledger.clone(), subject.clone());
        tokio::spawn(async move { stored(&*ledger, with_id(any(&subject, &[caller]), "id")).await })
    });
    let answers: Vec<Revision> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|&revision| revision == Revision(1)));
    assert_eq!(ledger.history(Stream::Runs, &subject).await.unwrap().len(), 1);
}
