//! A store says from its first start on whether its names are sealed.

use std::sync::Arc;

use claviger_core::ErrorKind;
use claviger_crypto::Keyring;
use claviger_engine::{Engine, Error, Names, Reseal};
use claviger_store::{Append, Expected, Ledger, Stream};
use tokio::task::JoinSet;

use super::{is_corrupt, sealed_store, subject};
use crate::support::{Store, list, master, set};

const BOTH: [(Names, Names); 2] = [(Names::Sealed, Names::Plain), (Names::Plain, Names::Sealed)];

fn store(names: Names) -> Store {
    Store { names, ..Store::memory() }
}

/// The same store for a server that is configured otherwise.
fn other(store: &Store, names: Names) -> Store {
    Store { names, ledger: store.ledger.clone(), ..Store::memory() }
}

fn mismatch(outcome: Result<Engine, Error>) -> (&'static str, &'static str) {
    let error = outcome.expect_err("refused");
    assert_eq!((error.code(), error.kind()), ("names_mismatch", ErrorKind::Invalid));
    match error {
        Error::NamesMismatch { stored, asked } => (stored, asked),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_opens_again_as_it_was_made_and_not_the_other_way() {
    for (made, asked) in BOTH {
        let store = store(made);
        let engine = store.engine().await;
        set(&engine, "A", "value-of-a").await;
        let before = store.ledger.bounds(Stream::Keyring).await.expect("read");
        let refused = other(&store, asked).try_engine(master(7)).await;
        assert_eq!(mismatch(refused), (made.as_str(), asked.as_str()));
        assert_eq!(store.ledger.bounds(Stream::Keyring).await.expect("read"), before, "nothing is written");
        assert_eq!(list(&store.another_engine().await).await.expect("listed").len(), 1);
    }
}

#[tokio::test]
async fn a_store_from_before_there_were_markers_has_plain_names() {
    let store = store(Names::Plain);
    let engine = store.engine().await;
    set(&engine, "A", "value-of-a").await;
    store.ledger.purge(Stream::Keyring, &subject("names")).await.expect("purged");
    let refused = other(&store, Names::Sealed).try_engine(master(7)).await;
    assert_eq!(mismatch(refused), ("plain", "sealed"));
    assert_eq!(list(&store.another_engine().await).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn a_server_that_died_before_it_marked_its_store_has_decided_nothing() {
    for (names, _) in BOTH {
        let store = store(names);
        let (_, wrapped) = Keyring::create(&master(7));
        let append = Append::new(Stream::Keyring, subject("keyring"), wrapped, Expected::Absent);
        store.ledger.append(vec![append]).await.remove(0).expect("appended");
        set(&store.engine().await, "A", "value-of-a").await;
        assert_eq!(list(&store.another_engine().await).await.expect("listed").len(), 1);
    }
}

#[tokio::test]
async fn a_changed_marker_is_corruption() {
    let store = sealed_store();
    let _engine = store.engine().await;
    let marker = store.ledger.last(Stream::Keyring, &subject("names")).await.expect("read").expect("marked");
    let text = String::from_utf8_lossy(&marker.bytes[41..]).replace("sealed", "plain");
    let bytes = [&marker.bytes[..41], text.as_bytes()].concat();
    let append = Append::new(Stream::Keyring, marker.subject, bytes, Expected::Any);
    store.ledger.append(vec![append]).await.remove(0).expect("appended");
    for names in [Names::Sealed, Names::Plain] {
        assert!(is_corrupt(&other(&store, names).try_engine(master(7)).await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_servers_that_make_a_store_at_the_same_time_the_first_decides() {
    for _ in 0..20 {
        let store = Arc::new(Store::memory());
        let mut opening = JoinSet::new();
        for names in [Names::Sealed, Names::Plain, Names::Sealed, Names::Plain] {
            let server = other(&store, names);
            opening.spawn(async move { (names, server.try_engine(master(7)).await) });
        }
        let outcomes = opening.join_all().await;
        let (opened, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!((opened.len(), refused.len()), (2, 2));
        assert_eq!(opened[0].0, opened[1].0);
        for (_, outcome) in refused {
            assert_eq!(mismatch(outcome).0, opened[0].0.as_str());
        }
    }
}

#[tokio::test]
async fn a_store_with_sealed_names_is_not_moved_to_new_keys_as_if_they_were_plain() {
    let store = sealed_store();
    let _engine = store.engine().await;
    let plan = Reseal::plan(&*store.ledger, Some(&master(7)), &master(8)).await;
    assert!(matches!(plan, Err(Error::NamesMismatch { .. })));
}
