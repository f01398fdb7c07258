//! No room.

use async_nats::jetstream::stream::Config;
use claviger_core::Revision;
use claviger_store::{Error, Filter, Ledger, NatsLedger, NatsOptions, Stream, Subject};
use claviger_testbed::{NatsServer, Proxy, ServerOptions};

use super::house::{self, append, entry, next};

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

/// What was stored is not refused as what did not fit, although there is no room when it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_that_fits_is_stored_though_its_answer_is_lost() {
    let server = house::server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let options = house::options(vec![proxy.url()]);
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let direct = NatsLedger::connect(NatsOptions { servers: server.urls(), ..options.clone() }).await.unwrap();
    let client = house::client(&server.urls()).await;
    for round in 0..10_u8 {
        let runs = client.get_stream(format!("{}_runs", options.name)).await.unwrap().cached_info().clone();
        let max_messages = i64::try_from(runs.state.messages).unwrap() + 1;
        client.update_stream(Config { max_messages, ..runs.config }).await.unwrap();
        let last = Revision(runs.state.last_sequence);
        let mut news = direct.tail(Stream::Runs, Filter::All, last);
        let cutting = async {
            let stored = next(&mut news, 1).await;
            proxy.interrupt();
            stored[0].revision
        };
        let bytes = [round];
        let appending = append(&ledger, "a", &bytes);
        let (answer, stored) = house::in_time(async { tokio::join!(appending, cutting) }).await;
        match answer {
            Ok(revision) => assert_eq!(revision, stored),
            Err(error) => assert!(matches!(error, Error::Unavailable { .. }), "{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_says_so_and_goes_on_when_there_is_room() {
    let options = ServerOptions { max_file_store: Some(1_000_000), ..ServerOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    says_so_and_goes_on(&house::ledger(server.urls()).await).await;
}
