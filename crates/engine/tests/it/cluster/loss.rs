//! What was there and is gone is never "not set".

use std::{sync::Arc, time::Duration};

use claviger_core::{Revision, Role};
use claviger_engine::{Engine, Error, access::system_caller};
use claviger_store::{MemoryIndex, Stream};
use tokio::time::{Instant, sleep};

use super::node::{Node, Sea, admitted, api_key};
use crate::support::{declared, list, name, prepare, scope, set, value};

/// Long enough for a loss to be noticed that nobody ran into.
const NOTICED: Duration = Duration::from_secs(10);

fn lost(error: &Error) -> Option<(&'static str, u64, u64)> {
    match error {
        Error::RecordsLost { stream, known, found } => {
            assert_eq!(error.code(), "records_lost");
            Some((stream, known.0, found.0))
        }
        _ => None,
    }
}

/// Every way to a secret. Answers the errors.
async fn read(engine: &Engine, secret: &str) -> [Option<Error>; 4] {
    let vault = engine.vault();
    [
        vault.describe(&system_caller(), &scope(), &name(secret)).await.err(),
        prepare(engine, &declared(&[secret])).await.err(),
        vault.set(&system_caller(), &scope(), &name(secret), value("another-value")).await.err(),
        vault.delete(&system_caller(), &scope(), &name(secret), None).await.err(),
    ]
}

/// `A` set twice and `B` set and deleted: secrets records 1 to 4. With a server that has all in its index and nothing in memory.
async fn four_records() -> (Arc<Sea>, Arc<Node>, Engine) {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    set(&engine, "A", "the-first").await;
    set(&engine, "A", "the-second").await;
    set(&engine, "B", "some-value").await;
    engine.vault().delete(&system_caller(), &scope(), &name("B"), None).await.expect("deleted");
    list(&engine).await.expect("everything is folded");
    drop(engine);
    let node = sea.node_with(node.index.clone());
    let engine = node.engine().await;
    (sea, node, engine)
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_older_record_is_an_error_after_it_was_asked_for_again() {
    let (_sea, node, engine) = four_records().await;
    for (secret, end, expected) in [("A", 0, (2, 0)), ("A", 1, (2, 1)), ("B", 0, (4, 0)), ("B", 3, (4, 3))] {
        node.lose_after(Stream::Secrets, end);
        let began = Instant::now();
        for error in read(&engine, secret).await {
            let error = error.expect("refused");
            let (known, found) = expected;
            assert_eq!(lost(&error), Some(("secrets", known, found)), "{secret} {end}: {error:?}");
        }
        assert!(began.elapsed() >= Duration::from_secs(2), "it was asked again");
    }
    node.heal();
    engine.vault().describe(&system_caller(), &scope(), &name("A")).await.expect("found");
    let unset = engine.vault().describe(&system_caller(), &scope(), &name("B")).await;
    assert!(matches!(unset, Err(Error::SecretNotFound)), "{unset:?}");
    // What was never there is just not set.
    node.lose_after(Stream::Secrets, 0);
    let unset = engine.vault().describe(&system_caller(), &scope(), &name("C")).await;
    assert!(matches!(unset, Err(Error::SecretNotFound)), "{unset:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_index_reflects_more_than_the_stream_has_does_not_start() {
    for stream in [Stream::Secrets, Stream::Access] {
        let (sea, node, engine) = four_records().await;
        api_key(&engine, Role::Operator).await;
        list(&engine).await.expect("listed");
        sleep(NOTICED).await;
        drop(engine);
        let node = sea.node_with(node.index.clone());
        node.lose_after(stream, 1);
        let began = Instant::now();
        let error = node.try_engine().await.expect_err("it does not start");
        let (name, known, found) = lost(&error).expect("records were lost");
        assert_eq!((name, found), (stream.name(), 1), "{error:?}");
        assert!(known > 1 && error.to_string().contains(&known.to_string()), "{error}");
        assert!(began.elapsed() >= Duration::from_secs(2), "it was asked again");
        // Whoever accepts the loss begins with an index of nothing.
        let node = sea.node_with(Arc::new(MemoryIndex::new()));
        node.lose_after(stream, 1);
        node.engine().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_index_is_about_another_store_does_not_start() {
    let (_sea, node, engine) = four_records().await;
    drop(engine);
    let elsewhere = Sea::new().node_with(node.index.clone());
    for _ in 0..2 {
        let error = elsewhere.try_engine().await.expect_err("it does not start, nor the second time");
        let (_, known, found) = lost(&error).expect("records were lost");
        assert!(known > 0 && found == 0, "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_goes_back_under_a_running_server_is_noticed() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    set(&engine, "A", "the-first").await;
    set(&engine, "A", "the-second").await;
    prepare(&engine, &declared(&["A"])).await.expect("prepared from memory");
    node.lose_after(Stream::Secrets, 1);
    sleep(NOTICED).await;
    let mut errors = Vec::from([list(&engine).await.err(), prepare(&engine, &declared(&["A"])).await.err()]);
    errors.push(engine.vault().describe(&system_caller(), &scope(), &name("A")).await.err());
    errors.push(engine.vault().catch_up(&system_caller(), &scope()).await.err());
    for error in errors {
        let error = error.expect("refused");
        assert_eq!(lost(&error), Some(("secrets", 2, 1)), "{error:?}");
    }
    // A leader that did not know better is another matter.
    node.heal();
    sleep(NOTICED).await;
    prepare(&engine, &declared(&["A"])).await.expect("prepared");
    list(&engine).await.expect("listed");
}

#[tokio::test(start_paused = true)]
async fn a_strong_read_notices_at_once_that_the_stream_went_back() {
    let (_sea, node, engine) = four_records().await;
    node.lose_after(Stream::Secrets, 2);
    let error = engine.vault().catch_up(&system_caller(), &scope()).await.expect_err("refused");
    assert_eq!(lost(&error), Some(("secrets", 4, 2)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_accepted_where_the_record_of_keys_went_back() {
    let sea = Sea::new();
    let (node, other) = (sea.node(), sea.node().engine().await);
    let engine = node.engine().await;
    let (key, _) = api_key(&engine, Role::Operator).await;
    let (_, revoked) = api_key(&engine, Role::Operator).await;
    super::node::revoke(&engine, &revoked).await;
    admitted(&engine, &key).await;
    node.lose_after(Stream::Access, 2);
    sleep(NOTICED).await;
    let error = engine.access().admit(&key).await.expect_err("refused");
    assert!(lost(&error).is_some_and(|(stream, _, found)| (stream, found) == ("access", 2)), "{error:?}");
    admitted(&other, &key).await;
    node.heal();
    sleep(NOTICED).await;
    engine.access().admit(&key).await.expect("admitted");
}

#[tokio::test(start_paused = true)]
async fn the_revision_of_a_refused_set_is_believed() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    set(&here, "A", "the-first").await;
    node.silence(Stream::Secrets).await;
    set(&here, "A", "the-second").await;
    // What `there` reads after the conflict has to be what it conflicted with.
    node.answer_late(4);
    let outcome = set(&there, "A", "the-third").await;
    assert_eq!((outcome.secret.secret.latest, outcome.secret.revision), (3, Revision(3)));
}
