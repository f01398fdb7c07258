//! Reading back what was emitted, newest first.

use claviger_core::{Revision, Role};
use claviger_engine::{Engine, Error, access::system_caller, events::RecentEvents};

use super::rig::{Rig, caller, default, emit, emit_in, set};

async fn page(engine: &Engine, before: Option<Revision>, limit: usize) -> RecentEvents {
    engine.events().recent(&system_caller(), &default(), before, limit).await.unwrap()
}

fn data(page: &RecentEvents) -> Vec<u64> {
    page.events.iter().map(|event| event.data.get().parse().unwrap()).collect()
}

/// All that there is, in pages of a size.
async fn all(engine: &Engine, limit: usize) -> Vec<u64> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = page(engine, before, limit).await;
        assert!(page.events.len() <= limit);
        all.extend(data(&page));
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn pages_go_back_to_the_first_event() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    assert!(all(&engine, 10).await.is_empty());
    let other = engine.access().create_environment(&system_caller(), "staging").await.unwrap().name;
    for number in 0..300_u64 {
        emit(&engine, "order.created", &number.to_string()).await;
        emit_in(&engine, &other, "order.created", "1").await;
        if number % 50 == 0 {
            set(&engine, &default(), "TOKEN", "some-value").await;
        }
    }
    let newest_first: Vec<u64> = (0..300).rev().collect();
    for limit in [1, 7, 127, 128, 129, 299, 300, 301, 1_000] {
        assert_eq!(all(&engine, limit).await, newest_first, "pages of {limit}");
    }
    // A page stays what it is while others are emitted.
    let first = page(&engine, None, 5).await;
    emit(&engine, "order.created", "300").await;
    assert_eq!(data(&page(&engine, first.next, 2).await), [294, 293]);
    assert_eq!(data(&page(&engine, None, 1).await), [300]);
    assert_eq!(data(&page(&engine, Some(Revision(u64::MAX)), 1).await), [300]);
    assert!(page(&engine, Some(Revision(0)), 1).await.next.is_none());
    engine.close().await;
    let engine = rig.engine().await;
    assert_eq!(all(&engine, 1_000).await.len(), 301);
}

#[tokio::test]
async fn a_page_looks_at_so_much_and_no_more() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let other = engine.access().create_environment(&system_caller(), "staging").await.unwrap().name;
    emit(&engine, "order.created", "1").await;
    for _ in 0..4_500 {
        emit_in(&engine, &other, "noise", "1").await;
    }
    emit(&engine, "order.created", "2").await;
    let first = page(&engine, None, 10).await;
    assert_eq!(data(&first), [2]);
    let second = page(&engine, first.next, 10).await;
    assert_eq!((data(&second), second.next), (vec![1], None));
}

#[tokio::test]
async fn who_may_not_hear_of_events_reads_none_back() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let subscriber = caller(&engine, Role::Subscriber, Some("default"), &["order.*"]).await;
    for name in ["order.created", "payout.requested"] {
        emit(&engine, name, "1").await;
    }
    let seen = engine.events().recent(&subscriber, &default(), None, 10).await.unwrap();
    assert_eq!(seen.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["order.created"]);
    engine.access().create_environment(&system_caller(), "staging").await.unwrap();
    let foreign = engine.events().recent(&subscriber, &super::rig::environment("staging"), None, 10).await;
    assert!(matches!(foreign, Err(Error::EnvironmentNotFound)));
    for limit in [0, 1_001] {
        let refused = engine.events().recent(&system_caller(), &default(), None, limit).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
}

#[tokio::test]
async fn values_are_masked() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let value = std::sync::Arc::new(claviger_core::SecretValue::new(b"some-canary".to_vec()));
    let _hold = engine.live().hold(&[(claviger_core::Mask::new(&"TOKEN".parse().unwrap(), 1), value)]);
    emit(&engine, "order.created", r#""some-canary""#).await;
    let seen = page(&engine, None, 10).await;
    assert_eq!(seen.events[0].data.get(), r#""«TOKEN@1»""#);
}
