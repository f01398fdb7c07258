//! Events of spaces: where they may be emitted, who hears of them, and what a damaged or foreign one is.

use claviger_core::{Bounds, Caller, Role, SpaceName};
use claviger_engine::{
    Engine, Error,
    access::{NewApiKey, system_caller},
    events::{Emitted, Frame, NewEvent, Subscription},
};

use super::rig::{Rig, default, event, frame, patterns};
use crate::spaces::{create, delete, set_in, space};

/// A worker's key, narrowed to spaces.
async fn narrowed(engine: &Engine, spaces: &[&str]) -> Caller {
    let spaces = Some(spaces.iter().map(|name| space(name)).collect());
    let new = NewApiKey {
        description: None,
        role: Role::Runtime,
        environment: Some(default()),
        bounds: Bounds { secrets: vec!["*".to_owned()], spaces, ..Bounds::default() },
        ttl: None,
    };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.unwrap();
    engine.access().authenticate(&key).unwrap()
}

async fn emit_as(engine: &Engine, caller: &Caller, at: Option<&str>, id: &str) -> Result<Emitted, Error> {
    let (name, data) = ("order.created".parse().unwrap(), b"{}".to_vec());
    let event = NewEvent { id: Some(id.to_owned()), name, data, space: at.map(space) };
    engine.events().emit(caller, &default(), event).await
}

async fn emit(engine: &Engine, at: Option<&str>, id: &str) {
    emit_as(engine, &system_caller(), at, id).await.unwrap();
}

async fn subscribe(engine: &Engine, caller: &Caller, spaces: Option<&[&str]>) -> Result<Subscription, Error> {
    let spaces = spaces.map(|names| names.iter().map(|name| space(name)).collect());
    let all = patterns(&["order.*", "system.secret.>", "system.space.*"]);
    let mut subscription = engine.events().subscribe(caller, &default(), all, None, spaces).await?;
    assert!(matches!(frame(&mut subscription).await, Frame::Ready { .. }));
    Ok(subscription)
}

/// Space and id of the next event that was emitted, or the name of one that was not.
async fn heard(subscription: &mut Subscription) -> (Option<SpaceName>, String) {
    let (event, _) = event(subscription).await;
    let word = if event.name.is_system() { &event.name.to_string() } else { &*event.id };
    (event.space.clone(), word.to_owned())
}

#[tokio::test]
async fn an_event_is_emitted_into_a_space_that_there_is() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let refused = emit_as(&engine, &system_caller(), Some("acme"), "1").await;
    assert!(matches!(refused, Err(Error::SpaceNotFound)));
    create(&engine, "acme").await;
    let emitted = emit_as(&engine, &system_caller(), Some("acme"), "1").await.unwrap();
    assert_eq!(emitted.space, Some(space("acme")));
    assert_eq!(emit_as(&engine, &system_caller(), Some("acme"), "1").await.unwrap(), emitted);
    delete(&engine, "acme").await.unwrap();
    assert!(matches!(emit_as(&engine, &system_caller(), Some("acme"), "2").await, Err(Error::SpaceNotFound)));
    let other = engine.access().create_environment(&system_caller(), "staging").await.unwrap().name;
    let event = NewEvent { id: None, name: "a".parse().unwrap(), data: b"1".to_vec(), space: Some(space("beta")) };
    assert!(matches!(engine.events().emit(&system_caller(), &other, event).await, Err(Error::SpaceNotFound)));
}

#[tokio::test]
async fn a_subscription_hears_of_its_spaces() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for name in ["acme", "beta"] {
        create(&engine, name).await;
    }
    let mut all = subscribe(&engine, &system_caller(), None).await.unwrap();
    let mut of_acme = subscribe(&engine, &system_caller(), Some(&["acme"])).await.unwrap();
    let mut of_both = subscribe(&engine, &system_caller(), Some(&["beta", "acme"])).await.unwrap();
    for (at, id) in [(Some("beta"), "1"), (None, "2"), (Some("acme"), "3")] {
        emit(&engine, at, id).await;
    }
    let at = |name: &str| Some(space(name));
    for (space, id) in [(at("beta"), "1"), (None, "2"), (at("acme"), "3")] {
        assert_eq!(heard(&mut all).await, (space, id.to_owned()));
    }
    assert_eq!(heard(&mut of_acme).await, (at("acme"), "3".to_owned()));
    for (space, id) in [(at("beta"), "1"), (at("acme"), "3")] {
        assert_eq!(heard(&mut of_both).await, (space, id.to_owned()));
    }
    // What the server makes belongs to the space as well.
    set_in(&engine, "beta", "TOKEN").await.unwrap();
    set_in(&engine, "acme", "TOKEN").await.unwrap();
    assert_eq!(heard(&mut of_acme).await, (at("acme"), "system.secret.TOKEN.created".to_owned()));
    for bad in [&["nowhere"][..], &["acme", "nowhere"]] {
        assert!(matches!(subscribe(&engine, &system_caller(), Some(bad)).await, Err(Error::SpaceNotFound)));
    }
    assert!(matches!(subscribe(&engine, &system_caller(), Some(&[])).await, Err(Error::Invalid { .. })));
    let many = vec!["acme"; 65];
    assert!(matches!(subscribe(&engine, &system_caller(), Some(&many)).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_narrowed_key_emits_into_its_spaces_and_hears_of_them_only() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for name in ["acme", "beta"] {
        create(&engine, name).await;
    }
    let key = narrowed(&engine, &["acme"]).await;
    assert!(matches!(emit_as(&engine, &key, None, "1").await, Err(Error::Denied { bound: Some(_), .. })));
    assert!(matches!(emit_as(&engine, &key, Some("beta"), "1").await, Err(Error::SpaceNotFound)));
    assert!(matches!(subscribe(&engine, &key, Some(&["beta"])).await, Err(Error::SpaceNotFound)));
    let mut heard_all = subscribe(&engine, &key, None).await.unwrap();
    let mut asked = subscribe(&engine, &key, Some(&["acme"])).await.unwrap();
    emit(&engine, None, "1").await;
    emit(&engine, Some("beta"), "2").await;
    emit_as(&engine, &key, Some("acme"), "3").await.unwrap();
    for subscription in [&mut heard_all, &mut asked] {
        assert_eq!(heard(subscription).await, (Some(space("acme")), "3".to_owned()));
    }
    let recent = engine.events().recent(&key, &default(), None, 10).await.unwrap();
    assert_eq!(recent.events.iter().map(|event| &*event.id).collect::<Vec<_>>(), ["3"]);
}

#[tokio::test]
async fn ids_of_one_space_are_nothing_to_another() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for name in ["acme", "beta"] {
        create(&engine, name).await;
    }
    let places = [Some("beta"), None, Some("acme")];
    let mut first = Vec::new();
    for at in places {
        first.push(emit_as(&engine, &system_caller(), at, "order-17").await.unwrap());
    }
    assert!(first.is_sorted_by_key(|emitted| emitted.revision), "three events");
    for (at, known) in places.into_iter().zip(&first) {
        assert_eq!(known.space, at.map(space));
        assert_eq!(emit_as(&engine, &system_caller(), at, "order-17").await.unwrap(), *known);
    }
    // A narrowed key neither learns of others' events by their ids nor takes ids away from them.
    let key = narrowed(&engine, &["acme"]).await;
    assert_eq!(emit_as(&engine, &key, Some("acme"), "order-17").await.unwrap(), first[2]);
    emit(&engine, Some("beta"), "order-18").await;
    let told = emit_as(&engine, &key, Some("acme"), "order-18").await.unwrap();
    assert_eq!(told.space, Some(space("acme")));
    let taken = emit_as(&engine, &key, Some("acme"), "order-19").await.unwrap();
    let of_beta = emit_as(&engine, &system_caller(), Some("beta"), "order-19").await.unwrap();
    assert!(of_beta.revision > taken.revision && of_beta.space == Some(space("beta")));
}

#[tokio::test]
async fn the_space_of_an_event_outlives_the_server() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    create(&engine, "acme").await;
    let mut live = subscribe(&engine, &system_caller(), None).await.unwrap();
    let before = live.cursor();
    emit(&engine, Some("acme"), "1").await;
    assert_eq!(heard(&mut live).await.0, Some(space("acme")));
    engine.close().await;
    let engine = rig.engine().await;
    let (system, of_acme) = (system_caller(), Some(vec![space("acme")]));
    let resumed = engine.events().subscribe(&system, &default(), patterns(&[">"]), Some(before), of_acme).await;
    let mut resumed = resumed.unwrap();
    frame(&mut resumed).await;
    assert_eq!(heard(&mut resumed).await, (Some(space("acme")), "1".to_owned()));
}
