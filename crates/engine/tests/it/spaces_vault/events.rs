//! What subscribers hear of a space's secrets.

use claviger_engine::events::Frame;
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn every_change_in_a_space_is_an_event_of_that_space() {
    let (_store, engine) = with_spaces().await;
    let (acme, pattern) = (space("acme"), "system.secret.>".parse().expect("a pattern"));
    let subscribed = engine.events().subscribe(&system_caller(), &environment(), vec![pattern], None, None).await;
    let mut subscription = subscribed.expect("subscribed");
    let blocked = block(&engine, &acme, "A").await;
    unblock(&engine, &acme, "A").await;
    set_in(&engine, &acme, "A", "some-value").await;
    block(&engine, &acme, "A").await;
    set_in(&engine, &acme, "A", "some-value").await;
    set_in(&engine, &acme, "A", "some-value").await;
    delete_in(&engine, &acme, "A").await;
    let expected = [
        ("blocked", None),
        ("unblocked", None),
        ("created", Some(1)),
        ("blocked", None),
        ("created", Some(2)),
        ("updated", Some(3)),
        ("deleted", Some(3)),
    ];
    for (at, (action, version)) in (0..).zip(expected) {
        let event = loop {
            if let Frame::Event { event, .. } = subscription.next().await.expect("it goes on") {
                break event;
            }
        };
        assert_eq!(event.name.as_str(), format!("system.secret.A.{action}"));
        assert_eq!((&event.environment, &event.space), (&environment(), &acme.space));
        let mut data = json!({
            "name": "A", "action": action, "revision": blocked.revision.0 + at, "environment": "default",
            "space": "acme", "actor": "system",
        });
        if let Some(version) = version {
            data["version"] = json!(version);
        }
        assert_eq!(serde_json::from_str::<Value>(event.data.get()).expect("JSON"), data);
    }
}
