//! The files: what survives closing, who may open them, and what is refused.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use claviger_core::Revision;
use claviger_store::{Error, Filter, Ledger, Result, SqliteLedger, SqliteOptions, Stream, Subject};
use rusqlite::Connection;

use super::{entry, open, options};

fn damage(result: Result<SqliteLedger>) -> &'static str {
    match result.err() {
        Some(Error::Damaged { what }) => what,
        other => panic!("expected damage, found {other:?}"),
    }
}

fn alter(directory: &Path, sql: &str) {
    Connection::open(directory.join("ledger.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let incarnation = ledger.incarnation();
    for at in 0..100_u8 {
        assert!(ledger.append(vec![entry("a", &[at])]).await[0].is_ok());
    }
    ledger.erase(Stream::Runs, Revision(100)).await.unwrap();
    drop(ledger);

    let ledger = open(directory.path());
    assert_eq!(ledger.incarnation(), incarnation);
    let records = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 1000).await.unwrap();
    assert!(records.len() == 99 && records.iter().zip(0_u8..).all(|(record, at)| *record.bytes == [at]));
    assert_eq!(
        *ledger.append(vec![entry("a", b"")]).await[0].as_ref().unwrap(),
        Revision(101),
        "100 is not used again"
    );
    ledger.close().await;

    // Closed, but not dropped: the lock is free all the same.
    let again = open(directory.path());
    assert_eq!(again.bounds(Stream::Runs).await.unwrap().last, Revision(101));
}

#[tokio::test]
async fn bounds_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let subject = Subject::new(&["a"]);
    let append =
        |_| claviger_store::Append::new(Stream::Access, subject.clone(), vec![], claviger_store::Expected::Any);
    ledger.append((0..70).map(append).collect()).await;
    ledger.trim(claviger_core::Timestamp(0)).await.unwrap();
    ledger.purge(Stream::Access, &subject).await.unwrap();
    let bounds = ledger.bounds(Stream::Access).await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Revision(7), Revision(70)));
    drop(ledger);
    assert_eq!(open(directory.path()).bounds(Stream::Access).await.unwrap(), bounds);
}

#[test]
fn each_new_file_is_an_incarnation_of_its_own() {
    let incarnations = [0, 1].map(|_| open(tempfile::tempdir().unwrap().path()).incarnation());
    assert_ne!(incarnations[0], incarnations[1]);
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    assert!(matches!(SqliteLedger::open(options(directory.path())).err(), Some(Error::InUse)));
    assert!(first.append(vec![entry("a", b"")]).await[0].is_ok(), "the first is not disturbed");
    drop(first);
    drop(open(directory.path()));
}

#[tokio::test]
async fn files_are_private_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let before = rustix::process::umask(rustix::fs::Mode::empty());
    let ledger = open(directory.path());
    ledger.append(vec![entry("a", b"")]).await;
    rustix::process::umask(before);
    let mut names = Vec::new();
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock"]);
}

#[test]
fn a_file_that_was_readable_by_others_is_not_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    drop(open(directory.path()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(directory.path()));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    alter(directory.path(), "INSERT INTO schema_migrations VALUES (1000, 0, 0)");
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the database is from a newer version");
}

#[test]
fn another_history_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    alter(directory.path(), "UPDATE schema_migrations SET checksum = checksum + 1");
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the database was made by a different version");
}

#[test]
fn a_database_of_others_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    alter(directory.path(), "CREATE TABLE theirs (x)");
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the database is not a ledger");
    alter(directory.path(), "INSERT INTO theirs VALUES (1)");
}

#[test]
fn damage_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    drop(open(directory.path()));
    let whole = fs::read(&path).unwrap();

    let mut header = whole.clone();
    header[..16].fill(b'x');
    fs::write(&path, header).unwrap();
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the file is not a database");

    let mut pages = whole.clone();
    pages[100..].fill(0xA5);
    fs::write(&path, pages).unwrap();
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the database is malformed");

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(damage(SqliteLedger::open(options(directory.path()))), "the database is malformed");
}

#[test]
fn a_read_only_directory_is_refused() {
    // Nobody may make files there, not even root, for whom modes mean nothing.
    let opened = SqliteLedger::open(SqliteOptions::new("/sys/kernel/ledger.db"));
    assert!(matches!(opened.err(), Some(Error::ReadOnly)));
}

#[test]
fn a_missing_directory_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    let opened = SqliteLedger::open(options(&directory.path().join("missing")));
    assert!(matches!(opened.err(), Some(Error::Unavailable { source: Some(_) })));
}

#[test]
fn the_bundled_sqlite_is_recent() {
    // Versions up to 3.51.2 can corrupt a database when a checkpoint meets a write.
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}
