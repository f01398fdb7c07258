//! No room.

use async_nats::jetstream::stream::Config;
use claviger_core::Revision;
use claviger_store::{Error, Filter, Ledger, NatsLedger, Stream, Subject};
use claviger_testbed::{NatsServer, ServerOptions};

use super::house::{self, append, entry};

/// Appends until there is no room; gives how many were appended.
async fn fill(ledger: &NatsLedger) -> u64 {
    let mut appended = 0;
    loop {
        match append(ledger, "a", &[7; 30_000]).await {
            Ok(_) => appended += 1,
            Err(Error::Full) => return appended,
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn says_so_and_goes_on(ledger: &NatsLedger) {
    let appended = fill(ledger).await;
    assert!(appended > 5);
    assert!(matches!(ledger.trouble(), Some(Error::Full)));
    // Nothing was stored, and everything can be read.
    let read = ledger.read(Stream::Runs, &Filter::All, Revision::ZERO, 1000).await.unwrap();
    assert_eq!(read.len() as u64, appended);
    assert_eq!(ledger.bounds(Stream::Runs).await.unwrap().last, read.last().unwrap().revision);
    let results = ledger.append(vec![entry("b", &[7; 30_000]), entry("b", b"").following()]).await;
    assert!(matches!(results[..], [Err(Error::Full), Err(Error::Skipped)]));
    // There is room again after erasing.
    for record in &read[..4] {
        ledger.erase(Stream::Runs, record.revision).await.unwrap();
    }
    house::until(async || append(ledger, "b", &[8; 30_000]).await.is_ok()).await;
    assert!(ledger.trouble().is_none());
    assert_eq!(ledger.history(Stream::Runs, &Subject::new(&["b"])).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_says_so_and_goes_on_when_there_is_room() {
    for urls in [house::server().await.urls(), house::cluster().await.urls()] {
        let options = house::options(urls.clone());
        NatsLedger::connect(options.clone()).await.unwrap().close().await;
        let client = house::client(&urls).await;
        let runs = client.get_stream(format!("{}_runs", options.name)).await.unwrap();
        client.update_stream(Config { max_bytes: 400_000, ..runs.cached_info().config.clone() }).await.unwrap();
        says_so_and_goes_on(&NatsLedger::connect(options).await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_says_so_and_goes_on_when_there_is_room() {
    let options = ServerOptions { max_file_store: Some(1_000_000), ..ServerOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    says_so_and_goes_on(&house::ledger(server.urls()).await).await;
}
