//! Streams that are gone: under a node that serves, and at a start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use claviger_testbed::NatsServer;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{always, node, one};
use crate::support::{Api, ServerPlan, eventually};

const SECRETS: &str = "KV_claviger_secrets";
const STRIPE_KEY: &str = "/v1/environments/default/secrets/STRIPE_KEY";

async fn delete(nats: &NatsServer, stream: &str) {
    nats.jetstream(&format!("STREAM.DELETE.{stream}"), &Value::Null).await.expect("a stream that can be deleted");
}

async fn streams(nats: &NatsServer) -> Vec<String> {
    let names = nats.jetstream("STREAM.NAMES", &json!({})).await.expect("names of streams");
    names["streams"].as_array().expect("names").iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_under_a_node_is_a_loss_until_it_is_restored() {
    let nats = one(always()).await;
    let plan = node(&nats.urls());
    let key = plan.first_key().await;
    let server = plan.start().await;
    let api = Api::new(&server.api, &key);
    let set = api.set("STRIPE_KEY", "sk_live_123").await;
    nats.kill();
    // Of this stream alone: the others go on meanwhile, and would lose what the server has seen of them.
    let (stored, copied) = (stream_directory(&nats, SECRETS), plan.home().join("copy"));
    copy(&stored, &copied);
    nats.restart().await.expect("a NATS server that comes back");
    let read = || async { api.answer(api.request(Method::GET, STRIPE_KEY)).await };
    eventually("it reads again", || async { read().await.0.is_success().then_some(()) }).await;

    delete(&nats, SECRETS).await;
    let is_lost = || async {
        let (status, answer) = read().await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{answer}");
        (answer["code"] == "records_lost").then_some(())
    };
    eventually("the loss is noticed", is_lost).await;
    everything_about_secrets_is_refused(&api).await;
    let (status, ready) = api.answer(api.request(Method::GET, "/readyz")).await;
    assert_eq!((status, &ready["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")), "{ready}");
    assert!(!streams(&nats).await.contains(&SECRETS.to_owned()), "it is not made anew");

    nats.kill();
    copy(&copied, &stored);
    nats.restart().await.expect("a NATS server that comes back");
    eventually("it is served again", || async { read().await.0.is_success().then_some(()) }).await;
    let secret = eventually("strong reads, too", || async {
        let (status, secret) = api.answer(api.request(Method::GET, &format!("{STRIPE_KEY}?consistency=strong"))).await;
        status.is_success().then_some(secret)
    });
    assert_eq!(secret.await["revision"], set["revision"]);
    assert_eq!(api.set("STRIPE_KEY", "sk_live_456").await["version"], 2);
    server.stop().await;
}

/// Where NATS keeps a stream of the account that everybody has.
fn stream_directory(nats: &NatsServer, stream: &str) -> PathBuf {
    nats.store().join("jetstream/$G/streams").join(stream)
}

async fn everything_about_secrets_is_refused(api: &Api) {
    let body = json!({ "value": "sk_live_456" });
    let requests = [
        api.request(Method::PUT, STRIPE_KEY).json(&body),
        api.request(Method::DELETE, STRIPE_KEY),
        api.request(Method::GET, &format!("{STRIPE_KEY}?consistency=strong")),
        api.request(Method::GET, "/v1/environments/default/secrets/NEVER_SET"),
        api.request(Method::GET, "/v1/environments/default/secrets?consistency=strong"),
    ];
    for request in requests {
        let (status, answer) = api.answer(request).await;
        assert_eq!((status.as_u16(), &answer["code"]), (500, &json!("records_lost")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_without_a_stream_that_was_there() {
    for stream in [SECRETS, "claviger_keyring"] {
        let nats = one(always()).await;
        let plan = node(&nats.urls());
        let key = plan.first_key().await;
        let server = plan.start().await;
        Api::new(&server.api, &key).set("STRIPE_KEY", "sk_live_123").await;
        server.stop().await;
        delete(&nats, stream).await;
        let before = streams(&nats).await;
        is_refused(&plan, stream).await;
        // Nor does one that has never been there, nor is a key made.
        let newcomer = node(&nats.urls());
        is_refused(&newcomer, stream).await;
        let mut bootstrap = newcomer.bootstrap();
        assert_eq!(bootstrap.ended().await.code(), Some(1), "{:?}", bootstrap.stderr);
        assert_eq!(streams(&nats).await, before, "nothing was made");
    }
}

async fn is_refused(plan: &ServerPlan, stream: &str) {
    let (status, said) = plan.refused().await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("(records_lost)") && said.contains(&format!("`{stream}`")), "{said}");
    assert!(said.contains("hint: restore the stream"), "{said}");
}
