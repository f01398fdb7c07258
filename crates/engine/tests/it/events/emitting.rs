use std::time::Duration;

use claviger_core::{Role, Timestamp};
use claviger_engine::{access::system_caller, events::Source};
use claviger_store::{Ledger, Stream};

use super::rig::{Rig, START, caller, default, emit, emit_as, event, subscribe};

#[tokio::test]
async fn an_event_arrives_as_it_was_emitted() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.>"], None).await;
    let emitted = emit(&engine, "order.created:eu=1.x-y_z", "{ \"amount\": 12.50,\r\n \"to\": \"a b\" }").await;
    assert_eq!(emitted.at, Timestamp(START));
    let (event, _) = event(&mut subscription).await;
    assert_eq!(event.id, emitted.id);
    assert_eq!(event.name, emitted.name);
    assert_eq!(event.environment, default());
    assert_eq!(event.at, emitted.at);
    assert_eq!(event.revision, emitted.revision);
    assert_eq!(event.source, Source::Event);
    assert_eq!(event.data.get(), r#"{"amount":12.50,"to":"a b"}"#);
}

#[tokio::test]
async fn a_repeated_id_is_answered_as_the_first_time_and_stored_once() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let (mut subscription, _) = subscribe(&engine, &["order.*"], None).await;
    let first = emit_as(&engine, &system, Some("order-1"), "order.created", "1").await.unwrap();
    rig.clock.pass(Duration::from_secs(60));
    emit(&engine, "order.noise", "2").await;
    let again = emit_as(&engine, &system, Some("order-1"), "order.changed", "3").await.unwrap();
    assert_eq!(again, first);
    emit(&engine, "order.end", "4").await;
    let names: Vec<String> = super::rig::events(&mut subscription, 3).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["order.created", "order.noise", "order.end"]);
}

#[tokio::test]
async fn ids_of_different_environments_have_nothing_to_do_with_each_other() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let other = engine.access().create_environment(&system, "other").await.unwrap().name;
    let here = emit_as(&engine, &system, Some("order-1"), "order.created", "1").await.unwrap();
    let event = claviger_engine::events::NewEvent {
        id: Some("order-1".into()),
        name: "order.created".parse().unwrap(),
        data: b"2".to_vec(),
        space: None,
    };
    let there = engine.events().emit(&system, &other, event).await.unwrap();
    assert_ne!(here.revision, there.revision);
}

#[tokio::test]
async fn concurrent_emits_of_one_id_store_one_event() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let emits = (0..16).map(|_| emit_as(&engine, &system, Some("one"), "order.created", "1"));
    let answers = futures_util::future::join_all(emits).await;
    let revisions: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().revision).collect();
    assert!(revisions.iter().all(|revision| *revision == revisions[0]));
    assert_eq!(rig.ledger.bounds(Stream::Events).await.unwrap().last, revisions[0]);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_not_stored() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    for name in ["system", "system.secret.KEY.updated", "system.anything"] {
        let refused = emit_as(&engine, &system, None, name, "1").await.unwrap_err();
        assert_eq!(refused.code(), "reserved_event_name");
    }
    for (id, data, code) in [
        (None, "not json", "invalid_request"),
        (None, "", "invalid_request"),
        (None, &*"[".repeat(200), "invalid_request"),
        (None, &*format!("\"{}\"", "x".repeat(256 * 1024)), "event_too_large"),
        (Some(""), "1", "invalid_request"),
        (Some("a\nb"), "1", "invalid_request"),
        (Some("secrets-12"), "1", "invalid_request"),
        (Some(&*"x".repeat(201)), "1", "invalid_request"),
    ] {
        assert_eq!(emit_as(&engine, &system, id, "order.created", data).await.unwrap_err().code(), code);
    }
    assert_eq!(rig.ledger.bounds(Stream::Events).await.unwrap().last.0, 0);
}

#[tokio::test]
async fn only_roles_that_may_emit_can() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for (role, patterns) in [(Role::Viewer, &[][..]), (Role::Subscriber, &[">"][..])] {
        let caller = caller(&engine, role, Some("default"), patterns).await;
        let refused = emit_as(&engine, &caller, None, "order.created", "1").await.unwrap_err();
        assert_eq!(refused.code(), "denied", "{role}");
    }
    assert_eq!(engine.audit().refusals_total(), 2);
    for role in [Role::Operator, Role::Runtime] {
        let caller = caller(&engine, role, Some("default"), &[]).await;
        emit_as(&engine, &caller, None, "order.created", "1").await.unwrap();
    }
}

#[tokio::test]
async fn data_is_sealed_at_rest() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let canary = "canary-93f1-event-data";
    let revision = emit(&engine, "order.created", &format!("\"{canary}\"")).await.revision;
    let before = claviger_core::Revision(revision.0 - 1);
    let records = rig.ledger.read(Stream::Events, &claviger_store::Filter::All, before, 1).await.unwrap();
    let stored = String::from_utf8_lossy(&records[0].bytes).into_owned();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, canary);
    assert!(stored.contains("order.created") && !stored.contains(canary) && !stored.contains(&encoded[..16]));
}
