//! What every backend is held to.
//!
//! Each function checks one promise on an empty backend of its own, and panics when it is broken.
//! [`ledger_conformance!`](crate::ledger_conformance) and its siblings make a test of each:
//!
//! ```text
//! async fn open() -> (Arc<dyn Ledger>, TempDir) { ... }
//! claviger_store::ledger_conformance!(open);
//! ```
//!
//! The second part of what the function gives is kept until the test ends.

pub mod barriers;
pub mod batches;
pub mod closing;
pub mod erasing;
pub mod guards;
pub mod indexes;
pub mod limits;
pub mod message_ids;
pub mod model;
pub mod order;
pub mod queues;
pub mod reading;
pub mod retention;
mod suite;
pub mod tails;

use std::{future::Future, time::Duration};

use claviger_core::Revision;
use futures_util::StreamExt;

use crate::{Append, Error, Expected, Ledger, Record, Result, Stream, Subject, Tail};

/// Far longer than anything here takes: a test that would hang fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// An append without guard.
fn any(subject: &Subject, bytes: &[u8]) -> Append {
    guarded(subject, bytes, Expected::Any)
}

/// An append to the stream that most checks use: it drops nothing by itself.
fn guarded(subject: &Subject, bytes: &[u8], expected: Expected) -> Append {
    Append::new(Stream::Runs, subject.clone(), bytes.to_vec(), expected)
}

/// Appends one record.
async fn append(ledger: &dyn Ledger, append: Append) -> Result<Revision> {
    let mut results = ledger.append(vec![append]).await;
    assert_eq!(results.len(), 1, "one entry has one result");
    results.remove(0)
}

/// Appends one record that must be appended.
async fn stored(ledger: &dyn Ledger, entry: Append) -> Revision {
    append(ledger, entry).await.expect("the record is appended")
}

/// Appends `count` records to a subject; the first byte of each is its number.
async fn fill(ledger: &dyn Ledger, stream: Stream, subject: &Subject, count: usize) -> Vec<Revision> {
    let entry = |at: usize| Append::new(stream, subject.clone(), vec![at.to_le_bytes()[0]], Expected::Any);
    let results = ledger.append((0..count).map(entry).collect()).await;
    results.into_iter().map(|result| result.expect("the record is appended")).collect()
}

/// The next `count` records of a tail.
async fn next(tail: &mut Tail, count: usize) -> Vec<Record> {
    let mut records = Vec::with_capacity(count);
    while records.len() < count {
        let record = in_time(tail.next()).await.expect("a tail has no end");
        records.push(record.expect("the tail goes on"));
    }
    records
}

/// Waits, but not for ever.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it is done in time")
}

fn revisions(records: &[Record]) -> Vec<Revision> {
    records.iter().map(|record| record.revision).collect()
}

fn contents(records: &[Record]) -> Vec<&[u8]> {
    records.iter().map(|record| &record.bytes[..]).collect()
}

fn assert_conflict<T: std::fmt::Debug>(result: Result<T>, wanted: Revision) {
    match result {
        Err(Error::Conflict { last }) => assert_eq!(last, wanted, "the conflict names the last revision"),
        other => panic!("expected a conflict, found {other:?}"),
    }
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::Unavailable { .. })), "expected unavailable, found {result:?}");
}
