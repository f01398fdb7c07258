//! Several ledgers on the same streams.

use std::time::Duration;

use claviger_core::Revision;
use claviger_store::{Filter, Ledger, NatsLedger, NatsOptions, Stream, Subject};
use futures_util::future::join_all;

use super::house::{self, append, entry, next};

/// Two processes of one vault.
async fn two(urls: Vec<String>) -> (NatsLedger, NatsLedger) {
    let options = house::options(urls);
    (NatsLedger::connect(options.clone()).await.unwrap(), NatsLedger::connect(options).await.unwrap())
}

async fn each_sees_the_others_writes_in_order(urls: Vec<String>) {
    const EACH: u64 = 200;
    let (a, b) = two(urls).await;
    let mut tails = [&a, &b].map(|ledger| ledger.tail(Stream::Runs, Filter::All, Revision::ZERO));
    let write = async |ledger: &NatsLedger, name: &str| {
        for at in 0..EACH {
            append(ledger, name, &at.to_le_bytes()).await.unwrap();
        }
    };
    tokio::join!(write(&a, "a"), write(&b, "b"));
    let count = usize::try_from(EACH).unwrap() * 2;
    let seen = join_all(tails.iter_mut().map(|tail| next(tail, count))).await;
    for records in &seen {
        assert!(records.iter().zip(1..).all(|(record, at)| record.revision == Revision(at)));
        for name in ["a", "b"] {
            let of_one = records.iter().filter(|record| record.subject.as_str() == name);
            assert!(of_one.zip(0_u64..).all(|(record, at)| *record.bytes == at.to_le_bytes()));
        }
    }
    assert!(seen[0].iter().zip(&seen[1]).all(|(one, other)| one.bytes == other.bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server_each_sees_the_others_writes_in_order() {
    let server = house::server().await;
    each_sees_the_others_writes_in_order(server.urls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster_each_sees_the_others_writes_in_order() {
    let cluster = house::cluster().await;
    each_sees_the_others_writes_in_order(cluster.urls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_barrier_holds_what_another_process_was_acknowledged() {
    let cluster = house::cluster().await;
    let (a, b) = two(cluster.urls()).await;
    for at in 0..50_u8 {
        let revision = append(&a, "a", &[at]).await.unwrap();
        assert!(b.barrier(Stream::Runs).await.unwrap() >= revision);
        assert_eq!(b.bounds(Stream::Runs).await.unwrap().last, revision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_start_together_make_one_store() {
    let cluster = house::cluster().await;
    let options = house::options(cluster.urls());
    // Each writes as soon as it can, while others still look at what there is.
    let start = |at: u8| {
        let options = options.clone();
        tokio::spawn(async move {
            let ledger = NatsLedger::connect(options).await.unwrap();
            append(&ledger, &format!("by-{at}"), &[at]).await.unwrap();
            ledger
        })
    };
    let ledgers = join_all((0..6).map(start)).await;
    let ledgers: Vec<NatsLedger> = ledgers.into_iter().map(Result::unwrap).collect();
    assert_eq!(ledgers[0].subjects(Stream::Runs, &Filter::All).await.unwrap().len(), 6);
    assert!(ledgers.iter().all(|ledger| ledger.incarnation() == ledgers[0].incarnation()));
    assert!(ledgers.iter().all(Ledger::is_shared));
    let other = NatsLedger::connect(NatsOptions { name: house::name(), ..options }).await.unwrap();
    assert_ne!(other.incarnation(), ledgers[0].incarnation());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vaults_with_names_of_their_own_are_apart() {
    let server = house::server().await;
    let name = house::name();
    let mut ledgers = Vec::new();
    // One begins like the other.
    for name in [name.clone(), format!("{name}-1")] {
        let options = NatsOptions { name, ..house::options(server.urls()) };
        ledgers.push(NatsLedger::connect(options).await.unwrap());
    }
    append(&ledgers[0], "a", b"0").await.unwrap();
    append(&ledgers[1], "b", b"1").await.unwrap();
    for (ledger, name) in ledgers.iter().zip(["a", "b"]) {
        let subjects = ledger.subjects(Stream::Runs, &Filter::All).await.unwrap();
        assert_eq!(subjects, [Subject::new(&[name])]);
    }
}

/// What is erased, dropped or noted by one is known to one that comes later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounds_are_the_same_for_those_that_come_later() {
    let server = house::server().await;
    let options = house::options(server.urls());
    let a = NatsLedger::connect(options.clone()).await.unwrap();
    let b = NatsLedger::connect(options.clone()).await.unwrap();
    let check = async |last: u64, first: u64| {
        let late = NatsLedger::connect(options.clone()).await.unwrap();
        for (ledger, stream) in [(&a, Stream::Access), (&b, Stream::Access), (&late, Stream::Access)] {
            let barrier = ledger.barrier(stream).await.unwrap();
            assert_eq!(barrier, Revision(last));
            let bounds = ledger.bounds(stream).await.unwrap();
            assert_eq!((bounds.first, bounds.last), (Revision(first), Revision(last)));
        }
        late.close().await;
    };
    let access = |subject: &str| claviger_store::Append { stream: Stream::Access, ..entry(subject, b"x") };
    check(0, 1).await;
    let written = a.append((0..70).map(|_| access("a")).collect()).await;
    let last = written.last().unwrap().clone().unwrap();
    check(last.0, 1).await;
    a.trim(claviger_core::Timestamp(0)).await.unwrap();
    let first = written[70 - 64].clone().unwrap();
    check(last.0, first.0).await;
    // The last record of all is erased, and what is stored last then is a barrier.
    let erased = b.append(vec![access("b")]).await.remove(0).unwrap();
    b.erase(Stream::Access, erased).await.unwrap();
    check(erased.0, first.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_another_process_erased_for_long() {
    let cluster = house::cluster().await;
    let (a, b) = two(cluster.urls()).await;
    let revision = append(&a, "a", b"x").await.unwrap();
    b.erase(Stream::Runs, revision).await.unwrap();
    assert!(b.history(Stream::Runs, &Subject::new(&["a"])).await.unwrap().is_empty());
    house::until(async || a.history(Stream::Runs, &Subject::new(&["a"])).await.unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_is_abandoned_leaves_the_connection_alone() {
    let server = house::server().await;
    let ledger = house::ledger(server.urls()).await;
    for at in 0..200_u32 {
        let batch = (0..20).map(|_| entry("a", &at.to_le_bytes())).collect();
        let patience = Duration::from_micros(u64::from(at) * 20);
        let _abandoned = tokio::time::timeout(patience, ledger.append(batch)).await;
    }
    let revision = append(&ledger, "a", b"last").await.unwrap();
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    let records = next(&mut tail, usize::try_from(revision.0).unwrap()).await;
    assert_eq!(&*records.last().unwrap().bytes, b"last");
}
