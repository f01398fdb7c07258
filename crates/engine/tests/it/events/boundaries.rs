use std::sync::Arc;

use claviger_core::{Mask, Role, SecretValue};
use claviger_engine::{Error, access::system_caller};

use super::rig::{
    Rig, caller, default, emit, emit_in, environment, event, events, patterns, set, subscribe, subscribe_as,
};

#[tokio::test]
async fn events_of_other_environments_do_not_arrive() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let staging = engine.access().create_environment(&system, "staging").await.unwrap().name;
    // From the ring and from the ledger alike.
    let (_, before) = subscribe(&engine, &[">"], None).await;
    let (mut live, _) = subscribe(&engine, &["order.*", "system.secret.>"], None).await;
    emit_in(&engine, &staging, "order.foreign", "1").await;
    set(&engine, &staging, "FOREIGN", "canary-value").await;
    set(&engine, &default(), "OWN", "canary-value").await;
    assert_eq!(event(&mut live).await.0.name.as_str(), "system.secret.OWN.created");
    emit(&engine, "order.own", "2").await;
    assert_eq!(event(&mut live).await.0.name.as_str(), "order.own");
    engine.close().await;
    let engine = rig.engine().await;
    let (mut resumed, _) = subscribe(&engine, &["order.*", "system.secret.>"], Some(&before)).await;
    let mut names: Vec<String> = events(&mut resumed, 2).await.into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["order.own", "system.secret.OWN.created"]);
    assert_eq!(engine.events().unreadable_total(), 0);
}

#[tokio::test]
async fn a_foreign_environment_is_not_there() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    engine.access().create_environment(&system_caller(), "staging").await.unwrap();
    let operator = caller(&engine, Role::Operator, Some("default"), &[]).await;
    for place in ["staging", "nowhere"] {
        let refused = engine.events().subscribe(&operator, &environment(place), patterns(&[">"]), None, None).await;
        assert!(matches!(refused.unwrap_err(), Error::EnvironmentNotFound), "{place}");
    }
}

#[tokio::test]
async fn a_subscriber_key_is_bounded_by_its_patterns() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let bounds = ["order.*", "system.secret.*.updated"];
    let subscriber = caller(&engine, Role::Subscriber, Some("default"), &bounds).await;
    for refused in [&["order.>"][..], &[">"], &["*"], &["system.secret.>"], &["order.created", "system.apikey.*"]] {
        let asked = engine.events().subscribe(&subscriber, &default(), patterns(refused), None, None).await;
        let Err(Error::Denied { role: "subscriber", bound: Some(bound) }) = asked else { panic!("{refused:?}") };
        assert!(bound.contains(refused.last().unwrap()), "{bound}");
    }
    assert_eq!(engine.audit().refusals_total(), 5);
    let (mut subscription, _) =
        subscribe_as(&engine, &subscriber, &["order.created", "system.secret.KEY.updated"], None).await;
    emit(&engine, "order.changed", "1").await;
    emit(&engine, "order.created", "2").await;
    assert_eq!(events(&mut subscription, 1).await, [("order.created".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn a_subscription_has_some_patterns_but_not_too_many() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for count in [0, 65] {
        let asked =
            engine.events().subscribe(&system_caller(), &default(), patterns(&vec!["a"; count]), None, None).await;
        assert_eq!(asked.unwrap_err().code(), "invalid_request", "{count}");
    }
}

#[tokio::test]
async fn nothing_arrives_once_the_key_is_revoked_or_has_expired() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let revoked = caller(&engine, Role::Viewer, Some("default"), &[]).await;
    let expired = caller(&engine, Role::Subscriber, Some("default"), &["order.*"]).await;
    let (mut first, _) = subscribe_as(&engine, &revoked, &["order.*"], None).await;
    let (mut second, _) = subscribe_as(&engine, &expired, &["order.*"], None).await;
    emit(&engine, "order.created", "1").await;
    event(&mut first).await;
    event(&mut second).await;
    engine.access().revoke_api_key(&system_caller(), &revoked.id).await.unwrap();
    rig.clock.pass(std::time::Duration::from_secs(24 * 60 * 60));
    assert!(!first.is_accepted() && !second.is_accepted());
    emit(&engine, "order.created", "2").await;
    assert!(first.next().await.is_none());
    assert!(second.next().await.is_none());
}

#[tokio::test]
async fn a_value_in_use_is_masked_in_what_subscribers_see() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let value = "sk-canary-\"1\"";
    let mask = Mask::new(&"KEY".parse().unwrap(), 3);
    let hold = engine.live().hold(&[(mask, Arc::new(SecretValue::new(value.as_bytes().to_vec())))]);
    let (mut live, before) = subscribe(&engine, &["order.*"], None).await;
    let data = serde_json::json!({"to": "you", "key": format!("Bearer {value}")}).to_string();
    emit(&engine, "order.created", &data).await;
    let (event, _) = event(&mut live).await;
    assert_eq!(event.data.get(), r#"{"key":"Bearer «KEY@3»","to":"you"}"#);
    drop(hold);
    engine.close().await;
    // Long after the value is known to nobody here.
    let engine = rig.engine().await;
    let (mut late, _) = subscribe(&engine, &["order.*"], Some(&before)).await;
    assert_eq!(super::rig::event(&mut late).await.0.data.get(), event.data.get());
}
