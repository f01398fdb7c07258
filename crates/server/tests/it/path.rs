use claviger_core::Role;
use serde_json::Value;

use crate::support::House;

#[tokio::test]
async fn names_in_the_path_are_decoded_exactly_once() {
    let house = House::open().await;
    let admin = house.admin().await;
    for (written, name) in
        [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a+b", "a+b"), ("%E2%82%AC", "€"), ("a%3Fb%23c", "a?b#c")]
    {
        let answer = admin.set(written, "some-value").await;
        assert_eq!((answer.status, answer.json()["name"].as_str()), (201, Some(name)), "{written}");
        let got = admin.get(&format!("/v1/environments/default/secrets/{written}")).await;
        assert_eq!(got.json()["name"].as_str(), Some(name));
    }
}

#[tokio::test]
async fn names_that_break_the_rule_are_refused_whatever_their_spelling() {
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    for written in [
        "%2e%2e",
        "%2E",
        "a%00b",
        "%C0%AF",
        "%FF",
        "%ED%A0%80",
        "a%0Ab",
        "%20a",
        "e%CC%81",
        "%E2%80%AEx",
        &"x".repeat(1025),
    ] {
        let path = format!("/v1/environments/default/secrets/{written}");
        let (status, body) = house.raw_path("GET", &path, &key).await;
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_name")), "{written}");
    }
}

#[tokio::test]
async fn dots_do_not_lead_out_of_an_environment() {
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    for path in
        ["/v1/environments/default/secrets/../../other/secrets", "/v1/environments/default/secrets/..", "/v1//caller"]
    {
        let (status, body) = house.raw_path("GET", path, &key).await;
        assert!(matches!(status, 400 | 404), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn routes_and_methods_that_do_not_exist_are_problems_too() {
    let house = House::open().await;
    let admin = house.admin().await;
    for path in ["/", "/v1", "/v2/caller", "/v1/environments/default/secrets/", "/admin", "/v1/caller/"] {
        let answer = admin.get(path).await;
        assert_eq!((answer.status, answer.code()), (404, "route_not_found".to_owned()), "{path}");
    }
    for (method, path) in
        [("POST", "/healthz"), ("PATCH", "/v1/environments/default/secrets/A"), ("DELETE", "/v1/caller")]
    {
        let answer = admin.send(admin.request(method, path)).await;
        assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert!(answer.header("allow").unwrap().contains(if path.ends_with('A') { "PUT" } else { "GET" }));
    }
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_sane() {
    let house = House::open().await;
    let nobody = house.nobody();
    let kept = nobody.send(nobody.request("GET", "/healthz").header("x-request-id", "abc-1")).await;
    assert_eq!(kept.header("x-request-id"), Some("abc-1"));
    let replaced = nobody.send(nobody.request("GET", "/healthz").header("x-request-id", "clv_default_canary")).await;
    assert!(replaced.header("x-request-id").unwrap().starts_with("req_"));
}
