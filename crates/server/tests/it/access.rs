use std::time::Duration;

use claviger_core::{Bounds, Role};
use claviger_engine::access::{NewApiKey, system_caller};
use serde_json::{Value, json};

use crate::support::{Answer, Client, House};

/// A route, what is sent, and the status for each role, mightiest first.
type Row = (&'static str, &'static str, Value, [u16; 5]);

const NO_RUN: &str = "/v1/environments/{env}/runs/run_00000000000000000000000000000000";

/// Every route that needs a key. `{role}` is another name for each role, `{env}` an environment, `{space}` a space of it.
fn routes() -> Vec<Row> {
    vec![
        ("GET", "/v1/caller", Value::Null, [200; 5]),
        ("GET", "/v1/environments", Value::Null, [200, 200, 200, 200, 403]),
        ("POST", "/v1/environments", json!({"name": "new-{role}"}), [201, 403, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/secrets", Value::Null, [200, 200, 403, 200, 403]),
        ("PUT", "/v1/environments/{env}/secrets/K-{role}", json!({"value": "some-value"}), [201, 201, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/secrets/K-admin", Value::Null, [200, 200, 403, 200, 403]),
        ("DELETE", "/v1/environments/{env}/secrets/K-{role}", Value::Null, [200, 200, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/secrets/K-admin/explanation", Value::Null, [200, 200, 403, 200, 403]),
        ("GET", "/v1/environments/{env}/spaces", Value::Null, [200, 200, 200, 200, 403]),
        ("POST", "/v1/environments/{env}/spaces", json!({"name": "new-{role}"}), [201, 201, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/spaces/{space}", Value::Null, [200, 200, 200, 200, 403]),
        ("PATCH", "/v1/environments/{env}/spaces/{space}", json!({"metadata": {}}), [200, 200, 403, 403, 403]),
        ("DELETE", "/v1/environments/{env}/spaces/new-{role}", Value::Null, [200, 200, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/spaces/{space}/secrets", Value::Null, [200, 200, 403, 200, 403]),
        (
            "PUT",
            "/v1/environments/{env}/spaces/{space}/secrets/S-{role}",
            json!({"value": "some-value"}),
            [201, 201, 403, 403, 403],
        ),
        ("GET", "/v1/environments/{env}/spaces/{space}/secrets/S-admin", Value::Null, [200, 200, 403, 200, 403]),
        (
            "GET",
            "/v1/environments/{env}/spaces/{space}/secrets/S-admin/explanation",
            Value::Null,
            [200, 200, 403, 200, 403],
        ),
        ("PUT", "/v1/environments/{env}/spaces/{space}/secrets/B-{role}/block", Value::Null, [200, 200, 403, 403, 403]),
        (
            "DELETE",
            "/v1/environments/{env}/spaces/{space}/secrets/B-{role}/block",
            Value::Null,
            [200, 200, 403, 403, 403],
        ),
        ("DELETE", "/v1/environments/{env}/spaces/{space}/secrets/S-{role}", Value::Null, [200, 200, 403, 403, 403]),
        ("POST", "/v1/environments/{env}/events", json!({"name": "news.one"}), [202, 202, 202, 403, 403]),
        ("GET", "/v1/environments/{env}/events/e1/runs", Value::Null, [200, 200, 403, 200, 403]),
        ("GET", "/v1/environments/{env}/subscribe?pattern=news.one", Value::Null, [200; 5]),
        ("GET", "/v1/environments/{env}/functions", Value::Null, [200, 200, 403, 200, 403]),
        ("GET", "/v1/environments/{env}/runs", Value::Null, [200, 200, 403, 200, 403]),
        ("GET", NO_RUN, Value::Null, [404, 404, 403, 404, 403]),
        (
            "POST",
            "/v1/environments/{env}/runs/run_00000000000000000000000000000000/cancel",
            json!({}),
            [404, 404, 403, 403, 403],
        ),
        ("GET", "/v1/api-keys", Value::Null, [200, 403, 403, 403, 403]),
        ("POST", "/v1/api-keys", json!({"role": "viewer", "environment": "default"}), [201, 403, 403, 403, 403]),
        ("DELETE", "/v1/api-keys/aaaaaaaa", Value::Null, [404, 403, 403, 403, 403]),
        ("GET", "/v1/environments/{env}/audit", Value::Null, [200, 200, 403, 403, 403]),
        ("GET", "/v1/worker", Value::Null, [403, 403, 400, 403, 403]),
    ]
}

/// Sends it and looks at the head only: an event stream has no end.
async fn status_of(client: &Client<'_>, method: &str, path: &str, body: &Value) -> u16 {
    let request = client.request(method, path);
    let request = if body.is_null() { request } else { request.json(body) };
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_role_may_what_the_table_says_and_nothing_else() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.post("/v1/environments/default/spaces", &json!({"name": "acme"})).await.status, 201);
    let mut clients = Vec::new();
    for role in Role::ALL {
        clients.push((role, house.client(role).await));
    }
    for (method, path, body, expected) in routes() {
        for ((role, client), expected) in clients.iter().zip(expected) {
            if method == "GET" && path.contains("K-admin") {
                assert!(admin.set("K-admin", "some-value").await.status < 300);
            }
            let fill = |text: &str| {
                text.replace("{role}", role.as_str()).replace("{env}", "default").replace("{space}", "acme")
            };
            let body: Value = serde_json::from_str(&fill(&body.to_string())).unwrap();
            if method == "DELETE" && path.contains("/secrets/K") {
                assert!(admin.set(&format!("K-{role}"), "some-value").await.status < 300);
            }
            let status = status_of(client, method, &fill(path), &body).await;
            assert_eq!(status, expected, "{role}: {method} {path}");
        }
    }
}

#[tokio::test]
async fn every_route_needs_a_key() {
    let house = House::open().await;
    for (method, path, body, _) in routes() {
        let nobody = house.nobody();
        let answer = nobody.send(nobody.request(method, &path.replace("{env}", "default")).json(&body)).await;
        assert_eq!((answer.status, answer.code()), (401, "unauthenticated".to_owned()), "{method} {path}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(house.nobody().get(path).await.status, 200, "{path}");
    }
}

/// The body without what tells requests apart.
fn without_id(answer: &Answer) -> Value {
    let mut problem = answer.json();
    problem.as_object_mut().unwrap().remove("requestId").unwrap();
    problem
}

#[tokio::test]
async fn a_foreign_environment_and_one_that_does_not_exist_look_the_same_on_every_route() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.post("/v1/environments", &json!({"name": "other"})).await.status, 201);
    let filled = admin.put("/v1/environments/other/secrets/K-admin", &json!({"value": "some-value"})).await;
    assert_eq!(filled.status, 201);
    assert_eq!(admin.post("/v1/environments/other/spaces", &json!({"name": "acme"})).await.status, 201);
    let mut clients = Vec::new();
    for role in [Role::Operator, Role::Runtime, Role::Viewer, Role::Subscriber] {
        clients.push((role, house.client(role).await));
    }
    let mut seen: Option<Value> = None;
    for (method, path, body, _) in routes().into_iter().filter(|(_, path, ..)| path.contains("{env}")) {
        for environment in ["other", "nowhere", "Default", "all", "x_y", "default%20", "%2a"] {
            for (role, client) in &clients {
                let path = path.replace("{env}", environment).replace("{space}", "acme");
                let request = client.request(method, &path);
                let request = if body.is_null() { request } else { request.json(&body) };
                let answer = client.send(request).await;
                assert_eq!((answer.status, answer.code()), (404, "environment_not_found".to_owned()));
                let problem = without_id(&answer);
                assert_eq!(seen.get_or_insert(problem.clone()), &problem, "{role}: {method} {path} {environment}");
            }
        }
    }
}

#[tokio::test]
async fn a_foreign_space_and_one_that_does_not_exist_look_the_same_on_every_route() {
    let house = House::open().await;
    let admin = house.admin().await;
    for (environment, space) in [("default", "acme"), ("default", "own")] {
        let path = format!("/v1/environments/{environment}/spaces");
        assert_eq!(admin.post(&path, &json!({"name": space})).await.status, 201);
    }
    let narrowed =
        Bounds { secrets: vec!["*".to_owned()], spaces: Some(vec!["own".parse().unwrap()]), ..Bounds::default() };
    let narrowed = house.client_with(&house.key_with(Role::Runtime, narrowed).await);
    let mut clients = vec![(2, narrowed, "acme")];
    for (place, role) in [(0, Role::Admin), (1, Role::Operator), (2, Role::Runtime), (3, Role::Viewer)] {
        clients.push((place, house.client(role).await, "nowhere"));
    }
    let mut seen: Option<Value> = None;
    let emit = (
        "POST",
        "/v1/environments/{env}/events",
        json!({"name": "news.one", "space": "{space}"}),
        [202, 202, 202, 403, 403],
    );
    let of_spaces = routes().into_iter().filter(|(_, path, ..)| path.contains("{space}")).chain([emit]);
    for (method, path, body, permitted) in of_spaces {
        for (place, client, foreign) in clients.iter().filter(|(place, ..)| permitted[*place] < 300) {
            // In a body it has to be a name; in a path what is none does not exist.
            let odd = ["a%20b", "%E2%82%AC", "a%2Fb%3Ac", "own%20", "e%CC%81", "a%0Ab", &"x".repeat(201)];
            let odd = odd.iter().filter(|_| path.contains("{space}"));
            for space in [foreign, "Acme", "acme2"].iter().chain(odd) {
                let fill =
                    |text: &str| text.replace("{env}", "default").replace("{space}", space).replace("{role}", "x");
                let request = client.request(method, &fill(path));
                let body: Value = serde_json::from_str(&fill(&body.to_string())).unwrap();
                let request = if body.is_null() { request } else { request.json(&body) };
                let answer = client.send(request).await;
                assert_eq!(
                    (answer.status, answer.code()),
                    (404, "space_not_found".to_owned()),
                    "{method} {path} {space}"
                );
                let problem = without_id(&answer);
                assert_eq!(seen.get_or_insert(problem.clone()), &problem, "{place}: {method} {path} {space}");
            }
        }
    }
}

#[tokio::test]
async fn wrong_keys_are_told_apart_only_as_far_as_they_may_be() {
    let house = House::open().await;
    let good = house.key(Role::Viewer).await;
    let other_house = House::open().await;
    let unknown = other_house.key(Role::Viewer).await;
    let revoked = house.key(Role::Viewer).await;
    let id = house.client_with(&revoked).get("/v1/caller").await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(house.admin().await.delete(&format!("/v1/api-keys/{id}")).await.status, 200);
    for (key, code) in [
        (unknown, "unknown_api_key"),
        (revoked, "unknown_api_key"),
        (good[..good.len() - 1].to_owned(), "invalid_api_key"),
        (good.replace("clv_", "clx_"), "invalid_api_key"),
        ("canary-0f0f".to_owned(), "invalid_api_key"),
    ] {
        let answer = house.client_with(&key).get("/v1/caller").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code));
        assert!(!answer.text.contains(&key), "{answer:?}");
    }
    let nobody = house.nobody();
    for header in ["Basic abc", "Bearer", &good, "bearer"] {
        let answer = nobody.send(nobody.request("GET", "/v1/caller").header("authorization", header)).await;
        assert_eq!(answer.code(), "unauthenticated", "{header}");
        assert!(!answer.text.contains("clv_d"));
    }
    let lower =
        nobody.send(nobody.request("GET", "/v1/caller").header("authorization", format!("bearer {good}"))).await;
    assert_eq!(lower.status, 200);
}

#[tokio::test]
async fn an_expired_key_says_so() {
    let house = House::open().await;
    let new = NewApiKey {
        role: Role::Viewer,
        environment: Some("default".parse().unwrap()),
        description: None,
        bounds: Bounds::default(),
        ttl: Some(Duration::from_millis(1)),
    };
    let (info, key) = house.engine.access().create_api_key(&system_caller(), new).await.unwrap();
    let expires_at = info.expires_at.unwrap();
    while claviger_engine::Clock::now(&claviger_engine::WallClock) <= expires_at {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.client_with(&key).get("/v1/caller").await.code(), "expired_api_key");
}

#[tokio::test]
async fn wrong_keys_are_slowed_down_and_right_ones_are_not() {
    let house = House::open().await;
    let good = house.key(Role::Viewer).await;
    let mut refused = None;
    for _ in 0..200 {
        let answer = house.nobody().get("/v1/caller").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("two hundred failures are too many");
    assert_eq!(refused.code(), "too_many_requests");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(house.client_with(&good).get("/v1/caller").await.status, 200);
}

#[tokio::test]
async fn a_key_in_the_query_is_refused_and_not_repeated() {
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    for query in [
        format!("?api_key={key}"),
        format!("?x={key}"),
        "?token=abc".to_owned(),
        format!("?after={}", key.replace('_', "%5F")),
    ] {
        for client in [house.nobody(), house.client_with(&key)] {
            let answer = client.get(&format!("/v1/caller{query}")).await;
            assert_eq!((answer.status, answer.code()), (400, "key_in_query".to_owned()));
            assert!(!answer.text.contains(&key));
        }
    }
}

#[tokio::test]
async fn api_keys_are_made_listed_and_revoked() {
    let house = House::open().await;
    let admin = house.admin().await;
    let body = json!({"role": "runtime", "environment": "default", "description": "payouts", "secrets": ["STRIPE_*"],
        "functions": ["payout"], "spaces": ["acme", "a b/c"], "ttlSeconds": 3600});
    let made = admin.post("/v1/api-keys", &body).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("clv_default_"));
    let caller = house.client_with(key).get("/v1/caller").await.json();
    let expected = json!({"id": made["id"], "role": "runtime", "environments": ["default"], "environment": "default",
        "spaces": ["acme", "a b/c"]});
    assert_eq!(caller, expected);
    let listed = admin.get("/v1/api-keys").await;
    assert!(!listed.text.contains(key));
    let listed = listed.json();
    let one = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == made["id"]).unwrap();
    assert_eq!((&one["secrets"], &one["functions"]), (&json!(["STRIPE_*"]), &json!(["payout"])));
    assert_eq!(one["spaces"], json!(["acme", "a b/c"]));
    let revoked = admin.delete(&format!("/v1/api-keys/{}", made["id"].as_str().unwrap())).await;
    assert!(revoked.json()["revokedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(house.client_with(key).get("/v1/caller").await.code(), "unknown_api_key");
    for (body, code) in [
        (json!({"role": "root", "environment": "default"}), "invalid_request"),
        (json!({"role": "viewer", "environment": "nowhere"}), "environment_not_found"),
        (json!({"role": "runtime", "environment": "default"}), "invalid_request"),
        (json!({"role": "subscriber", "environment": "default", "events": ["a..b"]}), "invalid_pattern"),
        (json!({"role": "runtime", "environment": "default", "secrets": ["*"], "functions": ["a b"]}), "invalid_name"),
        (json!({"role": "runtime", "environment": "default", "secrets": ["*"], "spaces": [" a"]}), "invalid_name"),
        (json!({"role": "viewer", "environment": "default", "spaces": ["acme"]}), "invalid_request"),
        (json!({"role": "viewer", "environment": "default", "key": "canary-3a3a"}), "invalid_request"),
    ] {
        let answer = admin.post("/v1/api-keys", &body).await;
        assert_eq!(answer.code(), code, "{body}");
        assert!(!answer.text.contains("canary"));
    }
    let caller = admin.get("/v1/caller").await.json();
    assert_eq!((&caller["environments"], &caller["environment"]), (&json!("all"), &json!("default")));
}

#[tokio::test]
async fn environments_are_created_once() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.post("/v1/environments", &json!({"name": "staging"})).await.status, 201);
    let again = admin.post("/v1/environments", &json!({"name": "staging"})).await;
    assert_eq!((again.status, again.code()), (409, "environment_exists".to_owned()));
    assert_eq!(admin.post("/v1/environments", &json!({"name": "all"})).await.code(), "invalid_name");
    let listed = admin.get("/v1/environments").await.json();
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "staging"]);
    let own = house.client(Role::Viewer).await.get("/v1/environments").await.json();
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refusals_are_audited() {
    let house = House::open().await;
    let viewer = house.client(Role::Viewer).await;
    assert_eq!(viewer.set("A", "canary-77b2").await.code(), "denied");
    let audit = house.admin().await.get("/v1/environments/default/audit").await;
    let entry = audit.json()["items"][0].clone();
    assert_eq!((&entry["action"], &entry["outcome"]), (&json!("secret.write"), &json!("refused")));
    assert_eq!(entry["caller"], viewer.get("/v1/caller").await.json()["id"]);
    assert!(!audit.text.contains("canary"));
}

#[tokio::test]
async fn readiness_tells_the_operator_what_to_know() {
    let house = House::open().await;
    let expected = |warning: &str| {
        json!({"status": "ready", "masterKey": "development", "store": "sqlite",
            "durability": {"level": "durable", "replicas": 1, "storage": "file", "synced": "always"},
            "warnings": [warning]})
    };
    let admin = house.admin().await;
    assert_eq!(admin.get("/readyz").await.json(), expected("the master key lies beside the data"));
    // Anybody may know that there is something, and not what.
    let viewer = house.client(Role::Viewer).await;
    for asker in [house.nobody(), viewer, house.client_with("clv_default_aaaaaaaa_wrong")] {
        let ready = asker.get("/readyz").await;
        assert_eq!((ready.status, ready.json()), (200, expected("1 warning, shown to admin keys")));
    }
    assert_eq!(house.nobody().get("/healthz").await.json(), json!({"status": "ok"}));
}
