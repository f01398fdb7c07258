//! A stream that was there and is absent is an error, and is not made anew.

use claviger_core::Incarnation;
use claviger_store::{Error, Ledger, NatsLedger, NatsOptions, Stream};
use futures_util::future::join_all;

use super::house::{self, append};

async fn refusal(options: &NatsOptions) -> String {
    match NatsLedger::connect(options.clone()).await.err() {
        Some(Error::Gone { what }) => what,
        other => panic!("{other:?}"),
    }
}

fn stream_name(options: &NatsOptions, stream: Stream) -> String {
    let prefix = if stream == Stream::Secrets { "KV_" } else { "" };
    format!("{prefix}{}_{stream}", options.name)
}

async fn delete(client: &async_nats::jetstream::Context, options: &NatsOptions, stream: Stream) {
    client.delete_stream(stream_name(options, stream)).await.unwrap();
}

/// How many streams there are of a store.
async fn count(client: &async_nats::jetstream::Context, options: &NatsOptions) -> usize {
    let found = join_all(Stream::ALL.map(|stream| client.get_stream(stream_name(options, stream)))).await;
    found.iter().filter(|found| found.is_ok()).count()
}

/// A store with a record, its options, and its incarnation.
async fn written(urls: Vec<String>) -> (NatsOptions, Incarnation) {
    let options = house::options(urls);
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    append(&ledger, "a", b"x").await.unwrap();
    ledger.close().await;
    (options, ledger.incarnation())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_stream_is_named_and_not_made() {
    for urls in [house::server().await.urls(), house::cluster().await.urls()] {
        let client = house::client(&urls).await;
        for stream in [Stream::Secrets, Stream::Keyring] {
            let (options, _) = written(urls.clone()).await;
            delete(&client, &options, stream).await;
            let what = refusal(&options).await;
            assert!(what.contains(&format!("`{}`", stream_name(&options, stream))), "{what}");
            assert_eq!(count(&client, &options).await, Stream::ALL.len() - 1, "nothing was made");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyring_that_was_emptied_is_not_begun_again() {
    let server = house::server().await;
    let client = house::client(&server.urls()).await;
    let (options, _) = written(server.urls()).await;
    let name = stream_name(&options, Stream::Keyring);
    let config = client.get_stream(&name).await.unwrap().cached_info().config.clone();
    client.delete_stream(&name).await.unwrap();
    client.create_stream(config).await.unwrap();
    let what = refusal(&options).await;
    assert!(what.contains(&name), "{what}");
    let keyring = client.get_stream(&name).await.unwrap();
    assert_eq!(keyring.cached_info().state.last_sequence, 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_knows_a_store_takes_no_other() {
    let server = house::server().await;
    let client = house::client(&server.urls()).await;
    let (options, life) = written(server.urls()).await;
    let known = NatsOptions { known: Some(life), ..options.clone() };
    NatsLedger::connect(known.clone()).await.unwrap().close().await;
    refusal(&NatsOptions { known: Some(Incarnation(life.0 ^ 1)), ..options.clone() }).await;
    for stream in Stream::ALL {
        delete(&client, &options, stream).await;
    }
    refusal(&known).await;
    assert_eq!(count(&client, &options).await, 0, "nothing was made");
    // Who knows of nothing cannot tell it from a new one.
    let other = NatsLedger::connect(options).await.unwrap();
    assert_ne!(other.incarnation(), life);
    let what = refusal(&known).await;
    assert!(what.contains("index"), "{what}");
}

/// The way to accept the loss of a stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_incarnation_a_store_begins_another_life_with_what_is_there() {
    let server = house::server().await;
    let client = house::client(&server.urls()).await;
    let (options, life) = written(server.urls()).await;
    delete(&client, &options, Stream::Secrets).await;
    let keyring = client.get_stream(stream_name(&options, Stream::Keyring)).await.unwrap();
    keyring.purge().filter(format!("{}.control.keyring.incarnation", options.name)).await.unwrap();
    let ledger = NatsLedger::connect(options).await.unwrap();
    assert_ne!(ledger.incarnation(), life);
    assert_eq!(ledger.barrier(Stream::Secrets).await.unwrap(), claviger_core::Revision::ZERO);
    assert_eq!(ledger.barrier(Stream::Runs).await.unwrap(), claviger_core::Revision(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_completed() {
    let server = house::server().await;
    let client = house::client(&server.urls()).await;
    let (options, _) = written(server.urls()).await;
    // As if whoever made it had died after the keyring's stream and that of the secrets.
    let keyring = stream_name(&options, Stream::Keyring);
    let config = client.get_stream(&keyring).await.unwrap().cached_info().config.clone();
    for stream in Stream::ALL.into_iter().filter(|&stream| stream != Stream::Secrets) {
        delete(&client, &options, stream).await;
    }
    client.create_stream(config).await.unwrap();
    let started = join_all((0..4).map(|_| NatsLedger::connect(options.clone()))).await;
    let lives: Vec<Incarnation> = started.into_iter().map(|ledger| ledger.unwrap().incarnation()).collect();
    assert!(lives.iter().all(|life| *life == lives[0]));
}
