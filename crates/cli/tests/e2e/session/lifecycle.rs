//! Workers and servers that stop, and come back.

use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    steps::{id, only},
    workers::{Running, Sdk},
};
use crate::support::{Answer, FakeStripe, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_finishes_its_run_first() {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let api = server.admin();
    let worker = Sdk::Node.start(&server, stripe.url()).await;
    let Running::Node(mut worker) = worker else { panic!("{worker:?}") };
    stripe.script([Answer::Hold]);
    let first = api.emit("test.slow", Value::Null).await;
    stripe.asked(1).await;
    worker.process.signal(Signal::TERM);
    worker.process.stderr.line("SIGTERM").await;
    let second = api.emit("test.slow", Value::Null).await;
    stripe.release();
    let finished = only(api.runs_of(&first).await);
    assert_eq!((&finished["status"], &finished["result"]), (&json!("completed"), &json!("ch_1")), "{finished}");
    assert!(worker.process.ended().await.success());
    assert_eq!(stripe.requests().len(), 1, "a draining worker takes no other run");
    // The other run waits for another worker.
    let _other = Sdk::Rust.start(&server, stripe.url()).await;
    assert_eq!(only(api.runs_of(&second).await)["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_to_its_worker_in_typescript() {
    a_killed_server_comes_back(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_to_its_worker_in_rust() {
    a_killed_server_comes_back(Sdk::Rust).await;
}

async fn a_killed_server_comes_back(sdk: Sdk) {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let (api, cli) = (server.admin(), server.cli());
    let _worker = sdk.start(&server, stripe.url()).await;
    let subscribed = cli.spawn(&["subscribe", "test.>"]);
    subscribed.stderr.line("subscribed").await;
    stripe.script([Answer::Hold]);
    let interrupted = api.emit("test.slow", Value::Null).await;
    stripe.asked(1).await;
    let waiting = api.emit("test.approval", json!({ "order": 1 })).await;
    api.run_with("approval", "waiting").await;

    let server = server.kill().await.start().await;
    let run = only(api.runs_of(&interrupted).await);
    assert_eq!((&run["status"], &run["result"]), (&json!("completed"), &json!("ch_1")), "{run}");
    let keys: Vec<_> =
        stripe.requests().iter().map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, vec![Some(format!("{}-charge", id(&run))); 2], "the step had no result, so it ran again");

    api.emit("test.approved.now", json!({ "order": 1, "by": "ada" })).await;
    assert_eq!(only(api.runs_of(&waiting).await)["result"]["by"], "ada");
    subscribed.stdout.line("test.approved.now").await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_in_time_with_runs_in_flight() {
    const RUNS: usize = 5;
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let (api, cli) = (server.admin(), server.cli());
    let _workers = tokio::join!(Sdk::Node.start(&server, stripe.url()), Sdk::Rust.start(&server, stripe.url()));
    let subscribed = cli.spawn(&["subscribe", ">"]);
    subscribed.stderr.line("subscribed").await;
    stripe.script(vec![Answer::Hold; RUNS]);
    let mut events = Vec::new();
    for _ in 0..RUNS {
        events.push(api.emit("test.slow", Value::Null).await);
    }
    stripe.asked(RUNS).await;
    let (id, revision) = (id(&events[0]), &events[0]["revision"]);
    let path = format!("/v1/environments/default/events/{id}/runs?revision={revision}&waitMs=60000");
    let long_poll = tokio::spawn(api.request(Method::GET, &path).send());

    let (plan, took) = server.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    // With an answer if it had arrived, and broken off if it was still under way.
    let _ = long_poll.await.expect("a request that has ended");

    let server = plan.start().await;
    stripe.release();
    for event in &events {
        let run = only(api.runs_of(event).await);
        assert_eq!(run["status"], "completed", "{run}");
    }
    // The subscription has come back, too.
    api.emit("test.last", Value::Null).await;
    subscribed.stdout.line("test.last").await;
    drop(server);
}
