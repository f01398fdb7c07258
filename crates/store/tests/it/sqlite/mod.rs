//! SQLite.

mod erased;
mod files;
mod full;
mod index;
mod rewritten;

use std::{path::Path, sync::Arc};

use claviger_core::Incarnation;
use claviger_store::{Append, Expected, Index, Ledger, SqliteIndex, SqliteLedger, SqliteOptions, Stream, Subject};
use tempfile::TempDir;

async fn ledger() -> (Arc<dyn Ledger>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    (Arc::new(ledger), directory)
}

async fn index() -> (Arc<dyn Index>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let index = SqliteIndex::open(directory.path().join("index.db"), Incarnation(7)).unwrap();
    (Arc::new(index), directory)
}

claviger_store::ledger_conformance!(ledger);
claviger_store::index_conformance!(index);

#[tokio::test]
async fn age_is_dropped() {
    let (ledger, _directory) = ledger().await;
    claviger_store::conformance::retention::age_is_dropped(ledger).await;
}

fn options(directory: &Path) -> SqliteOptions {
    SqliteOptions::new(directory.join("ledger.db"))
}

fn open(directory: &Path) -> SqliteLedger {
    SqliteLedger::open(options(directory)).unwrap()
}

fn entry(subject: &str, bytes: &[u8]) -> Append {
    Append::new(Stream::Runs, Subject::parse(subject).unwrap(), bytes.to_vec(), Expected::Any)
}
