//! No room.

use std::sync::Arc;

use claviger_core::Revision;
use claviger_store::{Error, Filter, Ledger, SqliteLedger, SqliteOptions, Stream, Subject};
use futures_util::future::join_all;

use super::{entry, options};

fn small(directory: &std::path::Path) -> Arc<SqliteLedger> {
    let options = SqliteOptions { max_pages: Some(100), ..options(directory) };
    Arc::new(SqliteLedger::open(options).unwrap())
}

/// Appends until it is full; gives how many were appended.
async fn fill(ledger: &SqliteLedger) -> u64 {
    let mut appended = 0;
    loop {
        match ledger.append(vec![entry("a", &[7; 3000])]).await.remove(0) {
            Ok(_) => appended += 1,
            Err(Error::Full) => return appended,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_full_store_says_so_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = small(directory.path());
    let appended = fill(&ledger).await;
    assert!(appended > 10);

    // Nothing was stored, and everything can be read.
    let records = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 1000).await.unwrap();
    assert_eq!(records.len() as u64, appended);
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap().last, Revision(appended));
    assert!(matches!(ledger.append(vec![entry("b", &[7; 3000])]).await[0], Err(Error::Full)));
    assert!(matches!(ledger.trouble(), Some(Error::Full)));

    // There is room again after erasing, and the refused appends have used no revision.
    for revision in 1..=3 {
        ledger.erase(Stream::Runs, Revision(revision)).await.unwrap();
    }
    let revision = ledger.append(vec![entry("b", &[8; 3000])]).await.remove(0).unwrap();
    assert_eq!(revision, Revision(appended + 1));
    assert_eq!(*ledger.history(Stream::Runs, &Subject::new(&["b"])).await.unwrap()[0].bytes, [8; 3000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_each_knows_whether_its_record_was_stored() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = small(directory.path());
    let callers = (0..100_u8).map(|caller| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.append(vec![entry("a", &[caller; 3000])]).await.remove(0) })
    });
    let mut stored = Vec::new();
    for (answer, caller) in join_all(callers).await.into_iter().zip(0_u8..) {
        match answer.unwrap() {
            Ok(revision) => stored.push((revision, caller)),
            Err(Error::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    stored.sort();
    let records = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 1000).await.unwrap();
    let kept: Vec<_> = records.iter().map(|record| (record.revision, record.bytes[0])).collect();
    assert_eq!(kept, stored);
    assert!(kept.len() < 100);
}
