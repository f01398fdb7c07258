//! Sealed records that were moved, changed or put back are corruption, and hide none of the others.

use std::sync::Arc;

use claviger_core::Revision;
use claviger_engine::access::system_caller;
use claviger_store::{Append, Error, Expected, Filter, Ledger, Record, Stream};
use futures_util::StreamExt;

use super::{all, append, is_corrupt, sealed, sealed_store, subject};
use crate::support::{Store, declared, eventually, list, name, prepare, records, scope, set, value};

/// Stores bytes as somebody does who has no key.
async fn plant(ledger: &dyn Ledger, stream: Stream, at: &Record, bytes: &[u8]) -> Revision {
    let append = Append::new(stream, at.subject.clone(), bytes.to_vec(), Expected::Any);
    ledger.append(vec![append]).await.remove(0).expect("appended")
}

#[tokio::test]
async fn a_record_moved_to_another_subject_or_stream_does_not_open() {
    let (ledger, stored) = sealed();
    append(&ledger, Stream::Runs, "run.a", b"1").await;
    append(&ledger, Stream::Runs, "run.b", b"2").await;
    append(&ledger, Stream::Audit, "run.b", b"3").await;
    let (runs, audit) = (all(&*stored, Stream::Runs).await, all(&*stored, Stream::Audit).await);
    for (stream, at, bytes) in [
        (Stream::Runs, &runs[1], &runs[0].bytes),
        (Stream::Runs, &runs[1], &audit[0].bytes),
        (Stream::Audit, &audit[0], &runs[1].bytes),
    ] {
        let moved = plant(&*stored, stream, at, bytes).await;
        let found = ledger.last(stream, &subject("run.b")).await;
        assert!(matches!(found, Err(Error::Damaged { .. })), "{found:?}");
        assert!(matches!(ledger.history(stream, &subject("run.b")).await, Err(Error::Damaged { .. })));
        assert!(matches!(ledger.subjects(stream, &Filter::All).await, Err(Error::Damaged { .. })));
        // It is not left out, and says nothing of what it was elsewhere; those after it are there.
        let after = append(&ledger, stream, "run.b", b"4").await;
        let shown = all(&ledger, stream).await;
        let damaged = shown.iter().find(|record| record.revision == moved).expect("shown");
        assert_eq!((damaged.subject.as_str(), &damaged.bytes), ("run.b", bytes));
        assert_eq!((shown.last().expect("shown").revision, shown.last().expect("shown").bytes[0]), (after, b'4'));
        let tailed: Vec<Revision> = ledger
            .tail(stream, Filter::All, Revision::ZERO)
            .take(shown.len())
            .map(|item| item.unwrap().revision)
            .collect()
            .await;
        assert_eq!(tailed, shown.iter().map(|record| record.revision).collect::<Vec<_>>());
        ledger.erase(stream, moved).await.expect("erased");
    }
}

#[tokio::test]
async fn a_record_alone_at_its_place_is_shown_as_it_is_stored() {
    let (ledger, stored) = sealed();
    append(&ledger, Stream::Runs, "run.a", b"1").await;
    let record = all(&*stored, Stream::Runs).await.remove(0);
    ledger.erase(Stream::Runs, record.revision).await.expect("erased");
    plant(&*stored, Stream::Runs, &record, &record.bytes[1..]).await;
    let shown = all(&ledger, Stream::Runs).await;
    assert_eq!((&shown[0].subject, &*shown[0].bytes), (&record.subject, &record.bytes[1..]));
    assert!(matches!(ledger.last(Stream::Runs, &subject("run.a")).await, Err(Error::Damaged { .. })));
}

/// Two secrets with a version each.
async fn two_secrets() -> (Arc<Store>, claviger_engine::Engine, Vec<Record>) {
    let store = Arc::new(sealed_store());
    let engine = store.engine().await;
    set(&engine, "A", "value-of-a").await;
    set(&engine, "B", "value-of-b").await;
    let stored = records(&store, Stream::Secrets).await;
    (store, engine, stored)
}

#[tokio::test]
async fn a_secret_in_the_place_of_another_or_changed_is_corruption() {
    let (_, _, one) = two_secrets().await;
    let mut changes: Vec<usize> = (0..one[0].bytes.len()).step_by(37).collect();
    changes.push(one[0].bytes.len() - 1);
    for change in changes.into_iter().map(Some).chain([None]) {
        let (store, engine, stored) = two_secrets().await;
        let mut bytes = stored[if change.is_none() { 1 } else { 0 }].bytes.to_vec();
        if let Some(at) = change {
            bytes[at] ^= 1;
        }
        plant(&*store.ledger, Stream::Secrets, &stored[0], &bytes).await;
        let fresh = store.another_engine().await;
        for engine in [&fresh, &engine] {
            let listed = list(engine).await;
            assert!(is_corrupt(&listed), "{change:?}: {listed:?}");
            let prepared = prepare(engine, &declared(&["A"])).await;
            assert!(is_corrupt(&prepared), "{change:?}: {prepared:?}");
            let set = engine.vault().set(&system_caller(), &scope(), &name("A"), value("new-value")).await;
            assert!(is_corrupt(&set), "{change:?}: {set:?}");
            // The other one is not affected.
            assert!(engine.vault().describe(&system_caller(), &scope(), &name("B")).await.is_ok());
        }
    }
}

#[tokio::test]
async fn an_older_version_that_was_put_back_is_corruption() {
    let store = sealed_store();
    let engine = store.engine().await;
    for text in ["value-number-1", "value-number-2"] {
        set(&engine, "A", text).await;
    }
    let old = records(&store, Stream::Secrets).await.remove(0);
    plant(&*store.ledger, Stream::Secrets, &old, &old.bytes).await;
    let fresh = store.another_engine().await;
    for engine in [&fresh, &engine] {
        assert!(is_corrupt(&list(engine).await));
        assert!(is_corrupt(&prepare(engine, &declared(&["A"])).await));
    }
}

#[tokio::test]
async fn a_damaged_record_of_an_api_key_ends_its_life() {
    let store = sealed_store();
    let engine = store.engine().await;
    let new = claviger_engine::access::NewApiKey {
        role: claviger_core::Role::Admin,
        environment: None,
        description: None,
        bounds: claviger_core::Bounds::default(),
        ttl: None,
    };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    engine.access().authenticate(&key).expect("known");
    let record = records(&store, Stream::Access).await.pop().expect("stored");
    plant(&*store.ledger, Stream::Access, &record, b"no record").await;
    eventually(async || engine.access().authenticate(&key).is_err()).await;
    assert!(is_corrupt(&store.try_engine(crate::support::master(7)).await));
}
