//! Two servers on one ledger: what one writes, the other serves.

use std::sync::Arc;

use claviger_core::{Bounds, Revision, Role, Scope};
use claviger_engine::{
    Error,
    access::{NewApiKey, system_caller},
    vault::SetSecret,
};
use claviger_store::Stream;
use tokio::task::JoinSet;

use crate::support::{Store, delivered, eventually, list, memory_engine, name, records, scope, set, value};

#[tokio::test]
async fn a_set_on_one_is_listed_and_delivered_by_the_other() {
    let (store, here) = memory_engine().await;
    let there = store.another_engine().await;
    for round in 1..=20 {
        let (writer, reader) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let outcome = set(writer, "A", &format!("value-{round}")).await;
        assert_eq!(outcome.secret.secret.latest, round);
        assert_eq!(list(reader).await.expect("listed"), [outcome.secret]);
        assert_eq!(delivered(reader, &store, &["A"]).await, [("A".into(), round, format!("value-{round}"))]);
    }
}

#[tokio::test]
async fn a_stale_memory_refuses_nothing() {
    let (store, here) = memory_engine().await;
    let there = store.another_engine().await;
    let first = set(&here, "A", "the-first").await;
    list(&there).await.expect("listed");
    let deleted = there.vault().delete(&system_caller(), &scope(), &name("A"), Some(first.secret.revision)).await;
    deleted.expect("deleted there");
    // Whether or not the news has come here: it is not set, so this must succeed.
    let absent = SetSecret { expected: Some(Revision::ZERO), ..value("the-second") };
    let set = here.vault().set(&system_caller(), &scope(), &name("A"), absent).await.expect("set");
    assert_eq!(set.secret.secret.latest, 2);
}

#[tokio::test]
async fn environments_and_keys_made_or_revoked_on_one_count_on_the_other() {
    let (store, here) = memory_engine().await;
    let there = store.another_engine().await;
    let environment = here.access().create_environment(&system_caller(), "prod").await.expect("created").name;
    eventually(async || there.access().environment(&system_caller(), "prod").await.is_ok()).await;
    let prod = Scope::environment(environment.clone());
    there.vault().set(&system_caller(), &prod, &name("A"), value("some-value")).await.expect("its data key is there");

    let new = NewApiKey {
        role: Role::Operator,
        environment: Some(environment),
        description: None,
        bounds: Bounds::default(),
        ttl: None,
    };
    let (info, key) = here.access().create_api_key(&system_caller(), new).await.expect("created");
    eventually(async || there.access().authenticate(&key).is_ok()).await;
    there.access().revoke_api_key(&system_caller(), &info.id).await.expect("revoked");
    eventually(async || matches!(here.access().authenticate(&key), Err(Error::UnknownApiKey))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_make_a_new_store_at_the_same_time_agree() {
    for _ in 0..20 {
        let store = Arc::new(Store::memory());
        let mut opening = JoinSet::new();
        for _ in 0..4 {
            let store = store.clone();
            opening.spawn(async move { store.another_engine().await });
        }
        let servers = opening.join_all().await;
        assert_eq!(records(&store, Stream::Access).await.len(), 1, "one environment");
        for (round, writer) in (1..).zip(&servers) {
            set(writer, "A", &format!("value-{round}")).await;
            for reader in &servers {
                list(reader).await.expect("listed");
                assert_eq!(delivered(reader, &store, &["A"]).await, [("A".into(), round, format!("value-{round}"))]);
            }
        }
    }
}
