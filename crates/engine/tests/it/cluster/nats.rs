//! The same with a real NATS server between the servers.

use std::{sync::Arc, time::Duration};

use claviger_core::Role;
use claviger_engine::{Engine, Error, Names, Parts, WallClock, access::system_caller};
use claviger_store::{Ledger, MemoryIndex, MemoryQueue, NatsLedger, NatsOptions, Stream};
use claviger_testbed::{NatsServer, Proxy, ServerOptions};
use tokio::time::Instant;

use super::{
    events::{emit, event, subscribe},
    node::{admitted, api_key, revoke},
};
use crate::support::{eventually, list, master, name, scope, set};

async fn server() -> NatsServer {
    NatsServer::start(ServerOptions::default()).await.expect("a NATS server")
}

async fn engine(url: &str) -> (Arc<NatsLedger>, Engine) {
    let ledger = Arc::new(NatsLedger::connect(NatsOptions::new([url])).await.expect("connected"));
    let parts = Parts {
        ledger: ledger.clone(),
        queue: Arc::new(MemoryQueue::new()),
        index: Arc::new(MemoryIndex::new()),
        master: master(7),
        clock: Arc::new(WallClock),
        names: Names::Plain,
    };
    (ledger, Engine::open(parts).await.expect("the engine opens"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_acknowledges_a_strong_read_of_the_other_sees() {
    let nats = server().await;
    let (url, url_again) = (nats.url(), nats.url());
    let ((_, here), (_, there)) = tokio::join!(engine(&url), engine(&url_again));
    for round in 1..=40 {
        let (writer, reader) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        set(writer, "A", &format!("value-{round}")).await;
        reader.vault().catch_up(&system_caller(), &scope()).await.expect("caught up");
        let seen = reader.vault().describe(&system_caller(), &scope(), &name("A")).await.expect("found").secret;
        assert_eq!(seen.secret.latest, round);
        assert_eq!(list(reader).await.expect("listed"), [seen]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn barriers_do_not_show_and_an_id_is_one_event() {
    let nats = server().await;
    let ((ledger, here), (_, there)) = (engine(&nats.url()).await, engine(&nats.url()).await);
    let (mut live, before) = subscribe(&there, &[">"], None).await;
    for round in 0..5 {
        for stream in [Stream::Events, Stream::Secrets, Stream::Access] {
            ledger.barrier(stream).await.expect("acknowledged");
        }
        set(&here, &format!("KEY{round}"), "some-value").await;
        assert_eq!(event(&mut live).await.0, format!("system.secret.KEY{round}.created"));
        let id = format!("order-{round}");
        let first = emit(&here, Some(&id), "order.created").await;
        assert_eq!(emit(&there, Some(&id), "order.created").await, first);
        assert_eq!(event(&mut live).await.0, "order.created");
    }
    let (_, late) = engine(&nats.url()).await;
    let (mut resumed, _) = subscribe(&late, &[">"], Some(&before)).await;
    for _ in 0..10 {
        event(&mut resumed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_cut_cable_a_revoked_key_is_refused_within_a_second_like_all_others() {
    let nats = server().await;
    let proxy = Proxy::start(nats.port()).await.expect("a proxy");
    let ((_, here), (_, there)) = (engine(&nats.url()).await, engine(&proxy.url()).await);
    let (key, id) = api_key(&here, Role::Operator).await;
    let (other, _) = api_key(&here, Role::Operator).await;
    admitted(&there, &other).await;
    admitted(&there, &key).await;
    proxy.stall();
    revoke(&here, &id).await;
    let revoked_at = Instant::now();
    eventually(async || there.access().authenticate(&key).is_err()).await;
    assert!(revoked_at.elapsed() < Duration::from_secs(1), "{:?}", revoked_at.elapsed());
    for key in [&key, &other] {
        let refused = there.access().admit(key).await.expect_err("refused");
        assert!(matches!(refused, Error::Unconfirmed), "{refused:?}");
    }
    proxy.heal();
    eventually(async || matches!(there.access().admit(&key).await, Err(Error::UnknownApiKey))).await;
    eventually(async || there.access().admit(&other).await.is_ok()).await;
}
