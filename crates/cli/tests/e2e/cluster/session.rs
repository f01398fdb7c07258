//! The session of the README, with every command at another node than the one before.

use std::time::{Duration, Instant};

use claviger::{Context, Function, Worker};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::rig::Rig;
use crate::support::{Api, NodeProgram, eventually};

const FIRST: &str = "sk_live_first_value";
const SECOND: &str = "sk_live_second_one";

/// How soon a change has to be seen everywhere. It takes some milliseconds; the benchmark measures how many.
const SERVED_WITHIN: Duration = Duration::from_secs(1);

/// How soon a revoked key has to fail everywhere.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_serve_one_vault() {
    let rig = Rig::start().await;
    commands_at_one_node_see_what_was_done_at_the_other(&rig).await;
    what_is_set_at_one_node_is_served_by_the_other_at_once(&rig).await;
    a_worker_at_one_node_serves_what_was_emitted_at_the_other(&rig).await;
    a_worker_in_typescript_receives_what_was_set_elsewhere(&rig).await;
    a_revoked_key_fails_at_every_node(&rig).await;
    both_say_that_they_are_durable_only_as_far_as_they_know(&rig).await;
    rig.a.stop().await;
    rig.b.stop().await;
}

async fn commands_at_one_node_see_what_was_done_at_the_other(rig: &Rig) {
    let (a, b) = (rig.cli(&rig.a), rig.cli(&rig.b));
    let subscribed = b.spawn(&["subscribe", "system.secret.*.updated"]);
    subscribed.stderr.line("subscribed").await;
    let set = a.set("STRIPE_KEY", FIRST).await;
    let strong = b.json(&["secret", "get", "STRIPE_KEY", "--consistency", "strong"]).await;
    assert_eq!(strong["revision"], set["revision"], "{strong}");
    let list = b.json(&["secret", "list", "--consistency", "strong"]).await;
    assert_eq!((&list[0]["name"], &list[0]["version"]), (&json!("STRIPE_KEY"), &json!(1)), "{list}");

    let set = b.set("STRIPE_KEY", SECOND).await;
    assert_eq!(set["version"], 2, "{set}");
    let strong = a.json(&["secret", "get", "STRIPE_KEY", "--consistency", "strong"]).await;
    assert_eq!((&strong["version"], &strong["revision"]), (&json!(2), &set["revision"]), "{strong}");
    // Its own change made at one node is an event at the other, once.
    let set = a.set("STRIPE_KEY", FIRST).await;
    let line = subscribed.stdout.line(&format!("\"revision\":{}", set["revision"])).await;
    assert!(line.contains("system.secret.STRIPE_KEY.updated"), "{line}");
    assert_eq!(subscribed.stdout.text().matches("\"version\":3").count(), 1, "{:?}", subscribed.stdout);

    // Of two that expect the same revision, one is right.
    let revision = set["revision"].to_string();
    let cas = ["secret", "set", "STRIPE_KEY", "--cas", &revision];
    let (left, right) = tokio::join!(a.run_with_input(&cas, b"at node a"), b.run_with_input(&cas, b"at node b"));
    let mut codes = [left.code, right.code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 5], "{left:?} {right:?}");
    a.ok(&["secret", "delete", "STRIPE_KEY"]).await;
    assert_eq!(b.run(&["secret", "get", "STRIPE_KEY", "--consistency", "strong"]).await.code, 4);
}

async fn what_is_set_at_one_node_is_served_by_the_other_at_once(rig: &Rig) {
    let (a, b) = (rig.api(&rig.a), rig.api(&rig.b));
    let path = "/v1/environments/default/secrets/SPREAD";
    for number in 0..10 {
        let set = a.set("SPREAD", &format!("value number {number}")).await;
        let answered = Instant::now();
        while b.answer(b.request(Method::GET, path)).await.1["revision"] != set["revision"] {
            assert!(answered.elapsed() < SERVED_WITHIN, "{:?} after it was set at the other node", answered.elapsed());
        }
    }
}

async fn a_worker_at_one_node_serves_what_was_emitted_at_the_other(rig: &Rig) {
    let function = Function::new("payout")
        .on("test.payout")
        .required_secret("STRIPE_KEY")
        .handler(|ctx: Context| async move { Ok(ctx.secrets().get("STRIPE_KEY")?.expose().len()) });
    let worker = Worker::new().url(&rig.b.api).api_key(rig.runtime_key().await).function(function);
    let worker = worker.start().await.expect("a worker");
    let (a, b) = (rig.api(&rig.a), rig.api(&rig.b));
    // Emitted before the secret is set: the run waits for it, at the other node.
    let event = a.emit("test.payout", json!({})).await;
    b.run_with("payout", "blocked").await;
    a.set("STRIPE_KEY", FIRST).await;
    for node in [&a, &b] {
        let runs = node.runs_of(&event).await;
        assert_eq!((runs.len(), &runs[0]["status"], &runs[0]["result"]), (1, &json!("completed"), &json!(FIRST.len())));
    }
    // Rotated at one node, what the other delivers next is the new value.
    a.set("STRIPE_KEY", "short one").await;
    let runs = a.emit_and_wait("test.payout", json!({})).await;
    assert_eq!(runs[0]["result"], "short one".len(), "{runs:?}");
    worker.stop().await.expect("a worker that stops");
}

async fn a_worker_in_typescript_receives_what_was_set_elsewhere(rig: &Rig) {
    let program = NodeProgram::script(include_str!("worker.mjs"));
    let worker = program.start(&rig.b.api, &rig.runtime_key().await, &[]).await;
    let a = rig.api(&rig.a);
    a.set("NPM_TOKEN", "a token of 23 characters").await;
    let runs = a.emit_and_wait("test.publish", json!({ "package": "one" })).await;
    assert_eq!((runs.len(), &runs[0]["result"]), (1, &json!({ "package": "one", "length": 24 })), "{runs:?}");
    drop(worker);
}

async fn a_revoked_key_fails_at_every_node(rig: &Rig) {
    let a = rig.cli(&rig.a);
    let created = a.json(&["apikey", "create", "--role", "viewer"]).await;
    let key = created["key"].as_str().expect("a key");
    let viewer = Api::new(&rig.b.api, key);
    let is_accepted = || async { is_accepted(&viewer).await.then_some(()) };
    eventually("a new key is accepted at the other node", is_accepted).await;
    a.ok(&["apikey", "revoke", created["id"].as_str().expect("an id")]).await;
    let revoked = Instant::now();
    while self::is_accepted(&viewer).await {
        assert!(revoked.elapsed() < REVOKED_WITHIN, "a revoked key is accepted after {:?}", revoked.elapsed());
    }
}

async fn is_accepted(api: &Api) -> bool {
    let (status, answer) = api.answer(api.request(Method::GET, "/v1/caller")).await;
    assert!(matches!(status, StatusCode::OK | StatusCode::UNAUTHORIZED), "{status} {answer}");
    status == StatusCode::OK
}

async fn both_say_that_they_are_durable_only_as_far_as_they_know(rig: &Rig) {
    for node in [&rig.a, &rig.b] {
        let ready = rig.api(node).get("/readyz").await;
        assert_eq!((&ready["status"], &ready["store"]), (&json!("ready"), &json!("nats")), "{ready}");
        let expected = json!({ "level": "unknown", "replicas": 3, "storage": "file", "synced": "unknown" });
        assert_eq!(ready["durability"], expected, "{ready}");
        let warning = ready["warnings"][0].as_str().expect("a warning");
        assert!(warning.contains("`node1`, `node2`, `node3` sync before acknowledging"), "{ready}");
    }
}
