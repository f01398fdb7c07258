//! Environments, API keys, and wrong master keys.

use std::time::Duration;

use claviger_core::{Bounds, Reach, Role};
use claviger_engine::{
    Engine, Error,
    access::{ApiKeyMetadata, NewApiKey, system_caller},
};

use crate::support::{Store, caller, environment, master, memory_engine, name, scope, set};

fn new_key(role: Role) -> NewApiKey {
    let mut bounds = Bounds::default();
    match role {
        Role::Runtime => bounds.secrets = vec!["*".to_owned()],
        Role::Subscriber => bounds.events = vec!["order.>".parse().expect("a pattern")],
        _ => {}
    }
    let environment = (role != Role::Admin).then(environment);
    NewApiKey { role, environment, description: Some("for tests".to_owned()), bounds, ttl: None }
}

async fn create(engine: &Engine, new: NewApiKey) -> (ApiKeyMetadata, String) {
    let (info, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    (info, key.to_string())
}

#[tokio::test]
async fn a_key_of_each_role_makes_its_caller() {
    let (_store, engine) = memory_engine().await;
    for role in Role::ALL {
        let (info, key) = create(&engine, new_key(role)).await;
        let prefix = if role == Role::Admin { "clv_all_" } else { "clv_default_" };
        assert!(key.starts_with(prefix), "{role}");
        let caller = engine.access().authenticate(&key).expect("authenticated");
        assert_eq!((caller.id, caller.role, caller.reach), (info.id.clone(), role, info.reach.clone()));
        assert_eq!(caller.bounds, info.bounds);
    }
    let listed = engine.access().list_api_keys(&system_caller()).await.expect("listed");
    assert_eq!(listed.len(), Role::ALL.len());
}

#[tokio::test]
async fn mistyped_wrong_and_unknown_keys_are_refused() {
    let (_store, engine) = memory_engine().await;
    let (_other_store, other_engine) = memory_engine().await;
    let (_, key) = create(&engine, new_key(Role::Operator)).await;
    let (_, foreign) = create(&other_engine, new_key(Role::Operator)).await;
    let authenticate = |text: &str| engine.access().authenticate(text).expect_err("refused").code();
    assert_eq!(authenticate(""), "invalid_api_key");
    assert_eq!(authenticate("Bearer"), "invalid_api_key");
    assert_eq!(authenticate(&key[..key.len() - 1]), "invalid_api_key");
    let mistyped = format!("{}{}", &key[..30], key[30..].chars().rev().collect::<String>());
    assert_eq!(authenticate(&mistyped), "invalid_api_key");
    assert_eq!(authenticate(&foreign), "unknown_api_key");
    assert_eq!(authenticate(claviger_crypto::ApiKey::generate("default").reveal().as_str()), "unknown_api_key");
    let error = engine.access().authenticate(&mistyped).expect_err("refused");
    assert!(!error.to_string().contains(&mistyped[20..40]), "{error}");
}

#[tokio::test]
async fn a_revoked_key_fails_at_once_and_stays_so_after_a_restart() {
    let (store, engine) = memory_engine().await;
    let (info, key) = create(&engine, new_key(Role::Operator)).await;
    assert!(engine.access().authenticate(&key).is_ok());
    let revoked = engine.access().revoke_api_key(&system_caller(), &info.id).await.expect("revoked");
    assert!(revoked.revoked_at.is_some());
    let refused = engine.access().authenticate(&key).expect_err("refused");
    assert!(matches!(refused, Error::UnknownApiKey), "the same answer as for a key that never was: {refused:?}");
    let again = engine.access().revoke_api_key(&system_caller(), &info.id).await.expect("harmless");
    assert_eq!(again, revoked);
    let unknown = engine.access().revoke_api_key(&system_caller(), "nosuchid").await;
    assert!(matches!(unknown, Err(Error::ApiKeyNotFound)), "{unknown:?}");
    let restarted = store.another_engine().await;
    assert!(matches!(restarted.access().authenticate(&key), Err(Error::UnknownApiKey)));
}

#[tokio::test]
async fn a_key_ends_with_its_time() {
    let (store, engine) = memory_engine().await;
    let (_, key) = create(&engine, NewApiKey { ttl: Some(Duration::from_secs(60)), ..new_key(Role::Viewer) }).await;
    let (subscriber, subscriber_key) = create(&engine, new_key(Role::Subscriber)).await;
    assert_eq!(subscriber.expires_at, Some(subscriber.created_at.plus(Duration::from_secs(24 * 60 * 60))));
    store.clock.advance(Duration::from_secs(59));
    assert!(engine.access().authenticate(&key).is_ok());
    store.clock.advance(Duration::from_secs(1));
    assert!(matches!(engine.access().authenticate(&key), Err(Error::ExpiredApiKey)));
    assert!(engine.access().authenticate(&subscriber_key).is_ok());
    store.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert!(matches!(engine.access().authenticate(&subscriber_key), Err(Error::ExpiredApiKey)));
}

#[tokio::test]
async fn keys_outside_the_rules_are_not_made() {
    let (_store, engine) = memory_engine().await;
    let secrets = || Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
    let month = Duration::from_secs(31 * 24 * 60 * 60);
    let bad = [
        NewApiKey { bounds: Bounds::default(), ..new_key(Role::Runtime) },
        NewApiKey { bounds: Bounds::default(), ..new_key(Role::Subscriber) },
        NewApiKey { bounds: secrets(), ..new_key(Role::Operator) },
        NewApiKey { bounds: secrets(), ..new_key(Role::Subscriber) },
        NewApiKey { environment: Some(environment()), ..new_key(Role::Admin) },
        NewApiKey { ttl: Some(month), ..new_key(Role::Subscriber) },
        NewApiKey { ttl: Some(Duration::ZERO), ..new_key(Role::Viewer) },
        NewApiKey { description: Some("d".repeat(1_001)), ..new_key(Role::Viewer) },
    ];
    for new in bad {
        let error = engine.access().create_api_key(&system_caller(), new.clone()).await.expect_err("refused");
        assert!(matches!(error, Error::Invalid { .. }), "{new:?}: {error:?}");
    }
    let nowhere = NewApiKey { environment: Some("nowhere".parse().expect("a name")), ..new_key(Role::Viewer) };
    let error = engine.access().create_api_key(&system_caller(), nowhere).await.expect_err("refused");
    assert!(matches!(error, Error::EnvironmentNotFound), "{error:?}");
    let everywhere = NewApiKey { environment: None, ..new_key(Role::Runtime) };
    assert_eq!(create(&engine, everywhere).await.0.reach, Reach::All);
}

#[tokio::test]
async fn only_administrators_handle_keys_and_environments() {
    let (_store, engine) = memory_engine().await;
    let access = engine.access();
    for role in [Role::Operator, Role::Runtime, Role::Viewer, Role::Subscriber] {
        let caller = caller(role);
        let errors = [
            access.create_api_key(&caller, new_key(Role::Viewer)).await.err(),
            access.list_api_keys(&caller).await.err(),
            access.revoke_api_key(&caller, "abcdefgh").await.err(),
            access.create_environment(&caller, "prod").await.err(),
        ];
        assert!(errors.iter().all(|error| matches!(error, Some(Error::Denied { .. }))), "{role}: {errors:?}");
    }
}

#[tokio::test]
async fn environments_are_created_once_and_seen_by_those_who_reach_them() {
    let (_store, engine) = memory_engine().await;
    let access = engine.access();
    access.create_environment(&system_caller(), "prod").await.expect("created");
    for (text, code) in [("prod", "environment_exists"), ("default", "environment_exists"), ("all", "invalid_name")] {
        assert_eq!(access.create_environment(&system_caller(), text).await.expect_err("refused").code(), code);
    }
    let names = async |caller| {
        let listed = access.list_environments(&caller).await.expect("listed");
        listed.iter().map(|environment| environment.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(system_caller()).await, ["default", "prod"]);
    assert_eq!(names(caller(Role::Operator)).await, ["default"]);
}

#[tokio::test]
async fn a_wrong_master_key_is_named_by_its_fingerprint_and_changes_nothing() {
    let store = Store::memory();
    let engine = store.engine().await;
    set(&engine, "A", "some-value").await;
    let error = store.try_engine(master(8)).await.expect_err("it is the wrong one");
    let Error::WrongMasterKey { expected, given } = &error else { panic!("{error:?}") };
    assert_eq!(expected, &master(7).fingerprint().to_string());
    assert_eq!(given, &master(8).fingerprint().to_string());
    assert_eq!(error.code(), "wrong_master_key");
    let engine = store.engine().await;
    assert!(engine.vault().describe(&system_caller(), &scope(), &name("A")).await.is_ok());
}
