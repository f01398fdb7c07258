//! The index's file: kept while it fits the ledger, made anew when it does not.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use claviger_core::{Incarnation, Revision};
use claviger_store::{Error, Index, Op, SqliteIndex, Stream};

async fn written(path: &Path) {
    let index = SqliteIndex::open(path, Incarnation(u64::MAX)).unwrap();
    let put = Op::Put { key: "key".to_owned(), value: b"value".to_vec() };
    index.write("fold", vec![put], [(Stream::Secrets, Revision(3))].into()).await.unwrap();
}

async fn is_empty(path: &Path, incarnation: Incarnation) -> bool {
    let index = SqliteIndex::open(path, incarnation).unwrap();
    let entries = index.scan("fold", "", "", 10).await.unwrap();
    assert_eq!(entries.is_empty(), index.reflected("fold").await.unwrap().is_empty(), "both or neither");
    entries.is_empty()
}

#[tokio::test]
async fn it_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    written(&path).await;
    assert!(!is_empty(&path, Incarnation(u64::MAX)).await);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn another_incarnation_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    written(&path).await;
    assert!(is_empty(&path, Incarnation(1)).await);
    assert!(is_empty(&path, Incarnation(u64::MAX)).await, "the old one is not found again");
}

#[tokio::test]
async fn its_life_is_that_of_what_it_reflects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    assert_eq!(SqliteIndex::life(&path).unwrap(), None);
    assert!(!path.exists(), "it is not made");
    drop(SqliteIndex::open(&path, Incarnation(1)).unwrap());
    assert_eq!(SqliteIndex::life(&path).unwrap(), None, "it reflects nothing");
    written(&path).await;
    assert_eq!(SqliteIndex::life(&path).unwrap(), Some(Incarnation(u64::MAX)));
    assert!(!is_empty(&path, Incarnation(u64::MAX)).await);
    fs::write(&path, b"not a database, but long enough to look at").unwrap();
    assert_eq!(SqliteIndex::life(&path).unwrap(), None);
}

#[tokio::test]
async fn a_damaged_file_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    for damage in [
        |_: &[u8]| b"not a database, but long enough to look at".to_vec(),
        |whole: &[u8]| {
            let mut bytes = whole.to_vec();
            bytes[100..].fill(0xA5);
            bytes
        },
    ] {
        written(&path).await;
        let whole = fs::read(&path).unwrap();
        fs::write(&path, damage(&whole)).unwrap();
        assert!(is_empty(&path, Incarnation(u64::MAX)).await);
    }
}

#[tokio::test]
async fn another_version_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    written(&path).await;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    assert!(is_empty(&path, Incarnation(u64::MAX)).await);
}

#[tokio::test]
async fn damage_that_is_found_later_is_gone_with_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.db");
    let index = SqliteIndex::open(&path, Incarnation(1)).unwrap();
    let put = |at: u32| Op::Put { key: format!("{at:04}"), value: vec![7; 500] };
    index.write("fold", (0..1000).map(put).collect(), [(Stream::Secrets, Revision(3))].into()).await.unwrap();
    drop(index);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    fs::write(&path, bytes).unwrap();

    let index = SqliteIndex::open(&path, Incarnation(1)).unwrap();
    assert!(matches!(index.scan("fold", "", "", 1000).await, Err(Error::Damaged { .. })));
    drop(index);
    assert!(is_empty(&path, Incarnation(1)).await);
}
