//! Servers that die.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use claviger_core::Revision;
use claviger_store::{Append, Error, Expected, Filter, Ledger, NatsLedger, Stream, Subject};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions};
use tokio::sync::watch;

use super::house::{self, append, entry, in_time, next};

/// Writers that count upward, each on a subject of its own and each record guarded by the one before, until they
/// are told to stop. Gives how many each was acknowledged. No append may fail: patience is longer than a restart.
async fn write_until(ledger: &NatsLedger, stop: watch::Receiver<bool>, begun: &watch::Sender<u64>) -> Vec<u64> {
    let writers = (0..8_u32).map(async |writer| {
        let subject = Subject::new(&["writer", &writer.to_string()]);
        let (mut count, mut last) = (0_u64, Revision::ZERO);
        while !*stop.borrow() {
            let bytes = count.to_le_bytes().to_vec();
            let entry = Append::new(Stream::Runs, subject.clone(), bytes, Expected::At(last));
            last = ledger.append(vec![entry]).await.remove(0).expect("an append that is tried again succeeds");
            count += 1;
            begun.send_modify(|begun| *begun += 1);
        }
        count
    });
    futures_util::future::join_all(writers).await
}

/// Everything that was acknowledged is there once, in order, in the stream and in the tail.
async fn check(ledger: &NatsLedger, tail: &mut claviger_store::Tail, counts: &[u64]) {
    let total: u64 = counts.iter().sum();
    let seen = next(tail, usize::try_from(total).unwrap()).await;
    let read = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, usize::MAX).await.unwrap();
    assert_eq!(read.len() as u64, total, "each is stored once");
    assert!(seen.iter().zip(&read).all(|(seen, read)| seen.revision == read.revision && seen.bytes == read.bytes));
    for (writer, count) in counts.iter().enumerate() {
        let subject = Subject::new(&["writer", &writer.to_string()]);
        let history = ledger.history(Stream::Runs, &subject).await.unwrap();
        let numbers: Vec<u64> =
            history.iter().map(|record| u64::from_le_bytes(record.bytes[..].try_into().unwrap())).collect();
        assert_eq!(numbers, (0..*count).collect::<Vec<_>>());
    }
}

/// Waits for so many more appends.
async fn more(begun: &mut watch::Receiver<u64>, count: u64) {
    let wanted = *begun.borrow() + count;
    in_time(begun.wait_for(|begun| *begun >= wanted)).await.unwrap();
}

/// A ledger that is written to while its servers have faults.
async fn under_load<F: AsyncFnOnce(watch::Receiver<u64>)>(ledger: &NatsLedger, faults: F) {
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    let (stop, stopped) = watch::channel(false);
    let (begun, counted) = watch::channel(0);
    let order_faults = async {
        faults(counted).await;
        stop.send_replace(true);
    };
    let (counts, ()) = in_time(async { tokio::join!(write_until(ledger, stopped, &begun), order_faults) }).await;
    check(ledger, &mut tail, &counts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_costs_no_record_and_doubles_none() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let ledger = house::ledger(server.urls()).await;
    under_load(&ledger, async |mut counted| {
        for _ in 0..3 {
            more(&mut counted, 200).await;
            server.kill();
            server.restart().await.unwrap();
        }
        more(&mut counted, 200).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_under_load_costs_no_record_and_doubles_none() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.unwrap();
    let options = house::options(cluster.urls());
    let stream = format!("{}_runs", options.name);
    let ledger = NatsLedger::connect(options).await.unwrap();
    under_load(&ledger, async |mut counted| {
        for _ in 0..2 {
            more(&mut counted, 100).await;
            let leader = cluster.stream_leader(&stream).await.expect("a leader");
            cluster.servers()[leader].kill();
            more(&mut counted, 100).await;
            cluster.servers()[leader].restart().await.unwrap();
            cluster.ready().await.unwrap();
        }
    })
    .await;
}

/// An append whose answer is lost is tried again, on a single server too, where the guard no longer holds then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_is_lost_is_stored_once() {
    let server = house::server().await;
    let proxy = claviger_testbed::Proxy::start(server.port()).await.unwrap();
    let options = house::options(vec![proxy.url()]);
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let direct = NatsLedger::connect(claviger_store::NatsOptions { servers: server.urls(), ..options }).await.unwrap();
    let mut last = Revision::ZERO;
    for round in 0..20_u8 {
        let guarded = Append { expected: Expected::At(last), ..entry("a", &[round]) };
        let mut news = direct.tail(Stream::Runs, Filter::All, last);
        let appending = ledger.append(vec![guarded]);
        // The connection is cut at the moment at which the record is there.
        let cutting = async {
            let stored = next(&mut news, 1).await;
            proxy.interrupt();
            stored[0].revision
        };
        let (answers, stored) = in_time(async { tokio::join!(appending, cutting) }).await;
        last = *answers[0].as_ref().expect("it is stored");
        assert_eq!(last, stored);
    }
    assert_eq!(direct.history(Stream::Runs, &Subject::new(&["a"])).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_goes_on_after_a_restart_without_gap_or_repetition() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let ledger = house::ledger(server.urls()).await;
    let mut tails: Vec<_> = (0..5).map(|_| ledger.tail(Stream::Runs, Filter::All, Revision::ZERO)).collect();
    let mut wanted = 1;
    for _ in 0..4 {
        for _ in 0..50 {
            assert_eq!(append(&ledger, "a", b"x").await.unwrap(), Revision(wanted));
            wanted += 1;
        }
        for tail in &mut tails {
            let records = next(tail, 50).await;
            assert!(records.iter().zip(wanted - 50..).all(|(record, at)| record.revision == Revision(at)));
        }
        server.kill();
        server.restart().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_calls_end_with_an_error_and_say_why() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let ledger = house::ledger(server.urls()).await;
    append(&ledger, "a", b"x").await.unwrap();
    assert!(ledger.trouble().is_none());
    server.kill();
    let subject = Subject::new(&["a"]);
    let (append, last, barrier) = in_time(async {
        tokio::join!(append(&ledger, "a", b"y"), ledger.last(Stream::Runs, &subject), ledger.barrier(Stream::Runs))
    })
    .await;
    for error in [append.unwrap_err(), last.unwrap_err(), barrier.unwrap_err(), ledger.trouble().unwrap()] {
        let Error::Unavailable { source: Some(source) } = error else { panic!("unavailable: {error}") };
        assert_eq!(source.to_string(), "there is no connection to a NATS server");
    }
    server.restart().await.unwrap();
    house::until(async || ledger.trouble().is_none()).await;
    house::append(&ledger, "a", b"z").await.unwrap();
}

/// Both nodes, and a third that comes later, agree on what is stored after the cluster was divided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_divided_cluster_keeps_what_it_acknowledged() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Proxied).await.unwrap();
    let options = house::options(cluster.urls());
    let stream = format!("{}_runs", options.name);
    let ledger = Arc::new(NatsLedger::connect(options).await.unwrap());
    let mut stored = BTreeSet::new();
    for round in 0..2_u8 {
        stored.insert(append(&ledger, "a", &[round]).await.unwrap());
        let leader = cluster.stream_leader(&stream).await.unwrap();
        cluster.isolate(leader);
        // If we are connected to the lonely one, it takes what it cannot keep: that is no acknowledgement.
        let meanwhile = ledger.append(vec![entry("a", &[round])]).await.remove(0);
        stored.extend(meanwhile.ok());
        cluster.heal();
        cluster.ready().await.unwrap();
        house::until(async || match append(&ledger, "a", &[round]).await {
            Ok(revision) => stored.insert(revision),
            Err(_) => false,
        })
        .await;
    }
    let barrier = ledger.barrier(Stream::Runs).await.unwrap();
    let read = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, usize::MAX).await.unwrap();
    let kept: BTreeSet<Revision> = read.iter().map(|record| record.revision).collect();
    assert!(stored.is_subset(&kept), "{stored:?} {kept:?}");
    assert_eq!(kept.last(), Some(&barrier));
    tokio::time::timeout(Duration::from_secs(10), ledger.close()).await.unwrap();
}
