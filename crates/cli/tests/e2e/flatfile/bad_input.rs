//! Hostile ids, wrong keys, servers without the adapter.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::clients::{Clients, Stage};
use crate::support::{Api, Server, ServerPlan};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_ids_say_nothing() {
    let mut stage = Stage::set().await;
    stage.set_secret(None, "TOKEN", "canary-of-the-environment").await;
    for id in [
        "us_sp_a&b=c d/ü",
        "us_sp_a#rest",
        "../../../etc/passwd",
        "' OR 1=1 --",
        "%00%ff",
        "us_env_00000000",
        "flatfile:environment",
        "😀",
        &"x".repeat(4_000),
    ] {
        let mut event = stage.event(Some(id));
        assert_eq!(stage.runtime.secret(&event, "TOKEN").await, Ok("canary-of-the-environment".to_owned()), "{id}");
        event["context"]["spaceId"] = json!(null);
        event["context"]["actorId"] = json!(id);
        assert_eq!(stage.runtime.secret(&event, "TOKEN").await, Ok("canary-of-the-environment".to_owned()), "{id}");
    }
    for id in ["a/b c", "us_sec_YOUR_ID", "..", "%2e%2e", "😀", "us_sec_000000000000000000000000"] {
        let (name, status, _) = stage.operator.refused("secrets.delete", json!([id])).await;
        assert_eq!((&*name, status), ("NotFoundError", json!(404)), "{id}");
    }
    let mut event = stage.event(None);
    event["context"]["environmentId"] = json!("us_env_x&environmentId=us_env_y");
    assert!(stage.runtime.secret(&event, "TOKEN").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_gets_nothing_in_the_clients_form() {
    let mut stage = Stage::set().await;
    stage.set_secret(None, "TOKEN", "canary-of-the-environment").await;
    let revoked = stage.server.runtime_key().replace(char::is_numeric, "7");
    for key in ["sk_test_123456", &*revoked] {
        let mut clients = Clients::start(&stage.server, key);
        let (name, status, _) = clients.refused("secrets.list", json!([{ "environmentId": stage.environment }])).await;
        assert_eq!((&*name, status), ("FlatfileError", json!(401)));
        assert_eq!(clients.secret(&stage.event(None), "TOKEN").await, Err("Secret TOKEN not found".to_owned()));
        assert!(clients.stderr.text().contains("Status: 401"), "{:?}", clients.stderr);
    }
    let nobody = Api::new(&stage.server.api, "");
    for path in ["/flatfile/v1/secrets", "/flatfile/api/v1/environments", "/flatfile/nowhere", "/flatfile"] {
        let response = nobody.send(nobody.request(Method::GET, path)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("x-request-id") && response.headers().contains_key("www-authenticate"));
    }
    let query = nobody.send(nobody.request(Method::GET, "/flatfile/v1/secrets?api_key=clv_x")).await;
    assert_eq!(
        (query.status(), &query.headers()["content-type"]),
        (StatusCode::BAD_REQUEST, &"application/json".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_is_on_in_development_and_by_configuration() {
    let off = ServerPlan::dev().variable("CLAVIGER_FLATFILE__ENABLED", "false").start().await;
    assert_eq!(status(&off, &off.admin_key()).await, StatusCode::NOT_FOUND);
    let master = "07".repeat(32);
    let plan = || ServerPlan::start_mode().variable("CLAVIGER_MASTER_KEY", master.clone());
    let plain = plan();
    let key = plain.first_key().await;
    assert_eq!(status(&plain.start().await, &key).await, StatusCode::NOT_FOUND);
    let configured = plan();
    let key = configured.first_key().await;
    let file = configured.home().join("config.toml");
    std::fs::write(&file, "[flatfile]\nenabled = true\n").expect("a file");
    let server = configured.argument("--config").argument(file).start().await;
    assert_eq!(status(&server, &key).await, StatusCode::OK);
}

async fn status(server: &Server, key: &str) -> StatusCode {
    let api = Api::new(&server.api, key);
    api.answer(api.request(Method::GET, "/flatfile/v1/environments")).await.0
}
