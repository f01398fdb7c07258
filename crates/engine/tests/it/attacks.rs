//! What somebody tries who can write to the store but has no key, and what callers try with what they send.

use std::time::Duration;

use claviger_core::{Bounds, Role, SecretValue};
use claviger_engine::{
    Engine, Error,
    access::{ApiKeyMetadata, NewApiKey, system_caller},
    vault::{SetSecret, Short},
};
use claviger_store::{Append, Expected, Ledger, Record, Stream};

use crate::support::{
    Store, declared, delivered, environment, eventually, list, memory_engine, name, prepare, records, scope, set, value,
};

/// Stores a copy of a record once more, as the newest of its subject.
async fn put_back(store: &Store, stream: Stream, old: &Record) {
    let append = Append::new(stream, old.subject.clone(), old.bytes.to_vec(), Expected::Any);
    store.ledger.append(vec![append]).await.remove(0).expect("appended");
}

async fn operator_key(engine: &Engine) -> (ApiKeyMetadata, String) {
    let new = NewApiKey {
        role: Role::Operator,
        environment: Some(environment()),
        description: None,
        bounds: Bounds::default(),
        ttl: None,
    };
    let (known, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    (known, key.to_string())
}

fn is_corrupt<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Corrupt { .. }))
}

#[tokio::test]
async fn an_older_version_that_was_put_back_is_corruption() {
    // The first version, one in the middle, the last one, and the delete.
    for replayed in 0..4 {
        let (store, engine) = memory_engine().await;
        for text in ["value-number-1", "value-number-2", "value-number-3"] {
            set(&engine, "A", text).await;
        }
        engine.vault().delete(&system_caller(), &scope(), &name("A"), None).await.expect("deleted");
        set(&engine, "A", "value-number-4").await;
        assert_eq!(delivered(&engine, &store, &["A"]).await[0].2, "value-number-4");
        let old = records(&store, Stream::Secrets).await.remove(replayed);
        put_back(&store, Stream::Secrets, &old).await;
        // A server that has seen nothing yet, and the one that had the secret in memory.
        let fresh = store.another_engine().await;
        for engine in [&fresh, &engine] {
            let listed = list(engine).await;
            assert!(is_corrupt(&listed), "{replayed}: {listed:?}");
            let prepared = prepare(engine, &declared(&["A"])).await;
            assert!(is_corrupt(&prepared), "{replayed}: {prepared:?}");
            let set = engine.vault().set(&system_caller(), &scope(), &name("A"), value("new-value")).await;
            assert!(is_corrupt(&set), "{replayed}: {set:?}");
        }
    }
}

#[tokio::test]
async fn versions_that_were_erased_do_not_make_those_after_them_corrupt() {
    let (store, engine) = memory_engine().await;
    for round in 1..=13 {
        set(&engine, "A", &format!("value-number-{round}")).await;
        if round % 3 == 0 {
            engine.vault().delete(&system_caller(), &scope(), &name("A"), None).await.expect("deleted");
        }
    }
    list(&engine).await.expect("listed: whatever is superfluous is erased by now");
    let fresh = store.another_engine().await;
    assert_eq!(list(&fresh).await.expect("listed").len(), 1);
    assert_eq!(delivered(&fresh, &store, &["A"]).await[0].2, "value-number-13");
}

#[tokio::test]
async fn the_record_of_an_api_key_from_before_its_revocation_does_not_bring_it_back() {
    let (store, engine) = memory_engine().await;
    let (known, key) = operator_key(&engine).await;
    let created = records(&store, Stream::Access).await.pop().expect("stored");
    engine.access().revoke_api_key(&system_caller(), &known.id).await.expect("revoked");
    put_back(&store, Stream::Access, &created).await;
    // Once it is noticed, another copy makes no difference.
    let damaged = Append::new(Stream::Access, created.subject.clone(), b"damaged".to_vec(), Expected::Any);
    store.ledger.append(vec![damaged]).await.remove(0).expect("appended");
    put_back(&store, Stream::Access, &created).await;
    let (_, later) = operator_key(&engine).await;
    eventually(async || engine.access().authenticate(&later).is_ok()).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert!(matches!(engine.access().authenticate(&key), Err(Error::UnknownApiKey)));
    }
    let opened = store.try_engine(crate::support::master(7)).await;
    assert!(is_corrupt(&opened), "{opened:?}");
}

#[tokio::test]
async fn what_a_key_says_of_its_life_does_not_overflow() {
    let (_store, engine) = memory_engine().await;
    let new = NewApiKey {
        role: Role::Viewer,
        environment: Some(environment()),
        description: None,
        bounds: Bounds::default(),
        ttl: Some(Duration::MAX),
    };
    let (known, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    assert!(known.expires_at.is_some_and(|at| at > known.created_at));
    assert!(engine.access().authenticate(&key).is_ok());
}

#[tokio::test]
async fn a_mask_is_never_taken_for_a_value() {
    let (_store, engine) = memory_engine().await;
    for text in ["«A@1»", "Bearer «STRIPE_KEY@7»", "«a «b@2» c", "«=C2=AB@18446744073709551616»"] {
        for short in [Short::Refuse, Short::Accept] {
            let set = SetSecret {
                value: SecretValue::new(text.as_bytes().to_vec()),
                description: None,
                short,
                expected: None,
            };
            let refused = engine.vault().set(&system_caller(), &scope(), &name("B"), set).await;
            assert!(matches!(refused, Err(Error::ValueIsMask)), "{text}: {refused:?}");
        }
    }
}
