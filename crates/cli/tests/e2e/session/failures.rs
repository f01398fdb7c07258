//! Failed attempts and cancelled runs, with workers of both SDKs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    steps::{id, only},
    workers::Sdk,
};
use crate::support::{Answer, Api, FakeStripe, Server};

#[tokio::test(flavor = "multi_thread")]
async fn failures_end_as_designed_from_typescript() {
    failures(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_end_as_designed_from_rust() {
    failures(Sdk::Rust).await;
}

async fn failures(sdk: Sdk) {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let _worker = sdk.start(&server, stripe.url()).await;
    let api = server.admin();
    a_retry_keeps_finished_steps(&api, &stripe).await;
    the_last_attempt_fails_the_run(&api).await;
    what_cannot_be_retried_fails_at_once(&api).await;
    a_run_is_cancelled_while_its_step_runs(&api, &stripe).await;
}

async fn a_retry_keeps_finished_steps(api: &Api, stripe: &FakeStripe) {
    // The first attempt fails before its step has a result, the second and the third find it.
    stripe.script([Answer::Status(503)]);
    let run = only(api.emit_and_wait("test.flaky", Value::Null).await);
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["result"], json!({ "first": "ch_1", "attempt": 3 }), "{run}");
    let key = format!("{}-charge", id(&run));
    let keys: Vec<_> =
        stripe.requests().iter().filter_map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, [key.clone(), key], "once refused, once charged, never again");
}

async fn the_last_attempt_fails_the_run(api: &Api) {
    let run = only(api.emit_and_wait("test.tired", Value::Null).await);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("failed"), &json!(3)), "{run}");
    assert_eq!(run["error"]["message"], "attempt 3", "{run}");
}

async fn what_cannot_be_retried_fails_at_once(api: &Api) {
    let run = only(api.emit_and_wait("test.hopeless", Value::Null).await);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("failed"), &json!(1)), "{run}");
}

async fn a_run_is_cancelled_while_its_step_runs(api: &Api, stripe: &FakeStripe) {
    stripe.script([Answer::Hold]);
    let asked = stripe.requests().len();
    let event = api.emit("test.slow", Value::Null).await;
    stripe.asked(asked + 1).await;
    let running = api.run_with("slow", "running").await;
    let path = format!("/v1/environments/default/runs/{}/cancel", id(&running));
    let cancelled = api.with(Method::POST, &path, &json!({ "reason": "sent twice" })).await;
    assert_eq!(cancelled["status"], "cancelled");
    stripe.release();
    let run = only(api.runs_of(&event).await);
    assert_eq!(run["status"], "cancelled", "{run}");
    assert_eq!(run["cancelled"]["reason"], "sent twice", "{run}");
    assert_eq!(run["result"], Value::Null, "{run}");
    let (status, problem) = api.answer(api.request(Method::POST, &path)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("run_already_ended")));
    // The worker goes on with other runs.
    let run = only(api.emit_and_wait("test.slow", Value::Null).await);
    assert_eq!(run["status"], "completed", "{run}");
}
