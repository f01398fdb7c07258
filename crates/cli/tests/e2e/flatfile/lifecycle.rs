//! Servers that stop and come back while clients work.

use serde_json::{Value, json};

use super::clients::{Clients, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_comes_back_with_the_same_ids() {
    let mut stage = Stage::set().await;
    let space = stage.space("acme").await;
    stage.set_secret(None, "TOKEN", "canary-of-the-environment").await;
    let own = stage.set_secret(Some(&space), "TOKEN", "canary-of-the-space").await;
    let event = json!([{
        "topic": "space:updated", "domain": "space", "payload": {},
        "context": { "environmentId": stage.environment, "spaceId": space, "accountId": "us_acc_1" },
    }]);
    let created = stage.runtime.call("events.create", event).await;
    stage.runtime.call("events.ack", json!([created["id"]])).await;
    let event = stage.event(Some(&space));
    assert_eq!(stage.runtime.secret(&event, "TOKEN").await, Ok("canary-of-the-space".to_owned()));

    let Stage { server, mut operator, mut runtime, environment } = stage;
    let plan = server.kill().await;
    // The listener tells its user no more than this, and asks again with the next event.
    assert_eq!(runtime.secret(&event, "TOKEN").await, Err("Secret TOKEN not found".to_owned()));
    let server = plan.start().await;
    assert_eq!(runtime.secret(&event, "TOKEN").await, Ok("canary-of-the-space".to_owned()));
    assert_eq!(operator.call("spaces.get", json!([space])).await["name"], "acme");
    let again = runtime.call("events.get", json!([created["id"]])).await;
    assert_eq!((&again["id"], &again["createdAt"]), (&created["id"], &created["createdAt"]));
    assert!(again["acknowledgedAt"].is_string(), "{again}");
    assert_eq!(operator.call("secrets.delete", json!([own["id"]])).await, json!([own]));
    assert_eq!(runtime.secret(&event, "TOKEN").await, Ok("canary-of-the-environment".to_owned()));
    assert_eq!(operator.call("environments.list", json!([{}])).await[0]["id"], environment);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_no_server_took_is_sent_again_by_the_client() {
    let stage = Stage::set().await;
    let Stage { server, mut operator, runtime, environment } = stage;
    drop(runtime);
    let (api, key) = (server.api.clone(), server.runtime_key());
    let (plan, _) = server.stop().await;
    let sent = json!([{ "name": "TOKEN", "value": "canary-sent-again", "environmentId": environment }]);
    // Nobody listens: the client gives up. The same again, once the server is back, is one row and no more.
    let refused = operator.attempt(&json!({ "do": "call", "path": ["secrets", "upsert"], "with": sent })).await;
    assert!(refused.get("error").is_some(), "{refused}");
    let server = plan.start().await;
    for _ in 0..2 {
        operator.call("secrets.upsert", sent.clone()).await;
    }
    let mut runtime = Clients::with(&key, &[("AGENT_INTERNAL_URL", &format!("{api}/flatfile"))]);
    let rows = runtime.call("secrets.list", json!([{ "environmentId": environment }])).await;
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["value"]), (Some(1), &json!("canary-sent-again")));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_that_moves_on_gets_each_event_exactly_once_across_a_restart() {
    const HALF: usize = 50;
    let mut stage = Stage::set().await;
    stage.set_secret(None, "TOKEN", "canary-of-a-poller").await;
    let Stage { server, mut operator, mut runtime, environment } = stage;
    let event = json!({
        "topic": "space:updated", "domain": "space",
        "context": { "environmentId": environment, "accountId": "us_acc_1" },
    });
    let burst = json!({ "do": "burst", "event": event, "count": HALF });
    let query = json!({ "environmentId": environment, "topic": "space:updated", "pageSize": 1000 });
    let poll = json!({ "do": "poll", "query": query, "until": 2 * HALF });
    let meanwhile = async {
        let before = operator.value(&burst).await;
        let server = server.kill().await.start().await;
        let after = operator.value(&burst).await;
        (server, [before, after])
    };
    let ((server, created), handled) = tokio::join!(meanwhile, runtime.value(&poll));
    let created = created.iter().flat_map(|ids| ids.as_array().expect("ids"));
    let handled = handled.as_array().expect("events").iter().map(|event| &event["id"]);
    assert_eq!(sorted(handled), sorted(created));
    drop(server);
}

fn sorted<'a>(ids: impl Iterator<Item = &'a Value>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = ids.map(|id| id.as_str().expect("an id")).collect();
    ids.sort_unstable();
    ids
}
