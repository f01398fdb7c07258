//! The servers that tests share, and ledgers on them.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use claviger_core::Revision;
use claviger_store::{Append, Expected, Ledger, NatsLedger, NatsOptions, Record, Result, Stream, Subject, Tail};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions};
use futures_util::StreamExt;
use tokio::sync::Mutex;

/// One server for all tests that run in this process at the same time.
pub(crate) async fn server() -> Arc<NatsServer> {
    static SERVER: Mutex<Weak<NatsServer>> = Mutex::const_new(Weak::new());
    let mut shared = SERVER.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(NatsServer::start(ServerOptions::default()).await.unwrap());
    *shared = Arc::downgrade(&server);
    server
}

/// One cluster of three.
pub(crate) async fn cluster() -> Arc<NatsCluster> {
    static CLUSTER: Mutex<Weak<NatsCluster>> = Mutex::const_new(Weak::new());
    let mut shared = CLUSTER.lock().await;
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(NatsCluster::start(ServerOptions::default(), Routes::Direct).await.unwrap());
    *shared = Arc::downgrade(&cluster);
    cluster
}

/// A prefix that no other test of this process has.
pub(crate) fn name() -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("t{}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// A ledger in streams of its own.
pub(crate) async fn ledger(urls: Vec<String>) -> NatsLedger {
    NatsLedger::connect(options(urls)).await.unwrap()
}

pub(crate) fn options(urls: Vec<String>) -> NatsOptions {
    NatsOptions { name: name(), ..NatsOptions::new(urls) }
}

/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it is done in time")
}

/// Asks until the answer is yes.
pub(crate) async fn until(mut ask: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Appends one record without guard.
pub(crate) async fn append(ledger: &NatsLedger, subject: &str, bytes: &[u8]) -> Result<Revision> {
    ledger.append(vec![entry(subject, bytes)]).await.remove(0)
}

pub(crate) fn entry(subject: &str, bytes: &[u8]) -> Append {
    Append::new(Stream::Runs, Subject::parse(subject).unwrap(), bytes.to_vec(), Expected::Any)
}

/// The next records of a tail.
pub(crate) async fn next(tail: &mut Tail, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.push(in_time(tail.next()).await.expect("a tail has no end").expect("the tail goes on"));
    }
    records
}

/// An ordinary client of NATS.
pub(crate) async fn client(urls: &[String]) -> async_nats::jetstream::Context {
    let addresses: Vec<async_nats::ServerAddr> = urls.iter().map(|url| url.parse().unwrap()).collect();
    async_nats::jetstream::new(async_nats::connect(addresses).await.unwrap())
}
