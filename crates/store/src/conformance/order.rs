//! One order per stream, the same for everyone.

use std::{collections::BTreeMap, sync::Arc};

use claviger_core::Revision;
use futures_util::future::join_all;

use super::{contents, next, revisions};
use crate::{Append, Expected, Filter, Ledger, Record, Stream, Subject};

const WRITERS: u32 = 8;
const BATCHES: u32 = 40;
const SUBJECTS: u32 = 5;
const STREAMS: [Stream; 2] = [Stream::Runs, Stream::Audit];

/// Many writers, with tails that began before, while and after: what the writers were answered, each
/// tail, the pages of `read` and the histories of all subjects put together are the same sequence.
pub async fn everyone_sees_the_same_order(ledger: Arc<dyn Ledger>) {
    let early: Vec<_> = STREAMS.map(|stream| watch(&ledger, stream, Revision::ZERO)).into();
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(ledger.clone(), writer)));
    let mut writers: Vec<_> = writers.collect();
    writers.remove(0).await.unwrap();
    let midway: Vec<_> = STREAMS.map(|stream| watch(&ledger, stream, Revision::ZERO)).into();
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    for (stream, watchers) in STREAMS.into_iter().zip(early.into_iter().zip(midway)) {
        let read = ledger.read(stream, &Filter::All, Revision::ZERO, usize::MAX).await.unwrap();
        assert_eq!(revisions(&read), (1..=total()).map(Revision).collect::<Vec<_>>(), "no gap, none twice");
        assert_writers_in_order(&read);
        for tail in [watchers.0, watchers.1, watch(&ledger, stream, Revision::ZERO)] {
            assert_same(&tail.await.unwrap(), &read);
        }
        assert_same(&histories(&*ledger, stream).await, &read);
    }
}

fn total() -> u64 {
    (0..WRITERS).flat_map(|_| 0..BATCHES).map(|batch| u64::from(batch % 4 + 1)).sum()
}

fn watch(ledger: &Arc<dyn Ledger>, stream: Stream, after: Revision) -> tokio::task::JoinHandle<Vec<Record>> {
    let mut tail = ledger.tail(stream, Filter::All, after);
    tokio::spawn(async move { next(&mut tail, usize::try_from(total()).unwrap()).await })
}

/// Appends batches of one to four entries per stream; each record carries its writer and its number.
async fn write(ledger: Arc<dyn Ledger>, writer: u32) {
    let mut number = 0_u32;
    for batch in 0..BATCHES {
        let mut entries = Vec::new();
        for _ in 0..=batch % 4 {
            let subject = Subject::new(&["s", &((writer + number) % SUBJECTS).to_string()]);
            let bytes = [writer.to_le_bytes(), number.to_le_bytes()].concat();
            let entry = |stream| Append::new(stream, subject.clone(), bytes.clone(), Expected::Any);
            entries.extend(STREAMS.map(entry));
            number += 1;
        }
        let results = ledger.append(entries).await;
        assert!(results.iter().all(Result::is_ok));
    }
}

/// What one writer appended is in the order in which it appended it.
fn assert_writers_in_order(records: &[Record]) {
    let mut numbers: BTreeMap<&[u8], u32> = BTreeMap::new();
    for bytes in contents(records) {
        let (writer, number) = bytes.split_at(4);
        let wanted = numbers.entry(writer).or_default();
        assert_eq!(number, wanted.to_le_bytes());
        *wanted += 1;
    }
    assert_eq!(numbers.len(), usize::try_from(WRITERS).unwrap());
}

async fn histories(ledger: &dyn Ledger, stream: Stream) -> Vec<Record> {
    let mut records = Vec::new();
    for subject in ledger.subjects(stream, &Filter::All).await.unwrap() {
        records.extend(ledger.history(stream, &subject).await.unwrap());
    }
    records.sort_by_key(|record| record.revision);
    records
}

fn assert_same(found: &[Record], wanted: &[Record]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!((found.revision, &found.subject, &found.bytes), (wanted.revision, &wanted.subject, &wanted.bytes));
        assert_eq!(found.stored_at, wanted.stored_at);
    }
}
