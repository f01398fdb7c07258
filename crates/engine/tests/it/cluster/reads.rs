//! What a server answers while it does not know everything yet.

use std::time::Duration;

use claviger_core::{Revision, Role};
use claviger_engine::{Engine, Error, access::system_caller, vault::SetSecret};
use claviger_store::Stream;
use tokio::time::{Instant, sleep, timeout};

use super::node::{Sea, admitted, api_key};
use crate::support::{caller, declared, list, name, prepare, scope, set, value};

/// Past what a server is asked again for.
const LONG: Duration = Duration::from_secs(10);

/// The version that a read finds, `None` for none.
async fn version(engine: &Engine, secret: &str) -> Option<u64> {
    match engine.vault().describe(&system_caller(), &scope(), &name(secret)).await {
        Ok(found) => found.secret.secret.active,
        Err(Error::SecretNotFound) => None,
        Err(error) => panic!("{error:?}"),
    }
}

async fn catch_up(engine: &Engine) -> Result<(), Error> {
    engine.vault().catch_up(&system_caller(), &scope()).await
}

async fn delete(engine: &Engine, secret: &str) {
    engine.vault().delete(&system_caller(), &scope(), &name(secret), None).await.expect("deleted");
}

#[tokio::test]
async fn a_strong_read_sees_what_any_server_acknowledged() {
    let sea = Sea::new();
    let servers = [sea.node().engine().await, sea.node().engine().await, sea.node().engine().await];
    for round in 1..=60 {
        let (writer, reader) = (&servers[round % 3], &servers[(round + 1) % 3]);
        set(writer, "A", &format!("value-{round}")).await;
        catch_up(reader).await.expect("caught up");
        assert_eq!(version(reader, "A").await, Some(round as u64));
        assert_eq!(list(reader).await.expect("listed")[0].secret.latest, round as u64);
    }
    delete(&servers[0], "A").await;
    catch_up(&servers[1]).await.expect("caught up");
    assert_eq!(version(&servers[1], "A").await, None);
    assert_eq!(list(&servers[1]).await.expect("listed"), []);
}

#[tokio::test(start_paused = true)]
async fn a_strong_read_waits_for_what_it_has_to_see() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    set(&here, "A", "the-first").await;
    catch_up(&there).await.expect("caught up");
    assert_eq!(version(&there, "A").await, Some(1));
    node.silence(Stream::Secrets).await;
    set(&here, "A", "the-second").await;
    assert_eq!(version(&there, "A").await, Some(1), "a default read may be behind");
    let mut strong = std::pin::pin!(catch_up(&there));
    assert!(timeout(Duration::from_secs(4), &mut strong).await.is_err(), "it waits");
    node.heal();
    strong.await.expect("caught up");
    assert_eq!(version(&there, "A").await, Some(2));
    // Not for ever.
    for cut in [true, false] {
        if cut {
            node.cut_off()
        } else {
            node.silence(Stream::Secrets).await
        };
        set(&here, "A", "another").await;
        let (began, outcome) = (Instant::now(), catch_up(&there).await);
        assert!(matches!(outcome, Err(Error::TimedOut)) && began.elapsed() < LONG, "{outcome:?}");
        node.heal();
    }
}

#[tokio::test]
async fn only_who_may_list_may_ask_for_a_strong_read() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    let barriers = node.barriers();
    let refused = engine.vault().catch_up(&caller(Role::Subscriber), &scope()).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    // One that confirms that the caller's key is in force, and none for the read.
    assert!(node.barriers() <= barriers + 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_than_what_is_known_is_asked_for_again() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    set(&engine, "A", "the-first").await;
    set(&engine, "A", "the-second").await;
    set(&engine, "B", "some-value").await;
    delete(&engine, "B").await;
    list(&engine).await.expect("everything is folded");
    // Without anything in memory.
    let node = sea.node_with(node.index.clone());
    let engine = node.engine().await;
    node.answer_late(5);
    assert_eq!(version(&engine, "A").await, Some(2));
    node.answer_late(5);
    assert_eq!(version(&engine, "B").await, None);
    assert_eq!(version(&engine, "C").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_never_goes_back_behind_what_it_answered() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    set(&here, "A", "the-first").await;
    catch_up(&there).await.expect("caught up");
    node.silence(Stream::Secrets).await;
    for round in 1..=20 {
        set(&here, "A", &format!("value-{round}")).await;
        // What it writes itself comes after what it did not know of, and is what it answers from then on.
        node.answer_late(2);
        let own = set(&there, "A", "own-value").await.secret;
        assert_eq!(own.secret.latest, 2 * round + 1);
        node.answer_late(3);
        assert_eq!(there.vault().describe(&system_caller(), &scope(), &name("A")).await.expect("found").secret, own);
        if round % 4 == 0 {
            node.heal();
            catch_up(&there).await.expect("caught up");
            assert_eq!(version(&there, "A").await, Some(own.secret.latest));
            node.silence(Stream::Secrets).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_several_servers_to_one_secret_all_count() {
    let sea = Sea::new();
    let mut servers = Vec::new();
    for _ in 0..4 {
        let node = sea.node();
        servers.push((node.clone(), node.engine().await));
    }
    let write = async |(node, engine): &(std::sync::Arc<super::node::Node>, Engine)| {
        for round in 0..25 {
            if round % 5 == 0 {
                node.answer_late(2);
            }
            set(engine, "A", "some-value").await;
        }
    };
    futures_util::future::join_all(servers.iter().map(write)).await;
    for (node, engine) in &servers {
        node.heal();
        catch_up(engine).await.expect("caught up");
        assert_eq!(version(engine, "A").await, Some(100));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_key_made_elsewhere_sets_here_is_delivered_there() {
    let sea = Sea::new();
    let (here, there) = (sea.node().engine().await, sea.node().engine().await);
    let (key, _) = api_key(&here, Role::Operator).await;
    let operator = admitted(&there, &key).await;
    there.vault().set(&operator, &scope(), &name("A"), value("some-value")).await.expect("set");
    catch_up(&here).await.expect("caught up");
    let prepared = prepare(&here, &declared(&["A"])).await.expect("prepared");
    assert_eq!(prepared.delivered(), [crate::support::version("A", 1)]);
    sleep(LONG).await;
    assert_eq!(version(&here, "A").await, Some(1), "and stays so");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_fails_fails_against_the_last_word() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    let guarded = |revision: Revision| SetSecret { expected: Some(revision), ..value("guarded") };
    let mut last = set(&here, "A", "some-value").await.secret.revision;
    catch_up(&there).await.expect("caught up");
    for round in 0..10 {
        node.silence(Stream::Secrets).await;
        let before = last;
        last = set(&here, "A", &format!("value-{round}")).await.secret.revision;
        // Neither memory nor what the store answers first knows of it.
        node.answer_late(2);
        let healed = async {
            sleep(Duration::from_millis(100)).await;
            node.heal();
        };
        let write = async { there.vault().set(&system_caller(), &scope(), &name("A"), guarded(last)).await };
        let (written, ()) = futures_util::join!(write, healed);
        last = written.expect("it is the present revision").secret.revision;
        let refused = there.vault().set(&system_caller(), &scope(), &name("A"), guarded(before)).await;
        assert_eq!(refused.expect_err("refused").current_revision(), Some(last));
    }
    // The same for what is not there.
    node.silence(Stream::Secrets).await;
    set(&here, "B", "some-value").await;
    node.answer_late(1);
    let healed = async {
        sleep(Duration::from_millis(100)).await;
        node.heal();
    };
    let there = there.vault();
    let (caller, scope, name) = (system_caller(), scope(), name("B"));
    let (deleted, ()) = futures_util::join!(there.delete(&caller, &scope, &name, None), healed);
    deleted.expect("it was there");
}
