//! Spaces that another server created or deleted a moment ago.

use std::{sync::Arc, time::Duration};

use claviger_core::{Revision, Role, Scope, run::RunId};
use claviger_engine::{
    Engine, Error,
    access::system_caller,
    vault::{ChangedSecret, Lookup, Request},
};
use claviger_store::Stream;
use proptest::prelude::*;
use tokio::time::sleep;

use super::node::{Node, Sea};
use crate::{
    spaces::{create, delete, get, in_space, new, set_in, space, update},
    support::{caller, declared, environment, eventually, function, name, scope, set},
};

/// Two servers, of which the second hears nothing of what happens to spaces.
async fn one_and_a_deaf_one() -> (Engine, Engine, Arc<Node>) {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    there.access().fresh().await.expect("confirmed");
    node.silence(Stream::Access).await;
    (here, there, node)
}

#[tokio::test(start_paused = true)]
async fn a_space_can_be_used_everywhere_once_it_is_created() {
    let (here, there, node) = one_and_a_deaf_one().await;
    let created = create(&here, "acme").await;
    assert!(!there.access().has_space(&environment(), &space("acme")), "it has heard nothing");
    assert_eq!(get(&there, "acme").await.expect("there").revision, created.revision);
    // Whether it is still there is another question, which a change asks.
    let unsure = set_in(&there, "acme", "A").await;
    assert!(matches!(unsure, Err(Error::TimedOut)), "{unsure:?}");
    node.heal();
    set_in(&there, "acme", "A").await.expect("set");
    assert!(there.access().has_space(&environment(), &space("acme")));
}

#[tokio::test(start_paused = true)]
async fn a_space_that_was_created_again_can_be_used_everywhere() {
    let (here, there, node) = one_and_a_deaf_one().await;
    create(&here, "acme").await;
    node.heal();
    eventually(async || there.access().has_space(&environment(), &space("acme"))).await;
    delete(&there, "acme").await.expect("deleted");
    node.silence(Stream::Access).await;
    create(&here, "acme").await;
    get(&there, "acme").await.expect("there");
    node.heal();
    set_in(&there, "acme", "A").await.expect("set");
}

/// Two servers that know of a space, of which the second hears nothing more of what happens to spaces.
async fn with_a_known_space() -> (Engine, Engine, Arc<Node>) {
    let (here, there, node) = one_and_a_deaf_one().await;
    node.heal();
    create(&here, "acme").await;
    eventually(async || there.access().has_space(&environment(), &space("acme"))).await;
    node.silence(Stream::Access).await;
    (here, there, node)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_in_a_space_that_another_server_deleted() {
    let (here, there, node) = with_a_known_space().await;
    let (vault, acme) = (there.vault(), in_space("acme"));
    delete(&here, "acme").await.expect("deleted");
    assert!(there.access().has_space(&environment(), &space("acme")), "it has not heard of that");
    for error in [
        set_in(&there, "acme", "A").await.err(),
        vault.block(&system_caller(), &acme, &name("A"), None).await.err(),
        vault.catch_up(&system_caller(), &acme).await.err(),
    ] {
        assert!(matches!(error, Some(Error::TimedOut)), "{error:?}");
    }
    vault.catch_up(&system_caller(), &scope()).await.expect("the environment does not depend on its spaces");
    node.heal();
    for error in [
        set_in(&there, "acme", "A").await.err(),
        vault.block(&system_caller(), &acme, &name("A"), None).await.err(),
        vault.delete(&system_caller(), &acme, &name("A"), None).await.err(),
    ] {
        assert!(matches!(error, Some(Error::SpaceNotFound)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strong_read_sees_that_another_server_deleted_the_space() {
    let (here, there, node) = with_a_known_space().await;
    let vault = there.vault();
    delete(&here, "acme").await.expect("deleted");
    vault.list(&system_caller(), &in_space("acme"), None, 10).await.expect("it has not heard of that");
    node.heal();
    vault.catch_up(&system_caller(), &in_space("acme")).await.expect("caught up");
    let listed = vault.list(&system_caller(), &in_space("acme"), None, 10).await;
    assert!(matches!(listed, Err(Error::SpaceNotFound)), "{listed:?}");
}

/// How many secrets a job in the space would receive, declared and looked up.
async fn received(engine: &Engine, home: &Scope, secret: &str) -> Result<[usize; 2], Error> {
    let (function, name, declared, run) = (function(), name(secret), declared(&[secret]), RunId([4; 16]));
    let runtime = caller(Role::Runtime);
    let request = Request { scope: home, function: &function, run, declared: &declared };
    let lookup = Lookup { scope: home, home, function: &function, run, name: &name };
    let prepared = engine.vault().prepare(&runtime, request).await?;
    let looked_up = engine.vault().prepare_lookup(&runtime, lookup).await?;
    Ok([prepared.delivered().len(), looked_up.delivered().len()])
}

#[tokio::test(start_paused = true)]
async fn a_block_does_not_end_for_a_server_that_has_not_heard_of_the_deletion() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    let acme = in_space("acme");
    create(&here, "acme").await;
    for secret in ["BLOCKED", "OVERRIDDEN", "NEVER"] {
        set(&here, secret, "value of the environment").await;
    }
    here.vault().block(&system_caller(), &acme, &name("BLOCKED"), None).await.expect("blocked");
    set_in(&here, "acme", "OVERRIDDEN").await.expect("set");
    eventually(async || there.access().has_space(&environment(), &space("acme"))).await;
    there.access().fresh().await.expect("confirmed");
    there.vault().catch_up(&system_caller(), &acme).await.expect("caught up");
    assert_eq!(received(&there, &acme, "BLOCKED").await.expect("prepared"), [0, 0]);
    assert_eq!(received(&there, &acme, "OVERRIDDEN").await.expect("prepared"), [1, 1]);

    node.silence(Stream::Access).await;
    let mut heard = there.vault().changed();
    delete(&here, "acme").await.expect("deleted");
    for _ in 0..2 {
        let ChangedSecret { scope, .. } = heard.recv().await.expect("heard");
        assert_eq!(scope, acme);
    }
    assert!(there.access().has_space(&environment(), &space("acme")), "it has not heard of that");
    let scopes = [acme.clone(), scope()];
    for secret in ["BLOCKED", "OVERRIDDEN"] {
        let unsure = received(&there, &acme, secret).await;
        assert!(matches!(unsure, Err(Error::TimedOut | Error::Unconfirmed)), "{secret}: {unsure:?}");
        let unsure = there.vault().deliver_all(&caller(Role::Runtime), &scopes, "all").await;
        assert!(matches!(unsure, Err(Error::TimedOut | Error::Unconfirmed)), "{secret}: {unsure:?}");
    }
    node.heal();
    there.access().fresh().await.expect("confirmed");
    for secret in ["BLOCKED", "OVERRIDDEN", "NEVER"] {
        assert_eq!(received(&there, &acme, secret).await.expect("prepared"), [0, 0], "{secret}");
    }

    // Once more, and it hears of the deletion only because it asks.
    create(&here, "acme").await;
    eventually(async || there.access().has_space(&environment(), &space("acme"))).await;
    assert_eq!(received(&there, &acme, "BLOCKED").await.expect("prepared"), [1, 1], "it is a new space");
}

#[tokio::test(start_paused = true)]
async fn only_names_that_the_space_said_something_about_are_asked_for_again() {
    let (here, there, node) = with_a_known_space().await;
    node.heal();
    for secret in ["INHERITED", "UNBLOCKED"] {
        set(&here, secret, "value of the environment").await;
    }
    here.vault().block(&system_caller(), &in_space("acme"), &name("UNBLOCKED"), None).await.expect("blocked");
    here.vault().unblock(&system_caller(), &in_space("acme"), &name("UNBLOCKED"), None).await.expect("unblocked");
    there.vault().catch_up(&system_caller(), &in_space("acme")).await.expect("caught up");
    for (secret, barriers) in [("INHERITED", 0), ("UNBLOCKED", 2)] {
        there.access().fresh().await.expect("confirmed");
        let before = node.barriers();
        assert_eq!(received(&there, &in_space("acme"), secret).await.expect("prepared"), [1, 1]);
        assert_eq!(node.barriers() - before, barriers, "{secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_heard_nothing_refuses_no_change_and_makes_none_twice() {
    let (here, there, node) = one_and_a_deaf_one().await;
    create(&here, "acme").await;
    // It does not know, and says so rather than something that may be wrong.
    let unsure = there.spaces().create(&system_caller(), &environment(), new("acme")).await;
    assert!(matches!(unsure, Err(Error::TimedOut | Error::Unconfirmed)), "{unsure:?}");
    node.heal();
    let again = there.spaces().create(&system_caller(), &environment(), new("acme")).await;
    assert!(matches!(again, Err(Error::SpaceExists)), "{again:?}");
    let deleted = delete(&there, "acme").await.expect("deleted");
    let recreated = create(&here, "acme").await;
    assert!(recreated.revision > deleted.space.revision);
    assert_eq!(delete(&there, "acme").await.expect("deleted").secrets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_create_a_space_one_does() {
    let sea = Sea::new();
    let servers = [sea.node().engine().await, sea.node().engine().await, sea.node().engine().await];
    for round in 0..20 {
        let text = format!("acme-{}", round % 3);
        let made = servers
            .each_ref()
            .map(|server| async { server.spaces().create(&system_caller(), &environment(), new(&text)).await });
        let mut made = futures_util::future::join_all(made).await;
        made.retain(|outcome| !matches!(outcome, Err(Error::SpaceExists)));
        let [Ok(made)] = &made[..] else { panic!("round {round}: {made:?}") };
        for server in &servers {
            assert_eq!(get(server, &text).await.expect("there").revision, made.revision);
        }
        let gone = servers.each_ref().map(|server| delete(server, &text));
        let mut gone = futures_util::future::join_all(gone).await;
        gone.retain(|outcome| !matches!(outcome, Err(Error::SpaceNotFound)));
        assert!(matches!(&gone[..], [Ok(_)]), "round {round}: {gone:?}");
    }
}

/// What there is to be seen from the space: names, and the revisions of their last changes.
async fn seen(engine: &Engine) -> Vec<(String, Revision)> {
    let listed = engine.vault().list(&system_caller(), &in_space("acme"), None, 1_000).await.expect("listed");
    listed.items.iter().map(|item| (item.secret.secret.name.to_string(), item.secret.revision)).collect()
}

/// One server deletes a space and is held up; on another one it is created again and used; the first one goes on.
async fn created_again_while(hold_up: impl AsyncFnOnce(&Node)) {
    let sea = Sea::new();
    let (node, there) = (sea.node(), sea.node().engine().await);
    let here = node.engine().await;
    create(&here, "acme").await;
    for secret in ["OLD", "BOTH"] {
        set_in(&here, "acme", secret).await.expect("set");
    }
    here.access().fresh().await.expect("confirmed");
    hold_up(&node).await;
    // Of which the one that is held up may not have heard yet.
    set_in(&there, "acme", "LATE").await.expect("set");
    let again = async {
        // Time passes only when nobody has anything to do: then it is held up.
        sleep(Duration::from_millis(100)).await;
        create(&there, "acme").await;
        let mut set = Vec::new();
        for secret in ["BOTH", "NEW"] {
            set.push((secret.to_owned(), set_in(&there, "acme", secret).await.expect("set")));
        }
        sleep(Duration::from_millis(100)).await;
        node.heal();
        set
    };
    let (deleted, set) = tokio::join!(delete(&here, "acme"), again);
    assert_eq!(deleted.expect("deleted").secrets, 0, "the other one was faster");
    assert_eq!((seen(&here).await, seen(&there).await), (set.clone(), set));
}

#[tokio::test(start_paused = true)]
async fn who_deletes_a_space_and_is_slow_leaves_the_next_one_alone() {
    // It has found what there is to be removed no sooner than there was another space of that name.
    created_again_while(async |node| {
        node.cut_off_from(Stream::Secrets);
    })
    .await;
    // It was sure that there was none, and then saw what is in the other one.
    created_again_while(async |node| node.silence(Stream::Secrets).await).await;
}

/// The same without an order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_set_in_a_space_that_was_created_again_stays() {
    let sea = Sea::new();
    let (here, there) = (sea.node().engine().await, sea.node().engine().await);
    create(&here, "acme").await;
    for round in 0..20 {
        for number in 0..40 {
            set_in(&here, "acme", &format!("OLD_{number}")).await.expect("set");
        }
        let again = async {
            let created = async || there.spaces().create(&system_caller(), &environment(), new("acme")).await;
            let mut outcome = created().await;
            while let Err(Error::SpaceExists) = outcome {
                tokio::task::yield_now().await;
                outcome = created().await;
            }
            outcome.expect("created");
            let mut set = Vec::new();
            for secret in ["NEW", "OLD_0", "OLD_39"] {
                set.push((secret.to_owned(), set_in(&there, "acme", secret).await.expect("set")));
            }
            set
        };
        let (deleted, set) = tokio::join!(delete(&here, "acme"), again);
        deleted.expect("deleted");
        assert_eq!(seen(&there).await, set, "round {round}");
    }
}

/// What a change may be answered with.
#[derive(Debug, PartialEq)]
enum Answer {
    Done { secrets: usize },
    Exists,
    NotFound,
}

fn answer<T>(outcome: Result<T, Error>, secrets: impl Fn(&T) -> usize) -> Answer {
    match outcome {
        Ok(done) => Answer::Done { secrets: secrets(&done) },
        Err(Error::SpaceExists) => Answer::Exists,
        Err(Error::SpaceNotFound) => Answer::NotFound,
        Err(error) => panic!("{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whichever server is asked for a change, the answer is that of one server alone.
    #[test]
    fn changes_are_answered_as_if_there_were_one_server(
        changes in prop::collection::vec((0_usize..3, 0_usize..2, 0..4), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let sea = Sea::new();
            let servers = [sea.node().engine().await, sea.node().engine().await, sea.node().engine().await];
            // By space: how many secrets it has, if there is one.
            let mut model: [Option<usize>; 2] = [None; 2];
            for (step, (server, at, change)) in changes.into_iter().enumerate() {
                let (server, text) = (&servers[server], ["acme", "beta"][at]);
                let (given, expected) = match change {
                    0 => {
                        let outcome = server.spaces().create(&system_caller(), &environment(), new(text)).await;
                        let expected = if model[at].is_some() { Answer::Exists } else { Answer::Done { secrets: 0 } };
                        model[at] = model[at].or(Some(0));
                        (answer(outcome, |_| 0), expected)
                    }
                    1 => {
                        let gone = model[at].take();
                        let expected = gone.map_or(Answer::NotFound, |secrets| Answer::Done { secrets });
                        (answer(delete(server, text).await, |deleted| deleted.secrets), expected)
                    }
                    2 => {
                        let expected = model[at].map_or(Answer::NotFound, |_| Answer::Done { secrets: 0 });
                        (answer(update(server, text, "{}").await, |_| 0), expected)
                    }
                    _ => {
                        let outcome = set_in(server, text, &format!("S{step}")).await;
                        let expected = match &mut model[at] {
                            Some(secrets) => {
                                *secrets += 1;
                                Answer::Done { secrets: 0 }
                            }
                            None => Answer::NotFound,
                        };
                        (answer(outcome, |_| 0), expected)
                    }
                };
                assert_eq!(given, expected, "step {step}");
            }
        });
    }
}
