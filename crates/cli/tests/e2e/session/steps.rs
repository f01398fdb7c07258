//! Durable steps, with workers of both SDKs.

use serde_json::{Value, json};

use super::workers::Sdk;
use crate::support::{Api, FakeStripe, Server};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_step_works_from_typescript() {
    every_kind_of_step(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_step_works_from_rust() {
    every_kind_of_step(Sdk::Rust).await;
}

async fn every_kind_of_step(sdk: Sdk) {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let _worker = sdk.start(&server, stripe.url()).await;
    let api = server.admin();
    tokio::join!(parallel(&api), nap(&api), approval(&api), invoke(&api), send_event(&api));
}

async fn parallel(api: &Api) {
    let run = only(api.emit_and_wait("test.parallel", Value::Null).await);
    assert_eq!(run["result"], 60, "{run}");
    let run = api.run(id(&run)).await;
    let steps = run["steps"].as_array().expect("steps");
    let mut ids: Vec<&str> = steps.iter().filter_map(|step| step["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["part-1", "part-2", "part-3", "sum"]);
    assert!(steps.iter().all(|step| step["status"] == "finished"), "{run}");
}

async fn nap(api: &Api) {
    let run = only(api.emit_and_wait("test.nap", Value::Null).await);
    let slept = run["result"].as_u64().expect("milliseconds");
    assert!(slept >= 150, "{slept}");
}

async fn approval(api: &Api) {
    let event = api.emit("test.approval", json!({ "order": 7 })).await;
    let waiting = api.run_with("approval", "waiting").await;
    // Another order's approval is not this one's.
    api.emit("test.approved.early", json!({ "order": 8, "by": "nobody" })).await;
    api.emit("test.approved.late", json!({ "order": 7, "by": "ada" })).await;
    let run = only(api.runs_of(&event).await);
    assert_eq!(run["id"], waiting["id"]);
    assert_eq!(run["result"], json!({ "by": "ada", "never": null }), "{run}");
}

async fn invoke(api: &Api) {
    let run = only(api.emit_and_wait("test.parent", Value::Null).await);
    assert_eq!(run["result"], json!({ "doubled": 42, "failure": "no number" }), "{run}");
    let children = api.get("/v1/environments/default/runs?function=child").await;
    let states: Vec<_> = children["items"].as_array().expect("runs").iter().map(|run| &run["status"]).collect();
    assert_eq!(states, ["failed", "completed"], "newest first");
}

async fn send_event(api: &Api) {
    let run = only(api.emit_and_wait("test.teller", Value::Null).await);
    assert!(run["result"]["revision"].is_u64(), "{run}");
    let heard = only(api.runs_of(&run["result"]).await);
    assert_eq!((&heard["function"], &heard["result"]), (&json!("listener"), &json!("hello")));
}

/// The one run of an event.
pub(super) fn only(runs: Vec<Value>) -> Value {
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().expect("a run")
}

/// The id of a run.
pub(super) fn id(run: &Value) -> &str {
    run["id"].as_str().expect("an id")
}
