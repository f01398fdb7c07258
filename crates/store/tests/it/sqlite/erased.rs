//! What was erased is in none of the files.

use std::{fs, path::Path, time::Duration};

use claviger_core::Revision;
use claviger_store::{Append, Expected, Ledger, Stream, Subject};

use super::open;

const RECORDS: usize = 400;

/// Marks record number `at`: unlike any other mark, and unlikely elsewhere.
fn mark(at: usize) -> String {
    format!("<canary-{at:04}-{:016x}>", (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// From a few dozen bytes to several pages, the mark at the beginning, the end and in between.
pub(super) fn content(at: usize) -> Vec<u8> {
    mark(at).repeat([1, 2, 5, 20, 60, 250][at % 6]).into_bytes()
}

/// The marks that some file in the directory contains.
pub(super) fn found(directory: &Path) -> Vec<usize> {
    let mut everything = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        everything.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let mut found: Vec<usize> = everything
        .windows(8)
        .enumerate()
        .filter(|(_, window)| window == b"<canary-")
        .filter_map(|(start, _)| everything.get(start + 8..start + 12))
        .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Erases single records all over the stream and purges some subjects; gives the numbers that stay.
async fn erase_most(ledger: &dyn Ledger) -> Vec<usize> {
    let subject = |at: usize| Subject::new(&["s", &(at % 40).to_string()]);
    for at in 0..RECORDS {
        ledger
            .append(vec![Append::new(Stream::Secrets, subject(at), content(at), Expected::Any)])
            .await
            .remove(0)
            .unwrap();
    }
    let mut kept: Vec<usize> = (0..RECORDS).collect();
    for purged in [3, 17, 18, 39] {
        ledger.purge(Stream::Secrets, &subject(purged)).await.unwrap();
        kept.retain(|at| at % 40 != purged);
    }
    // Seven and 400 have no common divisor: every record once, in a scattered order.
    for at in (0..RECORDS).map(|step| step * 7 % RECORDS).filter(|at| at % 5 != 0) {
        ledger.erase(Stream::Secrets, Revision(at as u64 + 1)).await.unwrap();
        kept.retain(|&other| other != at);
    }
    kept
}

#[tokio::test]
async fn erased_content_has_left_the_files_after_closing() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let kept = erase_most(&ledger).await;
    ledger.close().await;
    assert_eq!(found(directory.path()), kept);
}

#[tokio::test]
async fn erased_content_leaves_the_files_while_open() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let kept = erase_most(&ledger).await;
    // The checkpoint that wipes comes by itself, soon.
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    tokio::time::timeout(Duration::from_secs(30), async {
        while found(directory.path()) != kept {
            looks.tick().await;
        }
    })
    .await
    .expect("erased content leaves the files");
}

#[tokio::test]
async fn without_erasing_it_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    for at in 0..10 {
        let entry = Append::new(Stream::Secrets, Subject::new(&["s"]), content(at), Expected::Any);
        ledger.append(vec![entry]).await.remove(0).unwrap();
    }
    assert_eq!(found(directory.path()), (0..10).collect::<Vec<_>>(), "the search finds what is in the log");
    ledger.close().await;
    assert_eq!(found(directory.path()), (0..10).collect::<Vec<_>>(), "the search finds what is in the database");
}
