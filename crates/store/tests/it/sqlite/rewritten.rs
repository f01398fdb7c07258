//! Every record is replaced, or none, and nothing of the former ones stays in the files.

use std::{fs, path::Path};

use claviger_core::Revision;
use claviger_store::{
    Append, Error, Expected, Filter, Ledger, MAX_RECORD_BYTES, Record, Rewritten, SqliteLedger, Stream, Subject,
};
use futures_util::StreamExt;

use super::{
    erased::{content, found},
    open,
};

const RECORDS: usize = 300;

/// Records in three streams, every third with a message id, some of them erased.
async fn fill(ledger: &SqliteLedger) {
    for at in 0..RECORDS {
        let stream = [Stream::Secrets, Stream::Events, Stream::Audit][at % 3];
        let subject = Subject::new(&["s", &(at % 10).to_string()]);
        let mut append = Append::new(stream, subject, content(at), Expected::Any);
        append.message_id = (stream == Stream::Events).then(|| format!("message-{at}"));
        ledger.append(vec![append]).await.remove(0).unwrap();
    }
    for revision in [1, 40, 100] {
        ledger.erase(Stream::Secrets, Revision(revision)).await.unwrap();
    }
}

async fn everything(ledger: &SqliteLedger) -> Vec<(Stream, Record)> {
    let mut all = Vec::new();
    for stream in Stream::ALL {
        let records = ledger.read(stream, &Filter::All, Revision::ZERO, 10 * RECORDS).await.unwrap();
        all.extend(records.into_iter().map(|record| (stream, record)));
    }
    all
}

/// As long as before, with every byte changed.
fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

fn invert(_: Stream, record: &Record) -> Result<Rewritten, Error> {
    Ok(Rewritten { subject: record.subject.clone(), bytes: inverted(&record.bytes) })
}

#[track_caller]
fn assert_same(before: &[(Stream, Record)], after: &[(Stream, Record)], change: fn(&[u8]) -> Vec<u8>) {
    assert_eq!(before.len(), after.len());
    for ((stream, before), (other, after)) in before.iter().zip(after) {
        assert_eq!((stream, &before.subject, before.revision), (other, &after.subject, after.revision));
        assert_eq!(before.stored_at, after.stored_at);
        assert_eq!(change(&before.bytes), *after.bytes);
    }
}

/// A copy of the files as they are at this instant, as a killed process leaves them.
fn copy_files(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        // A process that is killed takes its shared memory with it.
        if !file.file_name().to_str().unwrap().ends_with("-shm") {
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn every_record_is_replaced_and_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    fill(&ledger).await;
    let before = everything(&ledger).await;
    assert_eq!(ledger.count().await.unwrap(), before.len() as u64);
    let incarnation = ledger.incarnation();

    ledger.rewrite(invert).await.unwrap();
    assert_same(&before, &everything(&ledger).await, inverted);
    ledger.scrub().await.unwrap();
    assert_eq!(found(directory.path()), [0_usize; 0], "nothing is left while it is open");

    // Guards, message ids and tails go on as if nothing had happened.
    let mut again = Append::new(Stream::Events, Subject::new(&["s", "1"]), Vec::new(), Expected::Any);
    again.message_id = Some("message-1".to_owned());
    assert_eq!(ledger.append(vec![again]).await.remove(0).unwrap(), Revision(1));
    let bounds = ledger.bounds(Stream::Audit).await.unwrap();
    let subject = Subject::new(&["s", "9"]);
    let last = ledger.last(Stream::Audit, &subject).await.unwrap().unwrap().revision;
    let next = Append::new(Stream::Audit, subject.clone(), b"next".to_vec(), Expected::At(last));
    assert_eq!(ledger.append(vec![next]).await.remove(0).unwrap(), bounds.last.next());
    let tail: Vec<_> =
        ledger.tail(Stream::Audit, Filter::All, bounds.first).take(100).map(|record| record.unwrap()).collect().await;
    assert_eq!(&*tail[99].bytes, b"next");

    ledger.close().await;
    assert_eq!(found(directory.path()), [0_usize; 0], "nothing is left after closing");
    drop(ledger);
    let ledger = open(directory.path());
    assert_eq!(ledger.incarnation(), incarnation);
    let mut after = everything(&ledger).await;
    assert_eq!(*after.pop().unwrap().1.bytes, *b"next");
    assert_same(&before, &after, inverted);
}

#[tokio::test]
async fn a_subject_can_move() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let (old, new) = (Subject::new(&["datakey", "a"]), Subject::new(&["datakey", "b"]));
    let append = Append::new(Stream::Keyring, old.clone(), b"key".to_vec(), Expected::Absent);
    ledger.append(vec![append.clone()]).await.remove(0).unwrap();
    let moved = new.clone();
    let rewrite =
        move |_, record: &Record| Ok::<_, Error>(Rewritten { subject: moved.clone(), bytes: record.bytes.to_vec() });
    ledger.rewrite(rewrite).await.unwrap();
    assert!(ledger.last(Stream::Keyring, &old).await.unwrap().is_none());
    assert_eq!(&*ledger.last(Stream::Keyring, &new).await.unwrap().unwrap().bytes, b"key");
    assert_eq!(ledger.append(vec![append]).await.remove(0).unwrap(), Revision(2), "the old subject is free");
}

#[tokio::test]
async fn an_error_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    fill(&ledger).await;
    let before = everything(&ledger).await;
    for at in [0, 1, before.len() / 2, before.len() - 1] {
        let mut seen = 0;
        let outcome = ledger.rewrite(move |stream, record| {
            seen += 1;
            if seen > at {
                Err(Error::Damaged { what: "the record is not what it was" })
            } else {
                invert(stream, record)
            }
        });
        assert!(matches!(outcome.await, Err(Error::Damaged { what: "the record is not what it was" })));
        assert_same(&before, &everything(&ledger).await, <[u8]>::to_vec);
    }
    let grow = |_, record: &Record| {
        Ok::<_, Error>(Rewritten { subject: record.subject.clone(), bytes: vec![0; MAX_RECORD_BYTES + 1] })
    };
    assert!(matches!(ledger.rewrite(grow).await, Err(Error::TooLarge { .. })));
    drop(ledger);
    let ledger = open(directory.path());
    assert_same(&before, &everything(&ledger).await, <[u8]>::to_vec);
    ledger.rewrite(invert).await.expect("it can be tried again");
}

#[tokio::test]
async fn a_crash_leaves_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    fill(&ledger).await;
    // More than the cache holds, so that pages are written before the commit.
    for at in 0..40 {
        let large = Append::new(Stream::Audit, Subject::new(&["large"]), vec![at; 200_000], Expected::Any);
        ledger.append(vec![large]).await.remove(0).unwrap();
    }
    let before = everything(&ledger).await;
    for at in [1, 100, 250, before.len() - 20, before.len()] {
        let (mut seen, path) = (0, directory.path().to_owned());
        let (send, copied) = std::sync::mpsc::channel();
        let outcome = ledger.rewrite(move |stream, record| {
            seen += 1;
            if seen == at {
                send.send(copy_files(&path)).unwrap();
                return Err(Error::Unavailable { source: None });
            }
            invert(stream, record)
        });
        assert!(outcome.await.is_err());
        let copy = copied.recv().unwrap();
        assert_same(&before, &everything(&open(copy.path())).await, <[u8]>::to_vec);
    }
    ledger.rewrite(invert).await.unwrap();
    let copy = copy_files(directory.path());
    let ledger = open(copy.path());
    assert_same(&before, &everything(&ledger).await, inverted);
    ledger.scrub().await.unwrap();
    assert_eq!(found(copy.path()), [0_usize; 0], "scrubbing after the restart is enough");
}
