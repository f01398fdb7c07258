//! The three ways in which events come to a listener.

use serde_json::{Value, json};

use super::clients::{Clients, Stage, found};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_created_polled_handled_and_acknowledged() {
    let mut stage = Stage::set().await;
    let environment = stage.environment.clone();
    let new = json!([{ "name": "acme", "environmentId": environment, "namespace": "red" }]);
    let space = stage.operator.call("spaces.create", new).await["id"].clone();
    stage.set_secret(None, "TOKEN", "canary-of-the-environment").await;
    let event = json!([{
        "topic": "space:updated", "domain": "space", "payload": { "a": 1 },
        "context": { "environmentId": environment, "spaceId": space, "accountId": "us_acc_1", "actorId": "us_key_abcdefgh" },
    }]);
    let created = stage.runtime.call("events.create", event).await;
    let id = created["id"].clone();
    let query = json!({ "environmentId": environment, "spaceId": space, "topic": "space:updated", "pageSize": 50 });
    let poll = json!({ "do": "poll", "query": query, "secrets": [["TOKEN"]], "until": 1 });
    let handled = stage.runtime.value(&poll).await;
    assert_eq!((&handled[0]["id"], &handled[0]["payload"]), (&id, &json!({ "a": 1 })));
    assert_eq!(found(&handled[0]["secrets"][0]), Ok("canary-of-the-environment".to_owned()));
    assert_eq!(handled[1], json!({ "red": id }), "the listener of the space's namespace");

    let known = stage.runtime.call("events.get", json!([id])).await;
    assert_eq!((&known["id"], &known["context"]["actorId"]), (&id, &json!("us_key_abcdefgh")));
    let acknowledged = stage.runtime.call("events.ack", json!([id])).await;
    assert_eq!(acknowledged["success"], true);
    let left = stage.runtime.call("events.list", json!([query])).await;
    assert_eq!(left, json!([]));
    let mut all = query;
    all["includeAcknowledged"] = json!(true);
    let all = stage.runtime.call("events.list", json!([all])).await;
    assert!(all[0]["acknowledgedAt"].is_string() && all[0]["id"] == id, "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_arrives_whole_and_in_order() {
    const BURST: usize = 200;
    let mut stage = Stage::set().await;
    stage.set_secret(None, "TOKEN", "canary-of-a-burst").await;
    let since = stage.event_now().await;
    let event = json!({
        "topic": "space:updated", "domain": "space",
        "context": { "environmentId": stage.environment, "accountId": "us_acc_1" },
    });
    let mut ids = stage.runtime.value(&json!({ "do": "burst", "event": event, "count": BURST })).await;
    // As the command line polls, but with pages that are large enough for a burst.
    let query = json!({
        "environmentId": stage.environment, "since": since, "pageSize": 1000, "includeAcknowledged": true,
        "topic": "space:updated",
    });
    let poll = json!({ "do": "poll", "query": query, "secrets": [["TOKEN"]], "until": BURST });
    let handled = stage.runtime.value(&poll).await;
    let handled = handled.as_array().expect("events");
    assert_eq!(handled.len(), BURST);
    for event in handled {
        assert_eq!(found(&event["secrets"][0]), Ok("canary-of-a-burst".to_owned()));
    }
    let mut seen: Vec<&str> = handled.iter().map(|event| event["id"].as_str().expect("an id")).collect();
    assert!(seen.is_sorted(), "the oldest first");
    seen.sort_unstable();
    let ids = ids.as_array_mut().expect("ids");
    ids.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    assert_eq!(seen, ids.iter().map(|id| id.as_str().expect("an id")).collect::<Vec<_>>());
    // Page by page it is the same.
    let mut paged = Vec::new();
    for number in 1..=5 {
        let page = json!([{ "environmentId": stage.environment, "topic": "space:updated", "pageSize": 50, "pageNumber": number }]);
        let page = stage.runtime.call("events.list", page).await;
        paged.extend(page.as_array().expect("events").iter().map(|event| event["id"].clone()));
    }
    paged.reverse();
    assert_eq!(paged, handled.iter().map(|event| event["id"].clone()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_asks_is_answered() {
    let mut stage = Stage::set().await;
    let environment = stage.environment.clone();
    let known = stage.runtime.call("environments.get", json!([environment])).await;
    assert_eq!((&known["id"], &known["isProd"]), (&json!(environment), &json!(false)));
    assert_eq!(stage.runtime.call("agents.list", json!([{ "environmentId": environment }])).await, json!([]));
    let bundle = "x".repeat(1_100_000);
    let agent = json!({ "topics": ["space:updated"], "compiler": "js", "source": bundle });
    let (name, status, body) =
        stage.operator.refused("agents.create", json!([{ "environmentId": environment, "body": agent }])).await;
    assert_eq!((&*name, status), ("BadRequestError", json!(400)));
    assert!(body.to_string().contains("not supported"), "{body}");
    let (_, status, _) = stage.runtime.refused("events.getEventToken", json!([{ "scope": environment }])).await;
    assert_eq!(status, 400);
    // A bundle that was built to be hosted gets its events so.
    stage.set_secret(None, "TOKEN", "canary-of-a-bundle").await;
    let route = json!({ "do": "dispatch", "event": stage.event(None), "secrets": [["TOKEN"]], "way": "routeEvent" });
    let handled = stage.runtime.value(&route).await;
    assert_eq!(found(&handled[0]["secrets"][0]), Ok("canary-of-a-bundle".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_paths_and_all_ways_to_name_the_server_work() {
    let mut stage = Stage::set().await;
    stage.set_secret(None, "TOKEN", "canary-of-a-path").await;
    let (key, api) = (stage.server.runtime_key(), format!("{}/flatfile", stage.server.api));
    let options = json!({ "apiUrl": format!("{api}/api"), "token": key }).to_string();
    for variables in [
        [("FLATFILE_API_URL", &*api), ("AGENT_INTERNAL_URL", &*format!("{api}/api/"))],
        [("CLIENT_OPTIONS", &*options), ("AGENT_INTERNAL_URL", &*api)],
    ] {
        let mut clients = Clients::with(&key, &variables);
        let rows = clients.call("secrets.list", json!([{ "environmentId": stage.environment }])).await;
        assert_eq!(rows[0]["value"], "canary-of-a-path");
        let event = stage.event(None);
        assert_eq!(clients.secret(&event, "TOKEN").await, Ok("canary-of-a-path".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_native_function_reaches_a_listener_and_the_other_way_round() {
    let mut stage = Stage::set().await;
    let subscribed = stage.server.cli().spawn(&["subscribe", "space:created", "-o", "json"]);
    subscribed.stderr.line("subscribed").await;
    stage.server.admin().emit("order.created", json!({ "amount": 7 })).await;
    let query = json!({ "environmentId": stage.environment });
    let handled = stage.runtime.value(&json!({ "do": "poll", "query": query, "until": 1 })).await;
    assert_eq!((&handled[0]["topic"], &handled[0]["payload"]), (&json!("order.created"), &json!({ "amount": 7 })));
    let event = json!([{
        "topic": "space:created", "domain": "space", "payload": { "b": 2 }, "context": { "environmentId": stage.environment, "accountId": "us_acc_1" },
    }]);
    stage.runtime.call("events.create", event).await;
    let line = subscribed.stdout.line("space:created").await;
    let seen: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(seen["data"]["payload"], json!({ "b": 2 }), "{seen}");
}

impl Stage {
    /// A moment that is now, by the server's clock.
    async fn event_now(&mut self) -> Value {
        let event = json!([{
            "topic": "space:created", "domain": "space", "payload": {}, "context": { "environmentId": self.environment, "accountId": "us_acc_1" },
        }]);
        self.runtime.call("events.create", event).await["createdAt"].clone()
    }
}
