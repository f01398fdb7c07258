//! Who is accepted while nobody knows what other servers do.

use std::time::Duration;

use claviger_core::{Permission, Role, Scope};
use claviger_engine::{
    Engine, Error,
    access::system_caller,
    vault::{Prepared, Request},
};
use claviger_store::Stream;
use tokio::time::{Instant, sleep};

use super::node::{Sea, admitted, api_key, revoke};
use crate::support::{caller, declared, environment, function, list, memory_engine, name, scope, set, value};

const SECOND: Duration = Duration::from_secs(1);

async fn prepare(engine: &Engine, caller: &claviger_core::Caller) -> Result<Prepared, Error> {
    let run = claviger_core::run::RunId([1; 16]);
    let declared = declared(&["A"]);
    let request = Request { scope: &scope(), function: &function(), run, declared: &declared };
    engine.vault().prepare(caller, request).await
}

/// Presents the key again and again; answers for how long it was accepted after now, and what was answered then.
async fn accepted_for(engine: &Engine, key: &str) -> (Duration, Error) {
    let began = Instant::now();
    loop {
        match engine.access().authenticate(key) {
            Ok(_) => sleep(Duration::from_millis(1)).await,
            Err(error) => return (began.elapsed(), error),
        }
        assert!(began.elapsed() < 10 * SECOND, "still accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_not_accepted_after_a_second_although_the_tail_is_silent() {
    let sea = Sea::new();
    let (here, there) = (sea.node().engine().await, sea.node());
    let silent = there.engine().await;
    let (key, id) = api_key(&here, Role::Operator).await;
    let caller = admitted(&silent, &key).await;
    there.silence(Stream::Access).await;
    revoke(&here, &id).await;
    let (accepted_for, error) = accepted_for(&silent, &key).await;
    assert!(accepted_for < SECOND, "{accepted_for:?}");
    assert!(matches!(error, Error::Unconfirmed), "{error:?}");
    // Nothing of what goes on for long, either.
    for refused in [
        silent.access().admit(&key).await.expect_err("refused"),
        silent.vault().describe(&caller, &scope(), &name("A")).await.expect_err("refused"),
        silent.access().list_environments(&caller).await.expect_err("refused"),
    ] {
        assert_eq!(refused.code(), "unavailable", "{refused:?}");
    }
    there.heal();
    let refused = silent.access().admit(&key).await.expect_err("refused");
    assert!(matches!(refused, Error::UnknownApiKey), "{refused:?}");
    let refused = silent.access().authorize(&caller, Permission::SecretList, &environment()).await;
    assert!(matches!(refused, Err(Error::UnknownApiKey)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_fails_at_once_where_the_tail_is_not_silent() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    let (key, id) = api_key(&here, Role::Operator).await;
    let caller = admitted(&there, &key).await;
    node.cut_off();
    let ended = there.access().ended(&caller);
    revoke(&here, &id).await;
    let began = Instant::now();
    ended.await;
    assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
    let (accepted_for, error) = accepted_for(&there, &key).await;
    assert!(accepted_for < Duration::from_millis(10) && matches!(error, Error::UnknownApiKey), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_the_store_nobody_is_accepted_and_nothing_is_delivered() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    set(&engine, "A", "some-value").await;
    let (key, _) = api_key(&engine, Role::Runtime).await;
    let caller = engine.access().admit(&key).await.expect("admitted");
    prepare(&engine, &caller).await.expect("prepared");
    node.cut_off();
    let (accepted_for, error) = accepted_for(&engine, &key).await;
    assert!(accepted_for < SECOND && matches!(error, Error::Unconfirmed), "{error:?}");
    let began = Instant::now();
    let refused = prepare(&engine, &caller).await.expect_err("refused");
    assert_eq!((refused.code(), began.elapsed() <= 3 * SECOND), ("unavailable", true));
    node.heal();
    assert_eq!(prepare(&engine, &caller).await.expect("prepared").delivered().len(), 1);
    engine.access().authenticate(&key).expect("accepted");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_worker_key_receives_nothing() {
    let sea = Sea::new();
    let (here, there) = (sea.node().engine().await, sea.node().engine().await);
    set(&here, "A", "some-value").await;
    let (key, id) = api_key(&here, Role::Runtime).await;
    let caller = admitted(&there, &key).await;
    prepare(&there, &caller).await.expect("prepared");
    revoke(&here, &id).await;
    sleep(SECOND).await;
    let refused = prepare(&there, &caller).await.expect_err("refused");
    assert!(matches!(refused, Error::UnknownApiKey), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_for_many_and_not_without_need() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    let (key, _) = api_key(&engine, Role::Operator).await;
    sleep(60 * SECOND).await;
    assert_eq!(node.barriers(), 0, "nobody came");
    let admit = || async { engine.access().admit(&key).await.expect("admitted") };
    futures_util::future::join_all((0..100).map(|_| admit())).await;
    assert_eq!(node.barriers(), 1);
    for _ in 0..1_000 {
        admit().await;
        sleep(Duration::from_millis(10)).await;
    }
    // Ten seconds, with a new one every half of one.
    assert!((15..=25).contains(&node.barriers()), "{}", node.barriers());
    sleep(60 * SECOND).await;
    assert!(node.barriers() <= 25, "{}", node.barriers());
}

#[tokio::test(start_paused = true)]
async fn while_there_is_traffic_nobody_waits() {
    let sea = Sea::new();
    let engine = sea.node().engine().await;
    let (key, _) = api_key(&engine, Role::Operator).await;
    engine.access().admit(&key).await.expect("admitted");
    for _ in 0..1_000 {
        sleep(Duration::from_millis(10)).await;
        engine.access().authenticate(&key).expect("accepted");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_shares_the_store_nobody_has_to_confirm_anything() {
    let (_store, engine) = memory_engine().await;
    let (key, id) = api_key(&engine, Role::Operator).await;
    for _ in 0..10 {
        engine.access().authenticate(&key).expect("accepted");
        sleep(10 * SECOND).await;
    }
    revoke(&engine, &id).await;
    assert!(matches!(engine.access().authenticate(&key), Err(Error::UnknownApiKey)));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_just_made_elsewhere_is_waited_for() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    there.access().fresh().await.expect("confirmed");
    node.silence(Stream::Access).await;
    let (key, _) = api_key(&here, Role::Operator).await;
    let (admitted, ()) = tokio::join!(there.access().admit(&key), async {
        sleep(SECOND / 10).await;
        node.heal();
    });
    admitted.expect("admitted once the news is there");
    let (began, nobodys) = (Instant::now(), claviger_crypto::ApiKey::generate("default").reveal());
    assert!(matches!(there.access().admit(&nobodys).await, Err(Error::UnknownApiKey)));
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_was_just_made_elsewhere_is_waited_for() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    there.access().fresh().await.expect("confirmed");
    node.silence(Stream::Access).await;
    let prod = here.access().create_environment(&system_caller(), "prod").await.expect("created").name;
    let prod = Scope::environment(prod);
    let (admin, secret) = (system_caller(), name("A"));
    let (found, set, ()) = tokio::join!(
        there.access().environment(&admin, "prod"),
        there.vault().set(&admin, &prod, &secret, value("some-value")),
        async {
            sleep(SECOND / 10).await;
            node.heal();
        }
    );
    assert_eq!(found.expect("found once the news is there"), prod.environment);
    set.expect("set once the news is there");
    let operator = caller(Role::Operator);
    for (who, name, waits) in [(&admin, "nowhere", true), (&operator, "nowhere", false), (&operator, "..", false)] {
        let began = Instant::now();
        let refused = there.access().environment(who, name).await;
        assert!(matches!(refused, Err(Error::EnvironmentNotFound)), "{refused:?}");
        assert!(began.elapsed() < SECOND && (began.elapsed() > Duration::ZERO) == waits, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn not_everybody_waits_for_news_of_a_key() {
    let engine = Sea::new().node().engine().await;
    engine.access().fresh().await.expect("confirmed");
    let nobodys = claviger_crypto::ApiKey::generate("default").reveal();
    let waited = || async {
        let began = Instant::now();
        assert!(matches!(engine.access().admit(&nobodys).await, Err(Error::UnknownApiKey)));
        began.elapsed()
    };
    let all = futures_util::future::join_all((0..400).map(|_| waited())).await;
    assert_eq!(all.iter().filter(|waited| **waited >= SECOND / 5).count(), 256);
    assert!(all.iter().all(|waited| *waited < SECOND / 2), "{all:?}");
    assert!(waited().await >= SECOND / 5, "there is room again");
    let began = Instant::now();
    assert!(matches!(engine.access().admit_known(&nobodys).await, Err(Error::UnknownApiKey)));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_just_made_elsewhere_can_be_revoked_here() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    node.silence(Stream::Access).await;
    let (_, id) = api_key(&here, Role::Operator).await;
    revoke(&there, &id).await;
    let unknown = there.access().revoke_api_key(&system_caller(), "nosuchid").await;
    assert!(matches!(unknown, Err(Error::ApiKeyNotFound)), "{unknown:?}");
    node.heal();
    // Both go on working with each other.
    let unset = there.vault().set(&system_caller(), &scope(), &name("B"), value("some-value")).await;
    unset.expect("set");
    assert_eq!(list(&there).await.expect("listed").len(), 1);
}
