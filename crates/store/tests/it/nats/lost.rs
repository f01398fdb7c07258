//! What was seen of a stream and is not there, and what only looks so.

use std::{fs, path::Path, time::Duration};

use claviger_core::Revision;
use claviger_store::{Error, Filter, Ledger, NatsLedger, NatsOptions, Stream, Subject};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions};
use tokio::time::sleep;

use super::house::{self, append, next};

fn is_lost(ledger: &NatsLedger) -> bool {
    matches!(ledger.trouble(), Some(Error::Lost))
}

/// Every call on the stream says so, and the others are what they were.
async fn is_refused(ledger: &NatsLedger) {
    let subject = Subject::new(&["a"]);
    assert!(matches!(append(ledger, "a", b"z").await, Err(Error::Lost)));
    assert!(matches!(ledger.bounds(Stream::Runs).await, Err(Error::Lost)));
    assert!(matches!(ledger.barrier(Stream::Runs).await, Err(Error::Lost)));
    assert!(matches!(ledger.last(Stream::Runs, &subject).await, Err(Error::Lost)));
    assert!(matches!(ledger.history(Stream::Runs, &subject).await, Err(Error::Lost)));
    ledger.barrier(Stream::Secrets).await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn replace(store: &Path, by: &Path) {
    fs::remove_dir_all(store).unwrap();
    copy(by, store);
}

/// A stream that is not what it was is said to have lost records, and nothing more is built on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_made_anew_is_noticed() {
    let server = house::server().await;
    let options = house::options(server.urls());
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    for _ in 0..3 {
        append(&ledger, "a", b"x").await.unwrap();
    }
    ledger.barrier(Stream::Runs).await.unwrap();
    let client = house::client(&server.urls()).await;
    let name = format!("{}_runs", options.name);
    let config = client.get_stream(&name).await.unwrap().cached_info().config.clone();
    client.delete_stream(&name).await.unwrap();
    client.create_stream(config).await.unwrap();
    let other = NatsLedger::connect(options).await.unwrap();
    for _ in 0..5 {
        append(&other, "a", b"y").await.unwrap();
    }
    house::until(async || is_lost(&ledger)).await;
    is_refused(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_is_a_loss() {
    for urls in [house::server().await.urls(), house::cluster().await.urls()] {
        let options = house::options(urls.clone());
        let ledger = NatsLedger::connect(options.clone()).await.unwrap();
        append(&ledger, "a", b"x").await.unwrap();
        let client = house::client(&urls).await;
        let name = format!("{}_runs", options.name);
        let config = client.get_stream(&name).await.unwrap().cached_info().config.clone();
        client.delete_stream(&name).await.unwrap();
        house::until(async || is_lost(&ledger)).await;
        is_refused(&ledger).await;
        // An empty one in its place is none the better, however often it is looked at.
        client.create_stream(config).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        is_refused(&ledger).await;
        ledger.close().await;
    }
}

/// From a copy that is too old to one that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_and_is_restored_is_served_again() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let ledger = house::ledger(server.urls()).await;
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    let copies = tempfile::tempdir().unwrap();
    let (old, new) = (copies.path().join("old"), copies.path().join("new"));
    for directory in [&old, &new] {
        for _ in 0..3 {
            append(&ledger, "a", b"x").await.unwrap();
        }
        next(&mut tail, 3).await;
        server.kill();
        copy(&server.store(), directory);
        server.restart().await.unwrap();
    }
    server.kill();
    replace(&server.store(), &old);
    server.restart().await.unwrap();
    house::until(async || is_lost(&ledger)).await;
    is_refused(&ledger).await;
    server.kill();
    replace(&server.store(), &new);
    server.restart().await.unwrap();
    house::until(async || ledger.trouble().is_none()).await;
    let last = append(&ledger, "a", b"y").await.unwrap();
    let news = next(&mut tail, 1).await;
    assert_eq!((news[0].revision, &*news[0].bytes), (last, &b"y"[..]), "without gap or repetition");
    assert_eq!(ledger.history(Stream::Runs, &Subject::new(&["a"])).await.unwrap().len(), 7);
}

/// While a stream has no leader, a server whose copy is behind may answer for it. That is not taken for a loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_behind_and_has_no_leader_is_no_loss() {
    // Five servers have a majority without the two that are killed; the stream with its three copies has none.
    let cluster = NatsCluster::start_many(5, ServerOptions::default(), Routes::Proxied).await.unwrap();
    let options = NatsOptions { replicas: Some(3), ..house::options(cluster.urls()) };
    NatsLedger::connect(options.clone()).await.unwrap().close().await;
    let name = format!("{}_runs", options.name);
    let (leader, followers) = copies(&cluster, &name).await;
    let has_copy = |at: &usize| *at == leader || followers.contains(at);
    let servers = (0..5).filter(|at| !has_copy(at)).map(|at| cluster.servers()[at].url()).collect();
    let ledger = NatsLedger::connect(NatsOptions { servers, ..options }).await.unwrap();
    append(&ledger, "a", b"x").await.unwrap();
    let (behind, killed) = (&cluster.servers()[followers[0]], [leader, followers[1]].map(|at| &cluster.servers()[at]));
    cluster.isolate(followers[0]);
    for _ in 0..20 {
        house::until(async || append(&ledger, "a", b"x").await.is_ok()).await;
    }
    let last = ledger.barrier(Stream::Runs).await.unwrap();
    killed.iter().for_each(|server| server.kill());
    cluster.heal();
    let is_answered = async || {
        let info = behind.jetstream(&format!("STREAM.INFO.{name}"), &serde_json::Value::Null).await;
        info.is_ok_and(|info| info["state"]["last_seq"].as_u64().is_some_and(|seq| seq < last.0))
    };
    house::until(is_answered).await;
    // Longer than it takes to find out that something was lost.
    for _ in 0..60 {
        sleep(Duration::from_millis(100)).await;
        assert!(!is_lost(&ledger), "{:?}", ledger.trouble());
    }
    for server in killed {
        server.restart().await.unwrap();
    }
    house::until(async || append(&ledger, "a", b"y").await.is_ok()).await;
    assert!(ledger.history(Stream::Runs, &Subject::new(&["a"])).await.unwrap().len() > 21);
}

/// The places of the servers that lead and follow a stream.
async fn copies(cluster: &NatsCluster, stream: &str) -> (usize, Vec<usize>) {
    let client = house::client(&cluster.urls()).await;
    let info = client.get_stream(stream).await.unwrap().cached_info().clone().cluster.unwrap();
    let place = |name: &str| cluster.servers().iter().position(|server| server.name() == name).unwrap();
    (place(&info.leader.unwrap()), info.replicas.iter().map(|peer| place(&peer.name)).collect())
}
