use serde_json::{Value, json};

use crate::support::{Answer, House};

const CANARY: &str = "canary-e41b";
const ONE: &str = "/v1/environments/default/secrets/A";
const EVENTS: &str = "/v1/environments/default/events";

fn bodies() -> Vec<(&'static str, &'static str)> {
    vec![
        ("PUT", ONE),
        ("POST", EVENTS),
        ("POST", "/v1/environments"),
        ("POST", "/v1/api-keys"),
        ("POST", "/v1/environments/default/spaces"),
        ("PATCH", "/v1/environments/default/spaces/acme"),
        ("PUT", "/v1/environments/default/spaces/acme/secrets/A"),
        ("POST", "/v1/environments/default/runs/run_00000000000000000000000000000000/cancel"),
    ]
}

fn assert_silent(answer: &Answer) {
    let all = format!("{answer:?}");
    assert!(!all.contains(CANARY), "{all}");
}

#[tokio::test]
async fn malformed_json_is_refused_by_position_and_never_repeated() {
    let house = House::open().await;
    let admin = house.admin().await;
    for (method, path) in bodies() {
        for body in [
            format!("{{\"value\": \"{CANARY}"),
            format!("{{\"value\": {CANARY}}}"),
            format!("{{{CANARY}: 1}}"),
            CANARY.to_owned(),
            format!("{{\"name\": \"a\"}} {CANARY}"),
            format!("{{\"name\": \"{CANARY}\u{1}\"}}"),
            format!("{{\"name\": \"\\x{CANARY}\"}}"),
            format!("[\"{CANARY}\""),
            "[".repeat(100_000),
        ] {
            let answer = admin.send(admin.request(method, path).body(body.clone())).await;
            let shown = body.chars().take(40).collect::<String>();
            assert_eq!(answer.status, 400, "{method} {path} {shown}: {answer:?}");
            assert!(matches!(answer.code().as_str(), "invalid_json" | "invalid_request"), "{shown}");
            assert!(!body.starts_with('[') || answer.code() == "invalid_json", "{method} {path} {shown}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("line 1"), "{detail}");
            assert_silent(&answer);
        }
    }
}

#[tokio::test]
async fn members_of_other_types_and_unknown_members_are_refused_without_their_names() {
    let house = House::open().await;
    let admin = house.admin().await;
    for (method, path) in bodies() {
        for body in [
            json!({(CANARY): 1, "name": "a", "value": "some-value", "role": "viewer", "environment": "default"}),
            json!({"name": [CANARY], "value": {(CANARY): 1}, "role": 7, "reason": [CANARY]}),
            json!([CANARY]),
            json!(CANARY),
            json!(7),
        ] {
            let answer = admin.send(admin.request(method, path).json(&body)).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_request".to_owned()), "{method} {path} {body}");
            assert_silent(&answer);
        }
    }
    let answer = admin.put(ONE, &json!({"description": CANARY})).await;
    assert_eq!(answer.json()["detail"], "the request's body has no member `value`");
}

#[tokio::test]
async fn values_have_a_limit_of_64_kib() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.set("A", &"x".repeat(64 * 1024)).await.status, 201);
    // The most that 64 KiB take in JSON.
    assert_eq!(admin.set("A", &"\u{1}".repeat(64 * 1024)).await.status, 200);
    let answer = admin.set("A", &format!("{CANARY}{}", "x".repeat(64 * 1024))).await;
    assert_eq!((answer.status, answer.code()), (413, "value_too_large".to_owned()));
    assert_silent(&answer);
    assert_eq!(admin.get(ONE).await.json()["version"], 2);
}

#[tokio::test]
async fn bodies_have_a_limit_announced_or_not() {
    let house = House::open().await;
    let admin = house.admin().await;
    let huge = format!("{{\"value\": \"{CANARY}{}\"}}", "x".repeat(1024 * 1024));
    let answer = admin.send(admin.request("PUT", ONE).body(huge.clone())).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));
    assert_silent(&answer);
    let chunks = huge.as_bytes().chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    let answer = admin.send(admin.request("PUT", ONE).body(stream)).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));
    assert_silent(&answer);
}

#[tokio::test]
async fn nobody_gets_a_body_read_without_a_key() {
    let house = House::open().await;
    let nobody = house.nobody();
    let answer = nobody.send(nobody.request("PUT", ONE).body(format!("{{{CANARY}"))).await;
    assert_eq!(answer.code(), "unauthenticated");
}

#[tokio::test]
async fn events_that_break_a_rule_are_refused() {
    let house = House::open().await;
    let admin = house.admin().await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (body, status, code) in [
        (json!({"name": "system.secret.A.updated"}).to_string(), 400, "reserved_event_name"),
        (json!({"name": format!("a b {CANARY}")}).to_string(), 400, "invalid_name"),
        (json!({"name": "a", "id": format!("x y {CANARY}")}).to_string(), 400, "invalid_request"),
        (json!({"name": "a", "data": "x".repeat(256 * 1024)}).to_string(), 413, "event_too_large"),
        (format!("{{\"name\": \"a\", \"data\": {deep}}}"), 400, "invalid_request"),
    ] {
        let answer = admin.send(admin.request("POST", EVENTS).body(body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert_silent(&answer);
    }
}

#[tokio::test]
async fn queries_that_break_a_rule_are_refused() {
    let house = House::open().await;
    let admin = house.admin().await;
    let base = "/v1/environments/default";
    for (path, code) in [
        ("/secrets?limit=many", "invalid_request"),
        ("/secrets?limit=-1", "invalid_request"),
        ("/secrets?limt=5", "invalid_request"),
        ("/secrets?limit=1&limit=2", "invalid_request"),
        ("/secrets?consistency=stronger", "invalid_request"),
        ("/secrets?consistency=", "invalid_request"),
        ("/secrets/A?consistency=Strong", "invalid_request"),
        ("/secrets/A?consistency=strong&consistency=strong", "invalid_request"),
        ("/runs?status=walking", "invalid_request"),
        ("/runs?after=%2e%2e%2f", "invalid_cursor"),
        ("/audit?after=abc", "invalid_cursor"),
        ("/events/e/runs?waitMs=60001", "invalid_request"),
        ("/events/e/runs?revision=x", "invalid_request"),
        ("/events/e/runs?space=", "invalid_name"),
        ("/subscribe", "invalid_request"),
        ("/subscribe?pattern=a..b", "invalid_pattern"),
        ("/subscribe?pattern=a&space=", "invalid_name"),
        ("/spaces?limit=0", "invalid_request"),
        ("/spaces?metadata=1", "invalid_request"),
        ("/spaces/canary-e41b/secrets", "space_not_found"),
        ("/subscribe?pattern=a&after=abc", "invalid_cursor"),
        ("/runs/run_1", "run_not_found"),
        ("/runs/canary-e41b", "run_not_found"),
    ] {
        let answer = admin.get(&format!("{base}{path}")).await;
        assert_eq!(answer.code(), code, "{path}");
        assert_silent(&answer);
    }
}

#[tokio::test]
async fn only_this_machine_may_be_named_as_host() {
    let house = House::open().await;
    let port = house.address.port();
    let get = |host: String| format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(house.raw(&get(host)).await.0, 200);
    }
    for host in
        ["evil.example".to_owned(), format!("evil.example:{port}"), "localhost:1".to_owned(), "localhost".to_owned()]
    {
        let (status, body) = house.raw(&get(host)).await;
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_request")));
        assert!(!body.contains("evil"));
    }
    let (status, _) = house.raw("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(status, 400);
}
