//! The secrets are a key-value bucket for every client of NATS.

use claviger_core::Revision;
use claviger_store::{Append, Expected, Ledger, NatsLedger, Stream, Subject};
use futures_util::StreamExt;

use super::house::{self, in_time};

fn secret(subject: &str, bytes: &[u8]) -> Append {
    let subject = Subject::parse(subject).unwrap();
    Append::new(Stream::Secrets, subject, bytes.to_vec(), Expected::Any)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_reads_and_watches_it() {
    let server = house::server().await;
    let options = house::options(server.urls());
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    ledger.append(vec![secret("default.A", b"1"), secret("default.B=2E", b"1"), secret("default.A", b"2")]).await;
    ledger.barrier(Stream::Secrets).await.unwrap();

    let client = house::client(&server.urls()).await;
    let bucket = client.get_key_value(format!("{}_secrets", options.name)).await.unwrap();
    let entry = bucket.entry("default.A").await.unwrap().unwrap();
    assert_eq!((&entry.value[..], entry.revision), (&b"2"[..], 3));
    let mut keys: Vec<String> = bucket.keys().await.unwrap().map(Result::unwrap).collect().await;
    keys.sort();
    assert_eq!(keys, ["default.A", "default.B=2E"], "no barrier is a key");
    let history: Vec<u64> =
        bucket.history("default.A").await.unwrap().map(|entry| entry.unwrap().revision).collect().await;
    assert_eq!(history, [1, 3]);

    let mut watch = bucket.watch_all().await.unwrap();
    ledger.barrier(Stream::Secrets).await.unwrap();
    ledger.append(vec![secret("default.C", b"3")]).await;
    let seen = in_time(watch.next()).await.unwrap().unwrap();
    assert_eq!((seen.key.as_str(), &seen.value[..]), ("default.C", &b"3"[..]));
}

/// It is not how secrets are written, but it may not harm either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_puts_there_is_a_record_like_others_or_none() {
    let server = house::server().await;
    let options = house::options(server.urls());
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let client = house::client(&server.urls()).await;
    let bucket = client.get_key_value(format!("{}_secrets", options.name)).await.unwrap();
    let mut tail = ledger.tail(Stream::Secrets, claviger_store::Filter::All, Revision::ZERO);
    bucket.put("default/not-ours", "x".into()).await.unwrap();
    bucket.put("default.A", "x".into()).await.unwrap();
    let records = house::next(&mut tail, 1).await;
    assert_eq!((records[0].revision, records[0].subject.as_str()), (Revision(2), "default.A"));
    let read = ledger.read(Stream::Secrets, &claviger_store::Filter::All, Revision::ZERO, 9).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(ledger.subjects(Stream::Secrets, &claviger_store::Filter::All).await.unwrap().len(), 1);
}
