//! Barriers: what a fold has to have passed, so that it holds everything that was acknowledged.

use std::sync::Arc;

use claviger_core::Revision;
use futures_util::{FutureExt, StreamExt, future::join_all};

use super::{any, fill, next, revisions, stored};
use crate::{Bounds, Expected, Filter, Ledger, Stream, Subject};

/// Whatever was acknowledged before, by whomever.
pub async fn a_barrier_is_beyond_what_was_acknowledged(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    ledger.barrier(Stream::Runs).await.unwrap();
    for _ in 0..20 {
        let revision = stored(&*ledger, any(&subject, b"")).await;
        assert!(ledger.barrier(Stream::Runs).await.unwrap() >= revision);
    }
}

/// A fold that waits for it does not wait for a record that never comes.
pub async fn tails_come_to_it(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    for count in [1, 0, 300, 1] {
        fill(&*ledger, Stream::Runs, &subject, count).await;
        let barrier = ledger.barrier(Stream::Runs).await.unwrap();
        while count > 0 && next(&mut tail, 1).await[0].revision < barrier {}
    }
    assert!(tail.next().now_or_never().is_none());
}

/// No read, no tail, no bound and no guard.
pub async fn nobody_sees_it(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    for stream in Stream::ALL {
        let mut tail = ledger.tail(stream, Filter::All, Revision::ZERO);
        ledger.barrier(stream).await.unwrap();
        let nothing = Bounds { first: Revision(1), last: Revision::ZERO };
        assert_eq!(ledger.bounds(stream).await.unwrap(), nothing);
        let appended = fill(&*ledger, stream, &subject, 2).await;
        ledger.barrier(stream).await.unwrap();
        assert_eq!(ledger.bounds(stream).await.unwrap(), Bounds { last: appended[1], ..nothing });
        assert_eq!(revisions(&next(&mut tail, 2).await), appended);
        assert!(tail.next().now_or_never().is_none());
        let read = ledger.read(stream, &Filter::All, Revision::ZERO, 9).await.unwrap();
        assert_eq!(revisions(&read), appended);
        assert_eq!(ledger.subjects(stream, &Filter::All).await.unwrap(), std::slice::from_ref(&subject));
        let entry = crate::Append::new(stream, subject.clone(), vec![], Expected::At(appended[1]));
        assert!(super::append(&*ledger, entry).await.is_ok());
    }
}

/// Each of many callers gets one that holds what it appended before.
pub async fn many_at_a_time(ledger: Arc<dyn Ledger>) {
    let callers = (0..16_u8).map(|caller| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let revision = stored(&*ledger, any(&Subject::new(&["a", &caller.to_string()]), b"")).await;
                assert!(ledger.barrier(Stream::Runs).await.unwrap() >= revision);
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}
