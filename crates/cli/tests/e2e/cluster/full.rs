//! A JetStream without room: what is refused, what goes on, and what happens when there is room again.

use std::sync::Arc;

use claviger::{Function, Worker, WorkerHandle};
use claviger_testbed::{NatsServer, ServerOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::rig::{always, node, one};
use crate::support::{Api, Server, eventually};

/// What JetStream may keep at first.
const LIMIT: u64 = 4 << 20;
/// Lengths of values. When the shortest has no room, nothing has.
const LENGTHS: [usize; 3] = [60_000, 4_000, 16];

fn with_room(bytes: u64) -> ServerOptions {
    ServerOptions { max_file_store: Some(bytes), ..always() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_jetstream_refuses_clearly_loses_nothing_and_goes_on_when_there_is_room() {
    let nats = one(with_room(LIMIT)).await;
    let plan = node(&nats.urls());
    let key = plan.first_key().await;
    let server = plan.start().await;
    let api = Api::new(&server.api, &key);
    let gate = Arc::new(Notify::new());
    let _worker = worker(&api, &server, gate.clone()).await;
    let event = api.emit("order.placed", json!({})).await;
    api.run_with("order", "running").await;
    let kept = fill(&api).await;
    everything_that_would_be_stored_is_refused(&api).await;
    what_is_there_can_be_read(&api, &kept).await;
    // The run ends at a time at which its end cannot be stored.
    gate.notify_one();
    make_room(&nats).await;
    let runs = api.runs_of(&event).await;
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("completed")), "{runs:?}");
    everything_is_there_and_it_goes_on(&api, &kept).await;
    server.stop().await;
}

async fn worker(api: &Api, server: &Server, gate: Arc<Notify>) -> WorkerHandle {
    let body = json!({ "role": "runtime", "environment": "default", "secrets": ["*"] });
    let created = api.with(Method::POST, "/v1/api-keys", &body).await;
    let function = Function::new("order").on("order.placed").handler(move |_| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            Ok(json!("placed"))
        }
    });
    let worker = Worker::new().url(&server.api).api_key(created["key"].as_str().expect("a key")).function(function);
    worker.start().await.expect("a worker")
}

fn path(name: &str) -> String {
    format!("/v1/environments/default/secrets/{name}")
}

async fn set(api: &Api, name: &str, length: usize) -> (StatusCode, Value) {
    api.answer(api.request(Method::PUT, &path(name)).json(&json!({ "value": "x".repeat(length) }))).await
}

/// Sets secrets, long ones and then shorter ones, until each is refused; answers the names of the others.
async fn fill(api: &Api) -> Vec<String> {
    let mut kept = Vec::new();
    for length in LENGTHS {
        loop {
            let name = format!("KEY_{}", kept.len());
            let (status, answer) = set(api, &name, length).await;
            if !status.is_success() {
                is_full(status, &answer);
                break;
            }
            kept.push(name);
            assert!(kept.len() < 1_000, "the limit is reached");
        }
    }
    assert!(kept.len() > 10, "{}", kept.len());
    kept
}

fn is_full(status: StatusCode, answer: &Value) {
    assert_eq!((status, &answer["code"]), (StatusCode::INSUFFICIENT_STORAGE, &json!("store_full")), "{answer}");
    assert_eq!(answer["hint"], "make room on the server's disk; nothing was stored", "{answer}");
}

async fn everything_that_would_be_stored_is_refused(api: &Api) {
    let event = json!({ "name": "order.placed", "data": "x".repeat(LENGTHS[1]) });
    let (status, answer) = api.answer(api.request(Method::POST, "/v1/environments/default/events").json(&event)).await;
    is_full(status, &answer);
    let (status, answer) = set(api, "ONE_MORE", LENGTHS[2]).await;
    is_full(status, &answer);
    // It goes on with what needs no room, and says what is wrong.
    let ready = api.get("/readyz").await;
    assert_eq!(ready["status"], "ready", "{ready}");
    assert!(ready["warnings"].to_string().contains("the last write failed: "), "{ready}");
}

async fn what_is_there_can_be_read(api: &Api, kept: &[String]) {
    for name in kept {
        assert_eq!(api.get(&path(name)).await["version"], 1);
    }
    let (status, answer) = api.answer(api.request(Method::GET, &path("ONE_MORE"))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("secret_not_found")), "{answer}");
}

async fn make_room(nats: &NatsServer) {
    nats.configure(&with_room(4 * LIMIT)).expect("a configuration");
    nats.restart().await.expect("a NATS server that comes back");
    nats.ready().await.expect("a NATS server that is ready");
}

async fn everything_is_there_and_it_goes_on(api: &Api, kept: &[String]) {
    eventually("it goes on", || async { set(api, "ONE_MORE", LENGTHS[0]).await.0.is_success().then_some(()) }).await;
    for name in kept.iter().map(String::as_str).chain(["ONE_MORE"]) {
        let secret = api.get(&format!("{}?consistency=strong", path(name))).await;
        assert_eq!(secret["version"], 1, "{secret}");
    }
    let ready = api.get("/readyz").await;
    assert!(!ready["warnings"].to_string().contains("the last write failed"), "{ready}");
}
