//! What was erased is in no block file of a stream.

use std::{fs, path::Path};

use claviger_core::Revision;
use claviger_store::{Append, Expected, Ledger, NatsLedger, Stream, Subject};

use super::house;

const RECORDS: usize = 200;

/// Marks record number `at`.
fn mark(at: usize) -> String {
    format!("<canary-{at:04}-{:016x}>", (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Every file below a directory that passes.
fn files(directory: &Path, passes: fn(&Path) -> bool) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, passes));
        } else if passes(&path) {
            // A file may go between the two looks.
            found.extend(fs::read(&path).ok());
        }
    }
    found
}

/// The marks that the files contain.
fn found(files: &[Vec<u8>]) -> Vec<usize> {
    let numbers = |file: &Vec<u8>| -> Vec<usize> {
        let starts = file.windows(8).enumerate().filter(|(_, window)| window == b"<canary-");
        let digits = starts.filter_map(|(start, _)| file.get(start + 8..start + 12));
        digits.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
    };
    let mut found: Vec<usize> = files.iter().flat_map(numbers).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The blocks of streams; not those of the replication logs, which are streams of the server itself.
fn blocks(path: &Path) -> bool {
    !path.to_string_lossy().contains("/_js_/")
}

async fn fill(ledger: &NatsLedger) {
    let entry = |at: usize| {
        let bytes = mark(at).repeat([1, 2, 5, 20, 60, 250][at % 6]).into_bytes();
        Append::new(Stream::Secrets, Subject::new(&["s", &(at % 20).to_string()]), bytes, Expected::Any)
    };
    for result in ledger.append((0..RECORDS).map(entry).collect()).await {
        result.unwrap();
    }
}

/// Erases single records all over the stream and purges some subjects; gives the numbers that stay.
async fn erase_most(ledger: &NatsLedger) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..RECORDS).collect();
    for purged in [3, 17] {
        ledger.purge(Stream::Secrets, &Subject::new(&["s", &purged.to_string()])).await.unwrap();
        kept.retain(|at| at % 20 != purged);
    }
    for at in (0..RECORDS).map(|step| step * 7 % RECORDS).filter(|at| at % 5 != 0) {
        ledger.erase(Stream::Secrets, Revision(at as u64 + 1)).await.unwrap();
        kept.retain(|&other| other != at);
    }
    kept
}

async fn leaves_the_blocks(ledger: &NatsLedger, directories: &[&Path]) {
    fill(ledger).await;
    for directory in directories {
        let all: Vec<usize> = (0..RECORDS).collect();
        house::until(async || found(&files(directory, blocks)) == all).await;
    }
    let kept = erase_most(ledger).await;
    for directory in directories {
        house::until(async || found(&files(directory, blocks)) == kept).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_content_leaves_the_blocks_of_a_server() {
    let server = house::server().await;
    leaves_the_blocks(&house::ledger(server.urls()).await, &[server.directory()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_content_leaves_the_blocks_of_a_cluster() {
    let cluster = house::cluster().await;
    let directories: Vec<&Path> = cluster.servers().iter().map(claviger_testbed::NatsServer::directory).collect();
    leaves_the_blocks(&house::ledger(cluster.urls()).await, &directories).await;
}
