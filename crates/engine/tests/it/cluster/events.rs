//! Subscriptions and emits on a store whose streams have revisions that are no records.

use std::time::Duration;

use claviger_core::{Pattern, Revision};
use claviger_engine::{
    Engine,
    access::system_caller,
    events::{Cursor, Emitted, Frame, GapReason, NewEvent, Subscription},
};
use claviger_store::{Ledger, Stream};
use tokio::time::timeout;

use super::node::Sea;
use crate::{
    spaces::create,
    support::{environment, name, scope, set},
};

pub(super) async fn subscribe(engine: &Engine, texts: &[&str], after: Option<&Cursor>) -> (Subscription, Cursor) {
    let patterns: Vec<Pattern> = texts.iter().map(|text| text.parse().expect("a pattern")).collect();
    let subscribed = engine.events().subscribe(&system_caller(), &environment(), patterns, after.cloned(), None).await;
    let mut subscription = subscribed.expect("subscribed");
    match frame(&mut subscription).await {
        Frame::Ready { cursor } => (subscription, cursor),
        other => panic!("{other:?}"),
    }
}

async fn frame(subscription: &mut Subscription) -> Frame {
    let next = timeout(Duration::from_secs(30), subscription.next());
    next.await.expect("a frame in time").expect("it goes on")
}

/// The next event's name, and the cursor after it.
pub(super) async fn event(subscription: &mut Subscription) -> (String, Cursor) {
    match frame(subscription).await {
        Frame::Event { event, cursor } => (event.name.to_string(), cursor),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn emit(engine: &Engine, id: Option<&str>, name: &str) -> Emitted {
    emit_in(engine, None, id, name).await
}

async fn emit_in(engine: &Engine, space: Option<&str>, id: Option<&str>, name: &str) -> Emitted {
    let event = NewEvent {
        id: id.map(str::to_owned),
        name: name.parse().expect("an event name"),
        data: b"null".to_vec(),
        space: space.map(|space| space.parse().expect("a space's name")),
    };
    engine.events().emit(&system_caller(), &environment(), event).await.expect("emitted")
}

async fn barriers(ledger: &dyn Ledger) {
    for stream in [Stream::Events, Stream::Secrets, Stream::Access] {
        for _ in 0..3 {
            ledger.barrier(stream).await.expect("acknowledged");
        }
    }
}

#[tokio::test]
async fn barriers_are_no_gaps() {
    let sea = Sea::new();
    let (node, here) = (sea.node(), sea.node().engine().await);
    let there = node.engine().await;
    let (mut live, before) = subscribe(&there, &[">"], None).await;
    let mut expected = Vec::new();
    for round in 0..5 {
        barriers(&*node).await;
        set(&here, &format!("KEY{round}"), "some-value").await;
        assert_eq!(event(&mut live).await.0, format!("system.secret.KEY{round}.created"));
        barriers(&*node).await;
        emit(&here, None, "order.created").await;
        assert_eq!(event(&mut live).await.0, "order.created");
        expected.extend([format!("system.secret.KEY{round}.created"), "order.created".to_owned()]);
    }
    barriers(&*node).await;
    // Everything again on a server that came later, and from somewhere in the middle.
    let late = sea.node().engine().await;
    let (mut resumed, _) = subscribe(&late, &[">"], Some(&before)).await;
    let (mut names, mut cursors) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let (name, cursor) = event(&mut resumed).await;
        names.push(name);
        cursors.push(cursor);
    }
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    for (taken, cursor) in (1..).zip(&cursors) {
        let (mut resumed, _) = subscribe(&late, &[">"], Some(cursor)).await;
        for _ in taken..10 {
            event(&mut resumed).await;
        }
        emit(&here, None, "order.last").await;
        while event(&mut resumed).await.0 != "order.last" {}
    }
}

#[tokio::test]
async fn after_nothing_but_barriers_a_subscription_goes_on_quietly() {
    let sea = Sea::new();
    let (node, here) = (sea.node(), sea.node().engine().await);
    let first = node.engine().await;
    let (_, cursor) = subscribe(&first, &["order.*", "system.>"], None).await;
    barriers(&*node).await;
    let later = sea.node().engine().await;
    let (mut resumed, ready) = subscribe(&later, &["order.*", "system.>"], Some(&cursor)).await;
    assert_eq!(ready, cursor);
    barriers(&*node).await;
    emit(&here, None, "order.created").await;
    assert_eq!(event(&mut resumed).await.0, "order.created");
}

#[tokio::test]
async fn changes_that_were_erased_are_a_gap_here_too() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    let (_, cursor) = subscribe(&engine, &["system.secret.>"], None).await;
    for round in 0..14 {
        set(&engine, "A", &format!("value-{round}")).await;
        node.barrier(Stream::Secrets).await.expect("acknowledged");
    }
    set(&engine, "B", "some-value").await;
    let all =
        async || node.read(Stream::Secrets, &claviger_store::Filter::All, Revision::ZERO, 100).await.expect("read");
    crate::support::eventually(async || all().await.len() == 11).await;
    let later = sea.node().engine().await;
    let (mut resumed, _) = subscribe(&later, &["system.secret.>"], Some(&cursor)).await;
    let Frame::Gap { reason: GapReason::Retention, stream: "secrets", asked, first, .. } = frame(&mut resumed).await
    else {
        panic!("no gap");
    };
    assert!(asked == Revision::ZERO && first > Revision(1), "{asked} {first}");
    for _ in 0..10 {
        assert_eq!(event(&mut resumed).await.0, "system.secret.A.updated");
    }
    assert_eq!(event(&mut resumed).await.0, "system.secret.B.created");
}

#[tokio::test]
async fn events_past_their_time_are_a_gap_here_too() {
    let sea = Sea::new();
    let node = sea.node();
    let engine = node.engine().await;
    let (_, cursor) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, None, "order.first").await;
    barriers(&*node).await;
    emit(&engine, None, "order.second").await;
    let month = Duration::from_secs(31 * 24 * 60 * 60);
    let later = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time") + month;
    node.trim(claviger_core::Timestamp(i64::try_from(later.as_millis()).expect("a time"))).await.expect("trimmed");
    emit(&engine, None, "order.third").await;
    let later = sea.node().engine().await;
    let (mut resumed, _) = subscribe(&later, &["order.*"], Some(&cursor)).await;
    let gap = frame(&mut resumed).await;
    assert!(matches!(gap, Frame::Gap { reason: GapReason::Retention, stream: "events", .. }), "{gap:?}");
    assert_eq!(event(&mut resumed).await.0, "order.third");
}

#[tokio::test]
async fn a_cursor_of_another_server_is_not_ahead() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    let (mut live, _) = subscribe(&here, &["order.*"], None).await;
    node.silence(Stream::Events).await;
    emit(&here, None, "order.first").await;
    let (_, cursor) = event(&mut live).await;
    let (mut moved, ready) = subscribe(&there, &["order.*"], Some(&cursor)).await;
    assert_eq!(ready, cursor);
    node.heal();
    emit(&here, None, "order.second").await;
    assert_eq!(event(&mut moved).await.0, "order.second");
}

#[tokio::test]
async fn what_was_acknowledged_elsewhere_before_a_subscription_is_not_delivered() {
    let sea = Sea::new();
    let (here, node) = (sea.node().engine().await, sea.node());
    let there = node.engine().await;
    node.silence(Stream::Events).await;
    emit(&here, None, "order.before").await;
    let (mut subscription, _) = subscribe(&there, &["order.*"], None).await;
    node.heal();
    emit(&here, None, "order.after").await;
    assert_eq!(event(&mut subscription).await.0, "order.after");
}

#[tokio::test]
async fn an_id_makes_one_event_whichever_server_it_is_emitted_on() {
    let sea = Sea::new();
    let servers = [sea.node().engine().await, sea.node().engine().await];
    let (mut subscription, _) = subscribe(&servers[0], &["order.*"], None).await;
    let first = emit(&servers[0], Some("order-1"), "order.created").await;
    sea.clock().pass(Duration::from_secs(60 * 60));
    for round in 0..10 {
        emit(&servers[round % 2], None, "order.noise").await;
        assert_eq!(event(&mut subscription).await.0, if round == 0 { "order.created" } else { "order.noise" });
        assert_eq!(emit(&servers[round % 2], Some("order-1"), "order.created").await, first);
    }
    let both = servers.iter().map(|engine| emit(engine, Some("order-2"), "order.created"));
    let answers = futures_util::future::join_all(both).await;
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn an_id_makes_one_event_in_each_space() {
    let sea = Sea::new();
    let servers = [sea.node().engine().await, sea.node().engine().await];
    create(&servers[0], "acme").await;
    create(&servers[0], "beta").await;
    let (mut subscription, _) = subscribe(&servers[1], &["order.*"], None).await;
    for space in [Some("beta"), None, Some("acme")] {
        let first = emit_in(&servers[0], space, Some("order-1"), "order.created").await;
        assert_eq!(first.space.as_ref().map(ToString::to_string).as_deref(), space);
        sea.clock().pass(Duration::from_secs(60 * 60));
        assert_eq!(emit_in(&servers[1], space, Some("order-1"), "order.created").await, first);
        let Frame::Event { event, .. } = frame(&mut subscription).await else { panic!("an event") };
        assert_eq!((&event.id, &event.space, event.revision), (&first.id, &first.space, first.revision));
    }
}

#[tokio::test]
async fn a_deleted_secret_is_an_event_on_every_server() {
    let sea = Sea::new();
    let (here, there) = (sea.node().engine().await, sea.node().engine().await);
    let (mut subscription, _) = subscribe(&there, &["system.secret.>"], None).await;
    set(&here, "A", "some-value").await;
    here.vault().delete(&system_caller(), &scope(), &name("A"), None).await.expect("deleted");
    assert_eq!(event(&mut subscription).await.0, "system.secret.A.created");
    assert_eq!(event(&mut subscription).await.0, "system.secret.A.deleted");
}
