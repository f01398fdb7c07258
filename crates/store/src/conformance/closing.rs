//! Closing.

use std::sync::Arc;

use claviger_core::{Revision, Timestamp};
use futures_util::StreamExt;

use super::{any, append, assert_unavailable, in_time, next, stored};
use crate::{Filter, Ledger, Stream, Subject};

/// Every call is refused, none hangs.
pub async fn calls_after_it_are_refused(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    stored(&*ledger, any(&subject, b"")).await;
    in_time(ledger.close()).await;
    assert_unavailable(append(&*ledger, any(&subject, b"")).await);
    assert_eq!(ledger.append(vec![any(&subject, b""), any(&subject, b"")]).await.len(), 2);
    assert_unavailable(ledger.last(Stream::Runs, &subject).await);
    assert_unavailable(ledger.history(Stream::Runs, &subject).await);
    assert_unavailable(ledger.subjects(Stream::Runs, &Filter::All).await);
    assert_unavailable(ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 1).await);
    assert_unavailable(ledger.erase(Stream::Runs, Revision(1)).await);
    assert_unavailable(ledger.purge(Stream::Runs, &subject).await);
    assert_unavailable(ledger.barrier(Stream::Runs).await);
    assert_unavailable(ledger.bounds(Stream::Runs).await);
    assert_unavailable(ledger.trim(Timestamp(0)).await);
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    assert_unavailable(in_time(tail.next()).await.expect("a closed tail says why it ends"));
}

/// A tail that waits learns of it, and has then ended.
pub async fn tails_end(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    stored(&*ledger, any(&subject, b"")).await;
    assert_eq!(next(&mut tail, 1).await.len(), 1);
    let waiting = tokio::spawn(async move { (tail.next().await, tail.next().await) });
    ledger.close().await;
    let (error, end) = in_time(waiting).await.unwrap();
    assert_unavailable(error.expect("a closed tail says why it ends"));
    assert!(end.is_none());
}

/// Nor is closing it at the same time.
pub async fn closing_twice_is_no_error(ledger: Arc<dyn Ledger>) {
    in_time(async { tokio::join!(ledger.close(), ledger.close()) }).await;
    in_time(ledger.close()).await;
}
