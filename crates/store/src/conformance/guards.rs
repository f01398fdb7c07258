//! Guards: compare-and-set on a subject's last revision.

use std::sync::Arc;

use claviger_core::Revision;
use futures_util::future::join_all;

use super::{any, append, assert_conflict, guarded, stored};
use crate::{Append, Error, Expected, Ledger, Stream, Subject};

/// `Absent` holds for the first record of a subject only.
pub async fn absent_holds_once(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let first = stored(&*ledger, guarded(&subject, b"1", Expected::Absent)).await;
    assert_eq!(first, Revision(1));
    assert_conflict(append(&*ledger, guarded(&subject, b"2", Expected::Absent)).await, first);
    assert_eq!(ledger.history(Stream::Runs, &subject).await.unwrap().len(), 1);
}

/// `At` holds for the last revision, not for an older or a later one.
pub async fn at_holds_for_the_last_revision(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let first = stored(&*ledger, any(&subject, b"1")).await;
    let second = stored(&*ledger, guarded(&subject, b"2", Expected::At(first))).await;
    assert!(second > first);
    for wrong in [first, second.next(), Revision(u64::MAX)] {
        assert_conflict(append(&*ledger, guarded(&subject, b"3", Expected::At(wrong))).await, second);
    }
    assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().revision, second);
}

/// `At(0)` is another way to say `Absent`.
pub async fn at_zero_is_absent(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let entry = || guarded(&subject, b"1", Expected::At(Revision::ZERO));
    let first = stored(&*ledger, entry()).await;
    assert_conflict(append(&*ledger, entry()).await, first);
    let other = Subject::new(&["b"]);
    assert_conflict(append(&*ledger, guarded(&other, b"1", Expected::At(first))).await, Revision::ZERO);
}

/// `Any` holds whether the subject has records or not.
pub async fn any_always_holds(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let first = stored(&*ledger, any(&subject, b"1")).await;
    assert_eq!(stored(&*ledger, any(&subject, b"1")).await, first.next());
}

/// What happens on other subjects and streams does not matter.
pub async fn guards_are_per_subject_and_stream(ledger: Arc<dyn Ledger>) {
    let (a, b) = (Subject::new(&["a"]), Subject::new(&["a", "b"]));
    let first = stored(&*ledger, guarded(&a, b"", Expected::Absent)).await;
    stored(&*ledger, guarded(&b, b"", Expected::Absent)).await;
    let elsewhere = Append::new(Stream::Audit, a.clone(), vec![], Expected::Absent);
    assert_eq!(stored(&*ledger, elsewhere).await, Revision(1), "every stream counts for itself");
    stored(&*ledger, guarded(&a, b"", Expected::At(first))).await;
}

/// Entries of a batch are checked one after the other.
pub async fn guards_see_the_entries_before_them(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let results = ledger
        .append(vec![
            guarded(&subject, b"1", Expected::Absent),
            guarded(&subject, b"2", Expected::Absent),
            guarded(&subject, b"3", Expected::At(Revision(1))),
            guarded(&subject, b"4", Expected::At(Revision(2))),
        ])
        .await;
    assert!(matches!(
        results[..],
        [Ok(Revision(1)), Err(Error::Conflict { last: Revision(1) }), Ok(Revision(2)), Ok(Revision(3))]
    ));
}

/// Of many concurrent callers that expect the same, one is appended.
pub async fn one_of_many_wins(ledger: Arc<dyn Ledger>) {
    for round in 0..20 {
        let subject = Subject::new(&["round", &round.to_string()]);
        let callers = (0..16_u8).map(|caller| {
            let (ledger, subject) = (ledger.clone(), subject.clone());
            tokio::spawn(async move { append(&*ledger, guarded(&subject, &[caller], Expected::Absent)).await })
        });
        let results: Vec<_> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
        let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
        let kept = ledger.history(Stream::Runs, &subject).await.unwrap();
        assert_eq!((won.len(), kept.len()), (1, 1));
        assert_eq!(*won[0], kept[0].revision);
        assert_eq!(results[usize::from(kept[0].bytes[0])].as_ref().unwrap(), won[0], "the winner's bytes are kept");
    }
}

/// Callers that read, add one and append with a guard, again after a conflict, lose nothing.
pub async fn a_counter_loses_no_increment(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["counter"]);
    let callers = (0..8).map(|_| {
        let (ledger, subject) = (ledger.clone(), subject.clone());
        tokio::spawn(async move {
            for _ in 0..25 {
                while !increment(&*ledger, &subject).await {}
            }
        })
    });
    join_all(callers).await.into_iter().for_each(|caller| caller.unwrap());
    let counts: Vec<u8> =
        ledger.history(Stream::Runs, &subject).await.unwrap().iter().map(|record| record.bytes[0]).collect();
    assert_eq!(counts, (1..=200).collect::<Vec<u8>>());
}

async fn increment(ledger: &dyn Ledger, subject: &Subject) -> bool {
    let last = ledger.last(Stream::Runs, subject).await.unwrap();
    let count = last.as_ref().map_or(0, |record| record.bytes[0]);
    let expected = last.map_or(Expected::Absent, |record| Expected::At(record.revision));
    match append(ledger, guarded(subject, &[count + 1], expected)).await {
        Ok(_) => true,
        Err(Error::Conflict { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}
