//! Nodes that start together on an empty store.

use reqwest::Method;
use serde_json::json;

use super::rig::{node, three};
use crate::support::Api;

/// Of so many that try at once, one makes the first key.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_on_an_empty_store_agree() {
    let nats = three().await;
    let (first, second) = (node(&nats.urls()), node(&nats.urls()));
    let (a, b) = tokio::join!(first.start(), second.start());
    let admin = the_first_admin_key_is_made_once(&nats.urls()).await;
    let (on_a, on_b) = (Api::new(&a.api, &admin), Api::new(&b.api, &admin));
    let set = on_a.set("STRIPE_KEY", "sk_live_together").await;
    let seen = on_b.get("/v1/environments/default/secrets/STRIPE_KEY?consistency=strong").await;
    assert_eq!(set["revision"], seen["revision"], "{set} {seen}");
    let environments = on_b.get("/v1/environments").await;
    assert_eq!(environments["items"].as_array().map(Vec::len), Some(1), "{environments}");
    // What one makes the other has, too.
    on_b.with(Method::POST, "/v1/environments", &json!({ "name": "staging" })).await;
    let body = json!({ "value": "sk_test_together" });
    let created = on_a.with(Method::PUT, "/v1/environments/staging/secrets/STRIPE_KEY", &body).await;
    assert_eq!(created["version"], 1);
    a.stop().await;
    b.stop().await;
}

async fn the_first_admin_key_is_made_once(urls: &[String]) -> String {
    let mut tries: Vec<_> = (0..TRIES).map(|_| node(urls).bootstrap()).collect();
    let mut keys = Vec::new();
    for process in &mut tries {
        match process.ended().await.code() {
            Some(0) => keys.push(process.stdout.text().trim_end().to_owned()),
            Some(5) => assert!(process.stderr.text().contains("there is an admin key already"), "{:?}", process.stderr),
            other => panic!("{other:?}: {:?}", process.stderr),
        }
    }
    assert_eq!(keys.len(), 1, "{tries:?}");
    keys.remove(0)
}
