use claviger_core::{Bounds, Role};
use claviger_engine::{
    access::{NewApiKey, system_caller},
    events::Source,
    spaces::{NewSpace, UpdateSpace},
};
use serde_json::{Value, json, value::RawValue};

use super::rig::{Rig, START, caller, default, delete, emit, environment, event, set, subscribe, subscribe_as};

#[tokio::test]
async fn every_change_of_a_secret_is_an_event() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["system.secret.>"], None).await;
    set(&engine, &default(), "KEY", "canary-value-1").await;
    set(&engine, &default(), "KEY", "canary-value-2").await;
    delete(&engine, &default(), "KEY").await;
    set(&engine, &default(), "KEY", "canary-value-3").await;
    for (action, version) in [("created", 1), ("updated", 2), ("deleted", 2), ("created", 3)] {
        let (event, _) = event(&mut subscription).await;
        assert_eq!(event.name.as_str(), format!("system.secret.KEY.{action}"));
        assert_eq!(&*event.id, format!("secrets-{}", event.revision));
        assert_eq!((event.source, event.at.0, &event.environment), (Source::System, START, &default()));
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        let expected = json!({
            "name": "KEY", "action": action, "version": version, "revision": event.revision.0,
            "environment": "default", "actor": "system",
        });
        assert_eq!(data, expected);
    }
}

#[tokio::test]
async fn a_name_stands_in_the_event_name_as_its_token_and_in_the_data_as_it_is() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["system.secret.*.*"], None).await;
    let long = "长".repeat(300);
    for name in ["my key", "a.b", "*", ">", "Straße", "../etc", long.as_str()] {
        set(&engine, &default(), name, "canary-value").await;
        let (event, _) = event(&mut subscription).await;
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        assert_eq!(data["name"], name);
        let token = event.name.as_str().strip_prefix("system.secret.").unwrap().strip_suffix(".created").unwrap();
        match claviger_core::token_to_name(token) {
            Some(read) => assert_eq!(read, name),
            None => assert!(token.starts_with("=h") && name == long),
        }
    }
    set(&engine, &default(), "my key", "canary-value").await;
    let (mut one, _) = subscribe(&engine, &["system.secret.my=20key.updated"], None).await;
    set(&engine, &default(), "other", "canary-value").await;
    set(&engine, &default(), "my key", "canary-value").await;
    assert_eq!(event(&mut one).await.0.name.as_str(), "system.secret.my=20key.updated");
}

#[tokio::test]
async fn the_actor_is_the_key_that_made_the_change() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let operator = caller(&engine, Role::Operator, Some("default"), &[]).await;
    let (mut subscription, _) = subscribe(&engine, &["system.secret.*.created"], None).await;
    let scope = claviger_core::Scope::environment(default());
    let new = claviger_engine::vault::SetSecret {
        value: claviger_core::SecretValue::new(b"canary-value".to_vec()),
        description: None,
        short: claviger_engine::vault::Short::Refuse,
        expected: None,
    };
    engine.vault().set(&operator, &scope, &"KEY".parse().unwrap(), new).await.unwrap();
    let data: Value = serde_json::from_str(event(&mut subscription).await.0.data.get()).unwrap();
    assert_eq!(data["actor"], &*operator.id);
}

#[tokio::test]
async fn environments_and_api_keys_have_events() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let (mut subscription, _) = subscribe(&engine, &["system.environment.*", "system.apikey.*"], None).await;
    engine.access().create_environment(&system, "staging").await.unwrap();
    let new = |role, place: Option<&str>| NewApiKey {
        role,
        environment: place.map(environment),
        description: None,
        bounds: Bounds::default(),
        ttl: None,
    };
    let (viewer, _) = engine.access().create_api_key(&system, new(Role::Viewer, Some("staging"))).await.unwrap();
    let (admin, _) = engine.access().create_api_key(&system, new(Role::Admin, None)).await.unwrap();
    engine.access().revoke_api_key(&system, &viewer.id).await.unwrap();
    for (name, place, data) in [
        ("system.environment.created", "staging", json!({"name": "staging", "actor": "system"})),
        ("system.apikey.created", "staging", key_data(&viewer.id, "viewer", "staging")),
        ("system.apikey.created", "default", key_data(&admin.id, "admin", "all")),
        ("system.apikey.revoked", "staging", key_data(&viewer.id, "viewer", "staging")),
    ] {
        let (event, _) = event(&mut subscription).await;
        assert_eq!((event.name.as_str(), event.environment.as_str()), (name, place));
        assert_eq!(&*event.id, format!("access-{}", event.revision));
        assert_eq!(serde_json::from_str::<Value>(event.data.get()).unwrap(), data);
    }
}

#[tokio::test]
async fn every_change_of_a_space_is_an_event_of_the_space() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["system.space.*"], None).await;
    let operator = caller(&engine, Role::Operator, Some("default"), &[]).await;
    let acme: claviger_core::SpaceName = "acme".parse().unwrap();
    let metadata = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let new = NewSpace { name: acme.clone(), metadata: metadata(r#"{"plan":"gold"}"#) };
    let spaces = engine.spaces();
    spaces.create(&system_caller(), &default(), new).await.unwrap();
    rig.clock.pass(std::time::Duration::from_millis(5));
    spaces
        .update(&operator, &default(), &acme, UpdateSpace { metadata: metadata("{}"), expected: None })
        .await
        .unwrap();
    spaces.delete(&operator, &default(), &acme, None).await.unwrap();
    let id = &*operator.id;
    for (action, actor, after) in [("created", "system", 0), ("updated", id, 5), ("deleted", id, 5)] {
        let (event, _) = event(&mut subscription).await;
        assert_eq!(event.name.as_str(), format!("system.space.{action}"));
        assert_eq!((&event.environment, event.space.as_ref()), (&default(), Some(&acme)));
        assert_eq!(&*event.id, format!("access-{}", event.revision));
        assert_eq!((event.source, event.at.0), (Source::System, START + after));
        let data: Value = serde_json::from_str(event.data.get()).unwrap();
        assert_eq!(data, json!({"name": "acme", "actor": actor}), "no metadata");
    }
}

#[tokio::test]
async fn a_key_narrowed_to_spaces_learns_of_no_other() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let bounds =
        Bounds { secrets: vec!["*".to_owned()], spaces: Some(vec!["acme".parse().unwrap()]), ..Bounds::default() };
    let new = NewApiKey { role: Role::Runtime, environment: Some(default()), description: None, bounds, ttl: None };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.unwrap();
    let narrow = engine.access().authenticate(&key).unwrap();
    let (mut subscription, _) = subscribe_as(&engine, &narrow, &["system.>"], None).await;
    set(&engine, &default(), "KEY", "canary-value").await;
    caller(&engine, Role::Viewer, Some("default"), &[]).await;
    for name in ["other", "acme"] {
        let new = NewSpace { name: name.parse().unwrap(), metadata: RawValue::from_string("{}".to_owned()).unwrap() };
        engine.spaces().create(&system_caller(), &default(), new).await.unwrap();
    }
    let (event, _) = event(&mut subscription).await;
    assert_eq!((event.name.as_str(), event.space.as_ref().unwrap().as_str()), ("system.space.created", "acme"));
}

fn key_data(id: &str, role: &str, place: &str) -> Value {
    json!({"id": id, "role": role, "environment": place, "actor": "system"})
}

#[tokio::test]
async fn one_subscription_spans_all_kinds_of_events() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &[">"], None).await;
    emit(&engine, "order.created", "1").await;
    set(&engine, &default(), "KEY", "canary-value").await;
    engine.access().create_environment(&system_caller(), "staging").await.unwrap();
    let mut names: Vec<String> =
        super::rig::events(&mut subscription, 3).await.into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["order.created", "system.environment.created", "system.secret.KEY.created"]);
}

#[tokio::test]
async fn a_key_for_one_environment_learns_of_no_other_keys_and_environments() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = system_caller();
    let viewer = caller(&engine, Role::Viewer, Some("default"), &[]).await;
    let (mut subscription, _) = subscribe_as(&engine, &viewer, &["system.>"], None).await;
    engine.access().create_environment(&system, "staging").await.unwrap();
    caller(&engine, Role::Viewer, Some("staging"), &[]).await;
    caller(&engine, Role::Admin, None, &[]).await;
    let own = caller(&engine, Role::Operator, Some("default"), &[]).await;
    let (event, _) = event(&mut subscription).await;
    assert_eq!(event.name.as_str(), "system.apikey.created");
    assert!(event.data.get().contains(&*own.id));
}
