//! What somebody tries who can write to the store but has no key, and what callers try with what they send.

use std::{fmt, time::Duration};

use claviger_core::{
    Bounds, Role, SecretValue,
    run::{Retry, RunId},
};
use claviger_engine::{
    Engine, Error,
    access::{ApiKeyMetadata, NewApiKey, system_caller},
    events::NewEvent,
    runtime::{Connection, FunctionSpec, Job, JobSecret, Registration},
    vault::{Delivered, SecretMetadata, SetOutcome, SetSecret, Short},
};
use claviger_store::{Append, Expected, Ledger, Record, Stream};

use crate::support::{
    Store, caller, declared, delivered, environment, eventually, function, list, memory_engine, name, prepare, records,
    scope, set, value,
};

/// Does not compile when the type has one of the traits: then it is not clear which of two implementations is meant.
macro_rules! is_none_of {
    ($type:ty: $($trait:path),+) => {$(
        const _: fn() = || {
            trait Meant<Which> {
                fn is() {}
            }
            impl<T: ?Sized> Meant<()> for T {}
            struct Second;
            impl<T: ?Sized + $trait> Meant<Second> for T {}
            let _ = <$type as Meant<_>>::is;
        };
    )+};
}

// What holds a value cannot be copied, compared, printed or written out by accident.
is_none_of!(SecretValue: Clone, PartialEq, fmt::Display, serde::Serialize, AsRef<[u8]>);
is_none_of!(SetSecret: Clone, fmt::Display, serde::Serialize);
is_none_of!(Delivered: Clone, fmt::Display, serde::Serialize);
is_none_of!(Job: Clone, fmt::Display, serde::Serialize);
is_none_of!(JobSecret: Clone, fmt::Display, serde::Serialize);
// What the management plane answers has nothing of it: it is copied and compared freely.
const _: fn(SecretMetadata, SetOutcome) = |known, outcome| assert!(outcome.secret.clone() == known);

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
    eventually(async || records(&store, Stream::Secrets).await[0].revision.0 > 1).await;
    let fresh = store.another_engine().await;
    assert_eq!(list(&fresh).await.expect("listed").len(), 1);
    assert_eq!(delivered(&fresh, &store, &["A"]).await[0].2, "value-number-13");
}

/// A store with two servers, a revoked key, and the record from before its revocation.
async fn revoked_key() -> (Store, [Engine; 2], String, Record) {
    let (store, engine) = memory_engine().await;
    let (known, key) = operator_key(&engine).await;
    let created = records(&store, Stream::Access).await.pop().expect("stored");
    engine.access().revoke_api_key(&system_caller(), &known.id).await.expect("revoked");
    let other = store.another_engine().await;
    (store, [engine, other], key, created)
}

/// The first server has followed the store, and does not accept the key.
async fn is_not_accepted([engine, other]: &[Engine; 2], key: &str) {
    // The other's key comes after everything that was stored before.
    let (_, later) = operator_key(other).await;
    eventually(async || engine.access().authenticate(&later).is_ok()).await;
    let outcome = engine.access().authenticate(key);
    assert!(matches!(outcome, Err(Error::UnknownApiKey)), "{outcome:?}");
}

#[tokio::test]
async fn the_record_of_an_api_key_from_before_its_revocation_does_not_bring_it_back() {
    let (store, engines, key, created) = revoked_key().await;
    put_back(&store, Stream::Access, &created).await;
    is_not_accepted(&engines, &key).await;
    let opened = store.try_engine(crate::support::master(7)).await;
    assert!(is_corrupt(&opened), "{opened:?}");
}

#[tokio::test]
async fn a_damaged_record_does_not_make_a_server_forget_that_a_key_was_revoked() {
    let (store, engines, key, created) = revoked_key().await;
    let damaged = Append::new(Stream::Access, created.subject.clone(), b"damaged".to_vec(), Expected::Any);
    store.ledger.append(vec![damaged]).await.remove(0).expect("appended");
    put_back(&store, Stream::Access, &created).await;
    is_not_accepted(&engines, &key).await;
}

/// Declares `payout`.
async fn declare(engine: &Engine, trigger: &str) -> Result<Connection, Error> {
    let spec = FunctionSpec {
        id: function(),
        triggers: vec![trigger.parse().expect("a pattern")],
        spaces: None,
        secrets: Vec::new(),
        lookups: false,
        retry: Retry::default(),
        concurrency: None,
        timeout: None,
    };
    let registration =
        Registration { environment: environment(), functions: vec![spec], credit: 1, worker: String::new() };
    engine.runtime().connect(caller(Role::Runtime), registration).await.map(|(connection, _)| connection)
}

#[tokio::test]
async fn an_older_declaration_of_a_function_does_not_come_back() {
    let (store, engine) = memory_engine().await;
    drop(declare(&engine, "first").await.expect("declared"));
    drop(declare(&engine, "second").await.expect("declared"));
    let old = records(&store, Stream::Functions).await.remove(0);
    put_back(&store, Stream::Functions, &old).await;
    let opened = store.try_engine(crate::support::master(7)).await;
    assert!(is_corrupt(&opened), "{opened:?}");
    // A worker that declares yet another one finds out that the last record is not the one it follows.
    let refused = declare(&engine, "third").await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_record_of_a_run_is_not_read_twice() {
    let (store, engine) = memory_engine().await;
    drop(declare(&engine, "payout.requested").await.expect("declared"));
    let event = NewEvent {
        id: None,
        name: "payout.requested".parse().expect("an event name"),
        data: b"null".to_vec(),
        space: None,
    };
    engine.events().emit(&system_caller(), &environment(), event).await.expect("emitted");
    eventually(async || !records(&store, Stream::Runs).await.is_empty()).await;
    let record = records(&store, Stream::Runs).await.remove(0);
    let run: RunId = record.subject.tokens().nth(2).expect("the run's id").parse().expect("a run's id");
    let cancelled = engine.runtime().cancel(&system_caller(), &environment(), run, None).await.expect("cancelled");
    assert!(cancelled.info.status.has_ended());
    drop(engine);
    put_back(&store, Stream::Runs, &record).await;
    let engine = store.another_engine().await;
    let seen = engine.runtime().run(&system_caller(), &environment(), run).await;
    assert!(is_corrupt(&seen), "{seen:?}");
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

#[test]
fn a_job_shows_no_value() {
    let canary = "canary-9f27c1";
    let secret = JobSecret { name: name("A"), version: 1, value: SecretValue::new(canary.into()).into() };
    assert!(!format!("{secret:?} {secret:#?}").contains("canary"));
    let set = value(canary);
    assert!(!format!("{set:?} {set:#?}").contains("canary"));
    // Nor as a list of bytes.
    assert!(!format!("{secret:?} {set:?}").contains("99, 97"));
}
