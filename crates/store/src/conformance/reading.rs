//! Reads: the last record, history, pages, filters, subjects.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use claviger_core::{Revision, Timestamp};

use super::{any, contents, fill, revisions, stored};
use crate::{Filter, Ledger, Stream, Subject};

/// Both see the subject's own records only.
pub async fn last_and_history(ledger: Arc<dyn Ledger>) {
    let (a, b) = (Subject::new(&["a"]), Subject::new(&["b"]));
    assert!(ledger.last(Stream::Runs, &a).await.unwrap().is_none());
    assert!(ledger.history(Stream::Runs, &a).await.unwrap().is_empty());
    stored(&*ledger, any(&a, b"1")).await;
    stored(&*ledger, any(&b, b"2")).await;
    stored(&*ledger, any(&a, b"3")).await;
    let last = ledger.last(Stream::Runs, &a).await.unwrap().unwrap();
    assert_eq!((last.revision, &*last.bytes, &last.subject), (Revision(3), &b"3"[..], &a));
    assert_eq!(contents(&ledger.history(Stream::Runs, &a).await.unwrap()), [b"1", b"3"]);
    assert!(ledger.last(Stream::Audit, &a).await.unwrap().is_none(), "another stream has nothing");
}

/// A page holds at most `limit` records and continues where the last one ended.
pub async fn reads_are_pages(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let appended = fill(&*ledger, Stream::Runs, &subject, 25).await;
    let (mut read, mut after) = (Vec::new(), Revision::ZERO);
    loop {
        let page = ledger.read(Stream::Runs, &Filter::All, after, 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = last.revision;
        read.extend(revisions(&page));
    }
    assert_eq!(read, appended);
    for (after, limit) in [(Revision::ZERO, 0), (Revision(25), 10), (Revision(u64::MAX), 10)] {
        assert!(ledger.read(Stream::Runs, &Filter::All, after, limit).await.unwrap().is_empty());
    }
    assert_eq!(ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, usize::MAX).await.unwrap().len(), 25);
}

/// `Under` wants one more token; a prefix of text is not a prefix of tokens.
pub async fn filters_pass_what_they_name(ledger: Arc<dyn Ledger>) {
    let names = ["run", "run.a", "run.a.b", "run-a", "run=a", "runa", "Run.a", "other.run.a"];
    for name in names {
        stored(&*ledger, any(&Subject::parse(name).unwrap(), b"")).await;
    }
    let run = Subject::new(&["run"]);
    let cases = [
        (Filter::All, &names[..]),
        (Filter::Exact(run.clone()), &["run"][..]),
        (Filter::Under(run), &["run.a", "run.a.b"][..]),
        (Filter::Under(Subject::new(&["run", "a"])), &["run.a.b"][..]),
        (Filter::Exact(Subject::new(&["nobody"])), &[][..]),
        (Filter::Under(Subject::new(&["nobody"])), &[][..]),
    ];
    for (filter, wanted) in cases {
        let records = ledger.read(Stream::Runs, &filter, Revision::ZERO, 100).await.unwrap();
        let read: Vec<&str> = records.iter().map(|record| record.subject.as_str()).collect();
        assert_eq!(read, wanted, "{filter:?}");
        let mut sorted = wanted.to_vec();
        sorted.sort_unstable();
        let subjects = ledger.subjects(Stream::Runs, &filter).await.unwrap();
        assert_eq!(subjects.iter().map(Subject::as_str).collect::<Vec<_>>(), sorted, "{filter:?}");
    }
}

/// Each subject once, in byte order, however often it was written.
pub async fn subjects_are_sorted(ledger: Arc<dyn Ledger>) {
    for name in ["b", "a.b", "a", "B", "a-b", "a", "b", "a.b.c", "_", "=", "0"] {
        stored(&*ledger, any(&Subject::parse(name).unwrap(), b"")).await;
    }
    let subjects = ledger.subjects(Stream::Runs, &Filter::All).await.unwrap();
    let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
    assert_eq!(names, ["0", "=", "B", "_", "a", "a-b", "a.b", "a.b.c", "b"]);
}

/// Records are stamped with the time at which they were stored.
pub async fn times_are_now(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    stored(&*ledger, any(&subject, b"")).await;
    let stamped = ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().stored_at;
    let now = Timestamp::default().plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    let minute = Duration::from_secs(60);
    assert!(now.since(stamped) < minute && stamped.since(now) < minute, "{stamped} is not about {now}");
}
