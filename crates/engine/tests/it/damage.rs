//! Records that were moved, changed or put back are corruption, never "not found" and never another secret's value.

use std::sync::Arc;

use claviger_core::{Role, Scope};
use claviger_engine::{Engine, Error, access::system_caller};
use claviger_store::{Append, Expected, Ledger, Record, Stream};

use crate::support::{
    Store, caller, declared, environment, eventually, list, memory_engine, name, prepare, records, set, value,
};

/// Appends bytes as if somebody wrote to the store behind the engine's back.
async fn plant(store: &Store, stream: Stream, at: &Record, bytes: &[u8]) {
    let append = Append::new(stream, at.subject.clone(), bytes.to_vec(), Expected::Any);
    store.ledger.append(vec![append]).await.remove(0).expect("appended");
}

/// Two secrets in one environment, and one of the same name in another.
async fn three_secrets() -> (Store, Engine, Vec<Record>) {
    let (store, engine) = memory_engine().await;
    engine.access().create_environment(&system_caller(), "prod").await.expect("created");
    let prod = Scope::environment("prod".parse().expect("a name"));
    set(&engine, "A", "value-of-a").await;
    set(&engine, "B", "value-of-b").await;
    engine.vault().set(&system_caller(), &prod, &name("A"), value("value-in-prod")).await.expect("set");
    let stored = records(&store, Stream::Secrets).await;
    assert_eq!(stored.len(), 3);
    (store, engine, stored)
}

#[tokio::test]
async fn a_record_in_the_place_of_another_is_corruption() {
    for (to, from) in (0..3).flat_map(|to| (0..3).map(move |from| (to, from))).filter(|(to, from)| to != from) {
        let (store, engine, stored) = three_secrets().await;
        let (to, from) = (&stored[to], &stored[from]);
        plant(&store, Stream::Secrets, to, &from.bytes).await;
        // A server that has seen nothing yet, and the one that had the secret in memory.
        let fresh = store.another_engine().await;
        for engine in [&fresh, &engine] {
            let tokens: Vec<&str> = to.subject.tokens().collect();
            let scope = Scope::environment(tokens[1].parse().expect("a name"));
            let listed = engine.vault().list(&system_caller(), &scope, None, 10).await;
            assert!(matches!(listed, Err(Error::Corrupt { .. })), "{to:?}: {listed:?}");
            let seen = engine.vault().describe(&system_caller(), &scope, &name(tokens[3])).await;
            assert!(matches!(seen, Err(Error::Corrupt { .. })), "{to:?}: {seen:?}");
            let set = engine.vault().set(&system_caller(), &scope, &name(tokens[3]), value("new-value")).await;
            assert!(matches!(set, Err(Error::Corrupt { .. })), "{to:?}: {set:?}");
        }
    }
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let (store, engine) = memory_engine().await;
    set(&engine, "A", "value-of-a").await;
    let stored = records(&store, Stream::Secrets).await.remove(0);
    for at in 0..stored.bytes.len() {
        let mut bytes = stored.bytes.to_vec();
        bytes[at] ^= 1;
        plant(&store, Stream::Secrets, &stored, &bytes).await;
        let listed = list(&engine).await;
        assert!(matches!(listed, Err(Error::Corrupt { .. })), "byte {at}: {listed:?}");
        let prepared = prepare(&engine, &declared(&["A"])).await;
        assert!(matches!(prepared, Err(Error::Corrupt { .. })), "byte {at}: {prepared:?}");
    }
}

#[tokio::test]
async fn a_server_does_not_start_on_a_damaged_access_or_key_record() {
    for stream in [Stream::Access, Stream::Keyring] {
        let (store, _engine) = memory_engine().await;
        for record in records(&store, stream).await {
            let mut bytes = record.bytes.to_vec();
            *bytes.last_mut().expect("not empty") ^= 1;
            plant(&store, stream, &record, &bytes).await;
            let opened = store.try_engine(crate::support::master(7)).await;
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "{}: {opened:?}", record.subject);
        }
    }
}

#[tokio::test]
async fn an_api_key_with_a_damaged_record_is_not_accepted_any_more() {
    let (store, engine) = memory_engine().await;
    let new = claviger_engine::access::NewApiKey {
        role: Role::Operator,
        environment: Some(environment()),
        description: None,
        bounds: claviger_core::Bounds::default(),
        ttl: None,
    };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    let record = records(&store, Stream::Access).await.pop().expect("stored");
    plant(&store, Stream::Access, &record, b"damaged").await;
    eventually(async || matches!(engine.access().authenticate(&key), Err(Error::UnknownApiKey))).await;
}

#[tokio::test]
async fn a_damaged_audit_entry_is_not_passed_over() {
    let (store, engine) = memory_engine().await;
    let refused = engine.vault().delete(&caller(Role::Viewer), &crate::support::scope(), &name("A"), None).await;
    assert!(matches!(refused, Err(Error::Denied { .. })));
    let record = records(&store, Stream::Audit).await.remove(0);
    plant(&store, Stream::Audit, &record, b"damaged").await;
    let listed = engine.audit().list(&system_caller(), &environment(), claviger_core::Revision::ZERO, 10).await;
    assert!(matches!(listed, Err(Error::Corrupt { .. })), "{listed:?}");
}

#[tokio::test]
async fn an_index_of_another_store_is_not_believed() {
    let (store, engine) = memory_engine().await;
    for _ in 0..3 {
        set(&engine, "FOREIGN", "some-value").await;
    }
    assert_eq!(list(&engine).await.expect("listed").len(), 1);
    let other = Store::over(Arc::new(claviger_store::MemoryLedger::new()), store.index.clone());
    let engine = other.engine().await;
    set(&engine, "OWN", "some-value").await;
    let names: Vec<String> =
        list(&engine).await.expect("listed").iter().map(|info| info.secret.name.to_string()).collect();
    assert_eq!(names, ["OWN"]);
}
