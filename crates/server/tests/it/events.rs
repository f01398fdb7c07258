use claviger_core::Role;
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn a_subscriber_hears_what_it_asked_for_and_goes_on_where_it_was() {
    let house = House::open().await;
    let admin = house.admin().await;
    let query = "?pattern=system.secret.*.updated&pattern=news.%3E";
    let mut first = admin.subscribe(query).await;
    assert_eq!(first.next().await.unwrap().kind, "ready");
    admin.set("STRIPE_KEY", "canary-1-value").await;
    admin.set("STRIPE_KEY", "canary-2-value").await;
    let updated = first.next().await.unwrap();
    assert_eq!(updated.data["name"], "system.secret.STRIPE_KEY.updated");
    assert_eq!((&updated.data["source"], &updated.data["environment"]), (&json!("system"), &json!("default")));
    assert_eq!((&updated.data["data"]["name"], &updated.data["data"]["version"]), (&json!("STRIPE_KEY"), &json!(2)));
    assert!(updated.data["at"].as_str().unwrap().ends_with('Z'));
    drop(first);
    for n in 0..3 {
        assert_eq!(admin.emit("news.item", json!({ "n": n })).await.status, 202);
    }
    assert_eq!(admin.emit("other.item", json!({})).await.status, 202);
    let mut again = admin.subscribe(&format!("{query}&after={}", updated.id)).await;
    assert_eq!(again.next().await.unwrap().kind, "ready");
    let mut ids = Vec::new();
    for n in 0..3 {
        let frame = again.next().await.unwrap();
        assert_eq!((&frame.data["name"], &frame.data["data"]["n"]), (&json!("news.item"), &json!(n)));
        ids.push(frame.id);
    }
    let request = admin.request("GET", &format!("/v1/environments/default/subscribe{query}&after=x"));
    let response = request.header("last-event-id", &ids[1]).send().await.unwrap();
    assert_eq!(response.status(), 200, "the header comes before the query");
}

#[tokio::test]
async fn a_cursor_of_another_store_gets_a_gap() {
    let (house, other) = (House::open().await, House::open().await);
    let cursor = other.admin().await.subscribe("?pattern=a").await.next().await.unwrap().id;
    let mut frames = house.admin().await.subscribe(&format!("?pattern=a&after={cursor}")).await;
    assert_eq!(frames.next().await.unwrap().kind, "ready");
    let gap = frames.next().await.unwrap();
    assert_eq!((gap.kind.as_str(), &gap.data["reason"]), ("gap", &json!("incarnation")));
    assert!(gap.data["asked"].is_u64() && gap.data["first"].is_u64() && gap.data["stream"].is_string());
}

#[tokio::test]
async fn a_subscriber_key_hears_its_patterns_only() {
    let house = House::open().await;
    let subscriber = house.client(Role::Subscriber).await;
    for pattern in ["%3E", "*", "system.%3E", "news"] {
        let answer = subscriber.get(&format!("/v1/environments/default/subscribe?pattern={pattern}")).await;
        assert_eq!((answer.status, answer.code()), (403, "denied".to_owned()), "{pattern}");
    }
    assert_eq!(subscriber.subscribe("?pattern=news.*").await.next().await.unwrap().kind, "ready");
}

#[tokio::test]
async fn a_subscription_ends_when_its_key_is_revoked() {
    let house = House::open().await;
    let viewer = house.client(Role::Viewer).await;
    let mut frames = viewer.subscribe("?pattern=news.%3E").await;
    assert_eq!(frames.next().await.unwrap().kind, "ready");
    let id = viewer.get("/v1/caller").await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(house.admin().await.delete(&format!("/v1/api-keys/{id}")).await.status, 200);
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn an_event_with_a_known_id_is_stored_once() {
    let house = House::open().await;
    let admin = house.admin().await;
    let body = json!({"name": "order.placed", "data": {"amount": 1200}, "id": "order-1"});
    let first = admin.post("/v1/environments/default/events", &body).await;
    let again = admin.post("/v1/environments/default/events", &body).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.json(), again.json());
    assert_eq!(first.json()["environment"], "default");
}
