//! How many records per second become durable, next to what SQLite itself does on the same disk.
//!
//! Prints one line per case. Not a statistical benchmark: for tuning, and for noticing what got slow.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use claviger_core::{Incarnation, Revision};
use claviger_store::{
    Append, Expected, Filter, Index, Ledger, Op, SqliteIndex, SqliteLedger, SqliteOptions, Stream, Subject,
};
use futures_util::{StreamExt, future::join_all};

const SECONDS: f64 = 2.0;
const BYTES: usize = 300;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir_in(".").expect("a directory on a real disk");
    raw_commits(&directory.path().join("raw.db"));
    let options = SqliteOptions::new(directory.path().join("ledger.db"));
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(options).expect("the ledger opens"));
    for callers in [1, 16, 64] {
        appends(&ledger, callers).await;
    }
    tails(&ledger).await;
    last(&*ledger).await;
    scans(&directory.path().join("index.db")).await;
    ledger.close().await;
}

/// One small row per transaction, on one connection, with the ledger's settings.
fn raw_commits(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("the database opens");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (bytes BLOB) STRICT")
        .expect("the table is made");
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < SECONDS {
        connection
            .prepare_cached("INSERT INTO t VALUES (?1)")
            .and_then(|mut insert| insert.execute([[0_u8; BYTES]]))
            .expect("the row is stored");
        commits += 1;
    }
    println!("raw SQLite commits, one row each: {:.0}/s", f64::from(commits) / start.elapsed().as_secs_f64());
}

/// Callers that each append one guarded record at a time, to subjects of their own.
async fn appends(ledger: &Arc<dyn Ledger>, callers: u32) {
    let start = Instant::now();
    let work = (0..callers).map(|caller| tokio::spawn(append_for_a_while(ledger.clone(), caller)));
    let mut times: Vec<Duration> =
        join_all(work).await.into_iter().flat_map(|times| times.expect("no panic")).collect();
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("appends, {callers:2} callers: {rate:.0}/s, p50 {:?}, p99 {:?}", at(0.5), at(0.99));
}

async fn append_for_a_while(ledger: Arc<dyn Ledger>, caller: u32) -> Vec<Duration> {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let round = BEGIN.elapsed().as_micros().to_string();
    let (start, mut times, mut number) = (Instant::now(), Vec::new(), 0_u32);
    let mut expected = Expected::Absent;
    while start.elapsed().as_secs_f64() < SECONDS {
        let subject = Subject::new(&["s", &caller.to_string(), &round, &(number / 8).to_string()]);
        if number.is_multiple_of(8) {
            expected = Expected::Absent;
        }
        let before = Instant::now();
        let results = ledger.append(vec![Append::new(Stream::Runs, subject, vec![7; BYTES], expected)]).await;
        times.push(before.elapsed());
        expected = Expected::At(*results[0].as_ref().expect("the record is stored"));
        number += 1;
    }
    times
}

/// How fast a tail reads what is stored.
async fn tails(ledger: &Arc<dyn Ledger>) {
    let last = ledger.bounds(Stream::Runs).await.expect("the ledger is open").last;
    let (start, mut tail) = (Instant::now(), ledger.tail(Stream::Runs, Filter::All, Revision::ZERO));
    while tail.next().await.expect("no end").expect("no error").revision < last {}
    println!("tail over stored records: {:.0}/s", last.0 as f64 / start.elapsed().as_secs_f64());
}

/// Point reads from one caller.
async fn last(ledger: &dyn Ledger) {
    let subjects = ledger.subjects(Stream::Runs, &Filter::All).await.expect("the ledger is open");
    let (start, mut reads) = (Instant::now(), 0_usize);
    while start.elapsed().as_secs_f64() < SECONDS / 2.0 {
        let subject = &subjects[reads * 7919 % subjects.len()];
        ledger.last(Stream::Runs, subject).await.expect("the ledger is open").expect("a record");
        reads += 1;
    }
    println!(
        "last of {} subjects: {:?} each",
        subjects.len(),
        start.elapsed() / u32::try_from(reads).unwrap_or(u32::MAX)
    );
}

/// Scans of a hundred keys out of a hundred thousand.
async fn scans(path: &Path) {
    let index = SqliteIndex::open(path, Incarnation(1)).expect("the index opens");
    let put = |at: u32| Op::Put { key: format!("secret/{at:06}"), value: vec![7; 200] };
    let start = Instant::now();
    for chunk in 0..100 {
        let ops = (0..1000).map(|at| put(chunk * 1000 + at)).collect();
        index.write("list", ops, [(Stream::Secrets, Revision(u64::from(chunk)))].into()).await.expect("written");
    }
    println!("index writes: {:.0} keys/s", 100_000.0 / start.elapsed().as_secs_f64());
    drop(index);
    let start = Instant::now();
    let index = SqliteIndex::open(path, Incarnation(1)).expect("the index opens");
    println!("index open with 100,000 keys: {:?}", start.elapsed());
    let (start, mut scans) = (Instant::now(), 0_u32);
    while start.elapsed().as_secs_f64() < SECONDS / 2.0 {
        let after = format!("secret/{:06}", scans * 7919 % 99_000);
        assert_eq!(index.scan("list", "secret/", &after, 100).await.expect("the index is open").len(), 100);
        scans += 1;
    }
    println!("index scan of 100 keys: {:?} each", start.elapsed() / scans);
}
