//! What is not served, in the protocol's form.

use axum::body::Body;
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn there_are_no_agents() {
    let house = House::open().await;
    assert_eq!(house.as_runtime().get("/v1/agents?environmentId=us_env_x").await.data(), &json!([]));
    let agent = Body::from(vec![b'x'; 1_500_000]);
    let refused = house.as_operator().send("POST", "/v1/agents?environmentId=us_env_x", agent).await;
    assert_eq!(refused.refusal(), (400, "agents"));
    assert!(refused.body.to_string().contains("not supported"));
}

#[tokio::test]
async fn there_is_no_push() {
    let house = House::open().await;
    for path in ["/v1/subscription?scope=us_env_x", "/api/v1/environments/subscription-token?environmentId=us_env_x"] {
        assert_eq!(house.as_runtime().get(path).await.refusal(), (400, "subscription"));
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_have_their_answer() {
    let house = House::open().await;
    for (method, path, status) in [
        ("GET", "/v1/workbooks", 404),
        ("GET", "/v2/subscribe/a/b/0", 404),
        ("GET", "/", 404),
        ("PUT", "/v1/secrets", 405),
        ("GET", "/v1/secrets/us_sec_YOUR_ID", 405),
        ("DELETE", "/api/v1/agents", 405),
    ] {
        assert_eq!(house.as_operator().send(method, path, Body::empty()).await.refusal().0, status, "{method} {path}");
    }
}

#[tokio::test]
async fn bodies_out_of_form_are_refused_without_what_stands_in_them() {
    let house = House::open().await;
    for body in [
        "",
        "{",
        "null",
        "\"canary-x\"",
        "{\"nam\":\"canary-x\",\"value\":7}",
        "{\"name\":[\"canary-x\"]}",
        "{\"canary-x\"",
        "[1]",
    ] {
        for path in ["/v1/secrets", "/v1/spaces", "/v1/environments", "/v1/events"] {
            let refused = house.as_admin().send("POST", path, Body::from(body)).await;
            assert_eq!(refused.refusal().0, 400, "{path} {body}");
            assert!(!refused.body.to_string().contains("canary"), "{refused:?}");
        }
    }
    let refused = house.as_admin().send("POST", "/v1/secrets", Body::from(vec![b' '; 2_000_000])).await;
    assert_eq!(refused.refusal(), (413, "body"));
}
