//! Batches, and entries that follow one another.

use std::sync::Arc;

use claviger_core::Revision;

use super::{any, guarded, next, revisions};
use crate::{Append, Error, Expected, Filter, Ledger, Stream, Subject};

fn conflicting(subject: &Subject) -> Append {
    guarded(subject, b"never", Expected::At(Revision(999)))
}

/// One result per entry, in the entries' order, whatever the streams.
pub async fn results_are_in_order(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let streams = [Stream::Audit, Stream::Runs, Stream::Audit, Stream::Events, Stream::Runs];
    let batch = streams.map(|stream| Append::new(stream, subject.clone(), vec![], Expected::Any));
    let results: Vec<u64> = ledger.append(batch.to_vec()).await.into_iter().map(|result| result.unwrap().0).collect();
    assert_eq!(results, [1, 1, 2, 1, 2]);
}

/// No entry, no result.
pub async fn an_empty_batch_is_nothing(ledger: Arc<dyn Ledger>) {
    assert!(ledger.append(vec![]).await.is_empty());
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap().last, Revision::ZERO);
}

/// An entry whose guard does not hold is left out, and uses no revision.
pub async fn a_conflict_disturbs_no_other(ledger: Arc<dyn Ledger>) {
    let (a, b) = (Subject::new(&["a"]), Subject::new(&["b"]));
    let results = ledger.append(vec![any(&a, b"1"), conflicting(&b), any(&a, b"2")]).await;
    assert!(matches!(results[..], [Ok(Revision(1)), Err(Error::Conflict { .. }), Ok(Revision(2))]));
    assert_eq!(ledger.subjects(Stream::Runs, &Filter::All).await.unwrap(), [a]);
}

/// After a refused entry its followers are skipped, up to the next that does not follow.
pub async fn followers_are_skipped(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let follower = || any(&subject, b"").following();
    let batch = vec![
        any(&subject, b""),
        follower(),
        conflicting(&subject),
        follower(),
        follower(),
        any(&subject, b""),
        follower(),
    ];
    let results = ledger.append(batch).await;
    assert!(matches!(
        results[..],
        [
            Ok(Revision(1)),
            Ok(Revision(2)),
            Err(Error::Conflict { last: Revision(2) }),
            Err(Error::Skipped),
            Err(Error::Skipped),
            Ok(Revision(3)),
            Ok(Revision(4))
        ]
    ));
}

/// There is nothing before the first entry of a batch, not even the batch before.
pub async fn the_first_never_follows(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    assert!(ledger.append(vec![conflicting(&subject)]).await[0].is_err());
    assert!(ledger.append(vec![any(&subject, b"").following()]).await[0].is_ok());
}

/// An entry may follow one of another stream.
pub async fn following_crosses_streams(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let audit = || Append::new(Stream::Audit, subject.clone(), vec![], Expected::Any).following();
    let results = ledger.append(vec![any(&subject, b""), audit(), conflicting(&subject), audit()]).await;
    assert!(matches!(results[..], [Ok(_), Ok(_), Err(Error::Conflict { .. }), Err(Error::Skipped)]));
    assert_eq!(ledger.bounds(Stream::Audit).await.unwrap().last, Revision(1));
}

/// Five thousand entries are appended in order.
pub async fn a_large_batch_is_appended(ledger: Arc<dyn Ledger>) {
    let batch: Vec<Append> =
        (0..5000_u32).map(|at| any(&Subject::new(&["s", &(at % 7).to_string()]), &at.to_le_bytes())).collect();
    let appended: Vec<Revision> = ledger.append(batch).await.into_iter().map(|result| result.unwrap()).collect();
    assert_eq!(appended, (1..=5000).map(Revision).collect::<Vec<_>>());
    let records = next(&mut ledger.tail(Stream::Runs, Filter::All, Revision::ZERO), 5000).await;
    assert_eq!(revisions(&records), appended);
    assert!(records.iter().zip(0_u32..).all(|(record, at)| *record.bytes == at.to_le_bytes()));
}
