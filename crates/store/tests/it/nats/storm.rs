//! A connection that breaks again and again.

use std::time::Duration;

use claviger_core::Revision;
use claviger_store::{Filter, Ledger, NatsLedger, NatsOptions, Stream};
use claviger_testbed::Proxy;

use super::house::{self, append, next};

const CUTS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_consumer_is_left_behind() {
    let server = house::server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let options = house::options(vec![proxy.url()]);
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let quiet = NatsLedger::connect(NatsOptions { servers: server.urls(), ..options.clone() }).await.unwrap();
    let client = house::client(&server.urls()).await;
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    for at in 0..CUTS {
        append(&quiet, "a", &at.to_le_bytes()).await.unwrap();
        proxy.interrupt();
        // Sometimes the consumer has been made anew by then, sometimes it is being made.
        if at % 3 == 0 {
            assert!(append(&ledger, "b", &at.to_le_bytes()).await.is_ok());
        }
    }
    // However it was broken, nothing is missing.
    let count = usize::try_from(ledger.barrier(Stream::Runs).await.unwrap().0).unwrap();
    let records = next(&mut tail, count).await;
    assert!(records.iter().zip(1..).all(|(record, at)| record.revision == Revision(at)));
    // One consumer of each of the two processes.
    for stream in ["keyring", "access", "runs", "audit"] {
        let name = format!("{}_{stream}", options.name);
        house::until(async || consumers(&client, &name).await == 2).await;
    }
    ledger.close().await;
    quiet.close().await;
    // At once, not after the time for which a server keeps a consumer that nobody listens to.
    let gone = house::until(async || consumers(&client, &format!("{}_runs", options.name)).await == 0);
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("closing takes the consumers along");
}

async fn consumers(client: &async_nats::jetstream::Context, stream: &str) -> usize {
    client.get_stream(stream).await.unwrap().cached_info().state.consumer_count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_given_up() {
    let server = house::server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let options = house::options(vec![proxy.url()]);
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let other = NatsLedger::connect(NatsOptions { servers: server.urls(), ..options }).await.unwrap();
    let mut tail = ledger.tail(Stream::Runs, Filter::All, Revision::ZERO);
    append(&ledger, "a", b"1").await.unwrap();
    proxy.stall();
    append(&other, "a", b"2").await.unwrap();
    house::until(async || ledger.trouble().is_some()).await;
    proxy.heal();
    assert_eq!(next(&mut tail, 2).await[1].revision, Revision(2));
    house::until(async || ledger.trouble().is_none()).await;
}
