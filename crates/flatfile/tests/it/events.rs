//! Events: in, out, acknowledged.

use claviger_core::{Bounds, Role};
use claviger_engine::events::NewEvent;
use serde_json::{Value, json};

use crate::support::{House, caller, caller_with};

impl House {
    /// Creates an event, and answers it.
    async fn emit(&self, topic: &str, context: Value) -> Value {
        let sent = json!({ "topic": topic, "domain": "space", "payload": { "a": 1 }, "context": context });
        self.as_runtime().post("/v1/events", sent).await.data().clone()
    }

    /// The topics of a list.
    async fn topics(&self, query: &str) -> Vec<String> {
        let listed = self.as_runtime().get(&format!("/v1/events?{query}")).await;
        listed.data().as_array().unwrap().iter().map(|event| event["topic"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn an_event_is_created_listed_and_found() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let space = house.as_operator().post("/v1/spaces", json!({ "name": "acme", "namespace": "red" })).await;
    let space = space.data()["id"].as_str().unwrap();
    let context =
        json!({ "environmentId": environment, "spaceId": space, "accountId": "us_acc_x", "sheetId": "us_sh_1" });
    let created = house.emit("space:updated", context).await;
    let id = created["id"].as_str().unwrap();
    assert!(id.len() == 23 && id.starts_with("us_evt_"), "{id}");
    let expected = json!({
        "id": id, "topic": "space:updated", "domain": "space", "payload": { "a": 1 }, "namespaces": ["space:red"],
        "context": {
            "environmentId": environment, "spaceId": space, "accountId": "us_acc_x", "sheetId": "us_sh_1",
            "actorId": "us_key_abcd1234",
        },
        "attributes": {}, "callbackUrl": "", "dataUrl": "", "origin": null, "createdAt": created["createdAt"],
    });
    assert_eq!(created, expected);
    assert_eq!(house.as_runtime().get("/v1/events").await.data(), &json!([expected]));
    assert_eq!(house.as_runtime().get(&format!("/api/v1/events/{id}")).await.data(), &expected);
    assert_eq!(house.as_admin().get(&format!("/v1/events/{id}")).await.data(), &expected);
    let recent =
        house.engine.events().recent(&caller(Role::Viewer), &"default".parse().unwrap(), None, 10).await.unwrap();
    assert_eq!(recent.events[0].space, Some("acme".parse().unwrap()), "it is one of the space for everybody");
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_cut() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let space = house.space("acme").await;
    let mut made = Vec::new();
    for number in 0..12 {
        let context = if number % 3 == 0 { json!({ "spaceId": space }) } else { json!({}) };
        made.push(house.emit(&format!("custom:{number}"), context).await);
    }
    assert_eq!(house.topics("").await, (2..12).rev().map(|n| format!("custom:{n}")).collect::<Vec<_>>());
    assert_eq!(house.topics("pageSize=5&pageNumber=3").await, ["custom:1", "custom:0"]);
    assert_eq!(house.topics("pageSize=5&pageNumber=4").await, [""; 0]);
    assert_eq!(house.topics("topic=custom%3A4").await, ["custom:4"]);
    assert_eq!(house.topics("domain=space&pageSize=1").await, ["custom:11"]);
    assert_eq!(house.topics("domain=other").await, [""; 0]);
    assert_eq!(house.topics(&format!("spaceId={space}")).await, ["custom:9", "custom:6", "custom:3", "custom:0"]);
    assert_eq!(house.topics("spaceId=us_sp_00000000").await, [""; 0]);
    let since = made[10]["createdAt"].as_str().unwrap();
    let query = format!("environmentId={environment}&since={since}&pageSize=100");
    assert_eq!(house.topics(&query).await, ["custom:11", "custom:10"], "the instant itself is in");
    assert_eq!(house.topics("since=2999-01-01T00%3A00%3A00.123456789Z").await, [""; 0]);
    for (query, key) in [
        ("since=1700000000", "since"),
        ("since=yesterday", "since"),
        ("pageSize=0", "pageSize"),
        ("includeAcknowledged=perhaps", "includeAcknowledged"),
    ] {
        let refused = house.as_runtime().get(&format!("/v1/events?{query}")).await;
        assert_eq!(refused.refusal(), (400, key), "{query}");
    }
    assert_eq!(house.as_admin().get("/v1/events").await.refusal(), (400, "environmentId"));
    let other = house.new_environment("staging").await;
    assert_eq!(house.as_admin().get(&format!("/v1/events?environmentId={other}")).await.data(), &json!([]));
}

#[tokio::test]
async fn events_far_back_are_found_page_by_page() {
    const EVENTS: usize = 500;
    let house = House::open().await;
    let first = house.emit("space:created", json!({})).await;
    let id = first["id"].as_str().unwrap();
    house.as_runtime().send("POST", &format!("/v1/events/{id}/ack"), "".into()).await.data();
    for _ in 0..EVENTS {
        house.emit("space:updated", json!({})).await;
    }
    let mut ids = Vec::new();
    for page in 1..=6 {
        let listed = house.as_runtime().get(&format!("/v1/events?pageSize=100&pageNumber={page}")).await;
        ids.extend(listed.data().as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len(), EVENTS, "without the acknowledged one");
    assert!(ids.is_sorted_by(|a, b| a > b), "the newest first, and each once");
    assert_eq!(house.topics("topic=space%3Acreated&includeAcknowledged=true").await, ["space:created"]);
    assert!(house.as_runtime().get(&format!("/v1/events/{id}")).await.data()["acknowledgedAt"].is_string());
}

#[tokio::test]
async fn an_acknowledged_event_is_listed_only_when_asked_for() {
    let house = House::open().await;
    let (first, second) = (house.emit("space:created", json!({})).await, house.emit("space:updated", json!({})).await);
    let id = first["id"].as_str().unwrap();
    for _ in 0..2 {
        let acknowledged = house.as_runtime().send("POST", &format!("/v1/events/{id}/ack"), "".into()).await;
        assert_eq!(acknowledged.data(), &json!({ "success": true }));
    }
    assert_eq!(house.topics("").await, ["space:updated"]);
    assert_eq!(house.topics("includeAcknowledged=false").await, ["space:updated"]);
    assert_eq!(house.topics("includeAcknowledged=true").await, ["space:updated", "space:created"]);
    let shown = house.as_runtime().get(&format!("/v1/events/{id}")).await;
    assert_eq!(shown.data()["acknowledgedBy"], "us_key_abcd1234");
    assert!(shown.data()["acknowledgedAt"].as_str() > second["createdAt"].as_str(), "{shown:?}");
    let other = house.as_runtime().get(&format!("/v1/events/{}", second["id"].as_str().unwrap())).await;
    assert_eq!(other.data().get("acknowledgedAt"), None);
    let recent =
        house.engine.events().recent(&caller(Role::Viewer), &"default".parse().unwrap(), None, 10).await.unwrap();
    let names: Vec<_> = recent.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["flatfile.acknowledged", "space:updated", "space:created"], "one event for both");
    for id in ["us_evt_0000000000000000", "us_evt_x", "x", "%ff"] {
        let refused = house.as_runtime().send("POST", &format!("/v1/events/{id}/ack"), "".into()).await;
        assert_eq!(refused.refusal(), (404, "id"), "{id}");
    }
}

#[tokio::test]
async fn events_of_others_are_shown_with_their_data_as_payload() {
    let house = House::open().await;
    let environment = "default".parse().unwrap();
    let new = NewEvent {
        id: Some("mine".into()),
        name: "order.created".parse().unwrap(),
        data: br#"{"amount":7}"#.to_vec(),
        space: None,
    };
    house.engine.events().emit(&caller(Role::Operator), &environment, new).await.unwrap();
    let listed = house.as_runtime().get("/v1/events?domain=order").await;
    let event = &listed.data()[0];
    assert_eq!((&event["topic"], &event["payload"]), (&json!("order.created"), &json!({ "amount": 7 })));
    let context = json!({ "environmentId": house.environment("default").await, "accountId": "us_acc_Claviger" });
    assert_eq!(event["context"], context);
    house.as_runtime().get(&format!("/v1/events/{}", event["id"].as_str().unwrap())).await.data();
}

#[tokio::test]
async fn a_space_that_is_gone_or_elsewhere_is_only_spoken_of() {
    let house = House::open().await;
    let staging = house.new_environment("staging").await;
    let there = house.as_admin().post("/v1/spaces", json!({ "name": "there", "environmentId": staging })).await;
    for space in [there.data()["id"].as_str().unwrap(), "us_sp_00000000", "x/../y"] {
        let created = house.emit("space:deleted", json!({ "spaceId": space })).await;
        assert_eq!(created["context"]["spaceId"], space);
        assert_eq!(house.topics(&format!("spaceId={}", space.replace('/', "%2F"))).await, ["space:deleted"]);
    }
}

#[tokio::test]
async fn events_out_of_form_are_refused() {
    let house = House::open().await;
    for (sent, key) in [
        (json!({ "domain": "space", "payload": {} }), "topic"),
        (json!({ "topic": null }), "topic"),
        (json!({ "topic": "a b" }), "topic"),
        (json!({ "topic": "" }), "topic"),
        (json!({ "topic": "system.secret.x.updated" }), ""),
        (json!({ "topic": "a:b", "context": "x" }), "context"),
        (json!([]), "body"),
    ] {
        let refused = house.as_runtime().post("/v1/events", sent.clone()).await;
        assert_eq!(refused.refusal(), (400, key), "{sent}");
    }
    let foreign = json!({ "topic": "a:b", "context": { "environmentId": "us_env_00000000" } });
    assert_eq!(house.as_runtime().post("/v1/events", foreign).await.refusal(), (404, "environmentId"));
    assert_eq!(house.asking(caller(Role::Viewer)).post("/v1/events", json!({ "topic": "a:b" })).await.refusal().0, 403);
    let huge = json!({ "topic": "a:b", "payload": "x".repeat(300_000) });
    assert_eq!(house.as_runtime().post("/v1/events", huge).await.refusal().0, 413);
}

#[tokio::test]
async fn listeners_hear_of_changes_without_values() {
    let house = House::open().await;
    let (environment, acme) = (house.environment("default").await, house.space("acme").await);
    let row = house.set("TOKEN", "canary-7fe1-value", json!({ "environmentId": environment, "spaceId": acme })).await;
    house.set("TOKEN", "canary-7fe2-value", json!({ "spaceId": acme })).await;
    house.as_operator().delete(&format!("/v1/secrets/{}", row["id"].as_str().unwrap())).await.data();
    let listed = house.as_runtime().get("/v1/events?domain=secret").await;
    let events = listed.data().as_array().unwrap();
    let topics: Vec<_> = events.iter().map(|event| event["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["secret:deleted", "secret:updated", "secret:created"]);
    for event in events {
        assert_eq!((&event["payload"], &event["context"]["spaceId"]), (&row, &json!(acme)));
    }
    assert!(!listed.body.to_string().contains("canary"));
}

#[tokio::test]
async fn a_key_for_one_space_sees_and_makes_events_of_that_space() {
    let house = House::open().await;
    let (acme, other) = (house.space("acme").await, house.space("other").await);
    house.emit("space:updated", json!({ "spaceId": other })).await;
    let theirs = house.emit("space:created", json!({})).await;
    house.emit("space:guestAdded", json!({ "spaceId": acme })).await;
    let bounds = Bounds { secrets: vec!["*".into()], spaces: Some(vec!["acme".parse().unwrap()]), ..Bounds::default() };
    let narrowed = house.asking(caller_with(Role::Runtime, bounds));
    let listed = narrowed.get("/v1/events").await;
    let events = listed.data().as_array().unwrap();
    assert_eq!((events.len(), &events[0]["topic"]), (1, &json!("space:guestAdded")));
    narrowed.send("POST", &format!("/v1/events/{}/ack", events[0]["id"].as_str().unwrap()), "".into()).await.data();
    let path = format!("/v1/events/{}", theirs["id"].as_str().unwrap());
    assert_eq!(narrowed.get(&path).await.refusal(), (404, "id"));
    narrowed.post("/v1/events", json!({ "topic": "a:b", "context": { "spaceId": acme } })).await.data();
    let refused = narrowed.post("/v1/events", json!({ "topic": "a:b" })).await;
    assert_eq!(refused.refusal().0, 403);
}

#[tokio::test]
async fn a_subscriber_sees_the_events_of_its_patterns() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    house.emit("news.today", json!({})).await;
    house.emit("space:created", json!({})).await;
    let bounds = Bounds { events: vec!["news.>".parse().unwrap()], ..Bounds::default() };
    let subscriber = house.asking(caller_with(Role::Subscriber, bounds));
    let listed = subscriber.get("/v1/events").await;
    assert_eq!((listed.data().as_array().unwrap().len(), &listed.data()[0]["topic"]), (1, &json!("news.today")));
    for path in ["/v1/environments", "/v1/spaces", &format!("/v1/events?environmentId={environment}")] {
        assert_eq!(subscriber.get(path).await.refusal().0, 403, "{path}");
    }
}
