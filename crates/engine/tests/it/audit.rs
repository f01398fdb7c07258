//! Deliveries and refusals on record.

use std::time::Duration;

use claviger_core::{Revision, Role};
use claviger_engine::{
    Engine, Error,
    access::system_caller,
    audit::{AuditEntry, Fact},
};

use crate::support::{caller, deliver, environment, function, memory_engine, name, scope, set, value, version};

async fn entries(engine: &Engine) -> Vec<AuditEntry> {
    let page = engine.audit().list(&system_caller(), &environment(), Revision::ZERO, 1_000).await.expect("listed");
    page.items
}

#[tokio::test]
async fn a_delivery_names_who_what_and_which_versions() {
    let (store, engine) = memory_engine().await;
    set(&engine, "A", "some-value").await;
    set(&engine, "A", "newer-value").await;
    set(&engine, "B", "other-value").await;
    let _delivered = deliver(&engine, &store, &["A", "B", "MISSING"]).await.expect("delivered");
    let entry = entries(&engine).await.remove(0);
    assert_eq!(&*entry.caller, "runtime");
    let Fact::Delivered { function: to, secrets, .. } = entry.fact else { panic!("{entry:?}") };
    assert_eq!(to, function());
    assert_eq!(secrets, [version("A", 2), version("B", 1)]);
}

#[tokio::test]
async fn refusals_are_recorded_ten_a_minute_and_then_counted() {
    let (store, engine) = memory_engine().await;
    let viewer = caller(Role::Viewer);
    let refuse = async || {
        let refused = engine.vault().set(&viewer, &scope(), &name("A"), value("some-value")).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    };
    for _ in 0..25 {
        refuse().await;
    }
    assert_eq!(entries(&engine).await.len(), 10);
    assert_eq!(engine.audit().refusals_total(), 25);
    store.clock.advance(Duration::from_secs(60));
    refuse().await;
    let last = entries(&engine).await.pop().expect("recorded");
    let Fact::Refused { role, permission, unrecorded, .. } = last.fact else { panic!("{last:?}") };
    assert_eq!((role, permission.as_str(), unrecorded), (Role::Viewer, "secret.write", 15));
}

#[tokio::test]
async fn entries_are_paged_and_shown_to_those_who_may_see_them() {
    let (store, engine) = memory_engine().await;
    set(&engine, "A", "some-value").await;
    for _ in 0..5 {
        let _delivered = deliver(&engine, &store, &["A"]).await.expect("delivered");
    }
    let operator = caller(Role::Operator);
    let first = engine.audit().list(&operator, &environment(), Revision::ZERO, 3).await.expect("listed");
    let after = Revision(first.next.as_deref().expect("there is more").parse().expect("a revision"));
    let second = engine.audit().list(&operator, &environment(), after, 3).await.expect("listed");
    assert_eq!((first.items.len(), second.items.len(), second.next), (3, 2, None));
    for role in [Role::Runtime, Role::Viewer, Role::Subscriber] {
        let refused = engine.audit().list(&caller(role), &environment(), Revision::ZERO, 3).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{role}: {refused:?}");
    }
}
