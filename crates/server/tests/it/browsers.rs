use claviger_core::{Bounds, Role};

use crate::support::{Answer, House, ORIGIN};

const READABLE: [&str; 6] = [
    "/healthz",
    "/v1/caller",
    "/v1/environments/default/secrets",
    "/v1/environments/default/spaces/acme/secrets",
    "/v1/environments/default/functions",
    "/v1/environments/default/subscribe?pattern=news.one",
];

const NOT_READABLE: [(&str, &str); 12] = [
    ("PUT", "/v1/environments/default/secrets/A"),
    ("GET", "/v1/environments/default/secrets/A"),
    ("GET", "/v1/worker"),
    ("PATCH", "/v1/environments/default/spaces/acme"),
    ("PUT", "/v1/environments/default/spaces/acme/secrets/A"),
    ("PUT", "/v1/environments/default/spaces/acme/secrets/A/block"),
    ("POST", "/v1/environments/default/events"),
    ("POST", "/v1/environments"),
    ("POST", "/v1/api-keys"),
    ("GET", "/v1/environments/default/audit"),
    ("GET", "/v1/environments/default/runs"),
    ("GET", "/readyz"),
];

async fn preflight(house: &House, method: &str, path: &str, origin: &str) -> Answer {
    let nobody = house.nobody();
    let request = nobody.request("OPTIONS", path).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    nobody.send(request.header("access-control-request-headers", "authorization,last-event-id")).await
}

#[tokio::test]
async fn a_configured_origin_may_read_what_holds_no_value() {
    let house = House::open().await;
    let admin = house.admin().await;
    for path in READABLE {
        let answer = preflight(&house, "GET", path, ORIGIN).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let response = admin.request("GET", path).header("origin", ORIGIN).send().await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN, "{path}");
    }
    // A page has to be able to read why it was refused.
    let nobody = house.nobody();
    let refused = nobody.send(nobody.request("GET", "/v1/caller").header("origin", ORIGIN)).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(ORIGIN)));
}

#[tokio::test]
async fn other_origins_and_other_routes_get_no_permission() {
    let house = House::open().await;
    for path in READABLE {
        for origin in ["https://evil.example", "null", "http://app.example.com", "https://app.example.com.evil.example"]
        {
            let answer = preflight(&house, "GET", path, origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin} {path}");
        }
    }
    for (method, path) in NOT_READABLE {
        let answer = preflight(&house, method, path, ORIGIN).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer:?}");
        let admin = house.admin().await;
        let answer = admin.send(admin.request(method, path).header("origin", ORIGIN)).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn a_key_with_origins_is_good_from_there_only() {
    let house = House::open().await;
    let bounds =
        Bounds { events: vec!["news.>".parse().unwrap()], origins: vec![ORIGIN.to_owned()], ..Bounds::default() };
    let key = house.key_with(Role::Subscriber, bounds).await;
    let client = house.client_with(&key);
    let from = async |origin: Option<&str>| {
        let request = client.request("GET", "/v1/environments/default/subscribe?pattern=news.one");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(from(Some(ORIGIN)).await, 200);
    assert_eq!(from(Some("https://evil.example")).await, 403);
    assert_eq!(from(None).await, 403);
}
