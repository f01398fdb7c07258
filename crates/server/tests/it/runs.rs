use serde_json::json;

use crate::support::{House, Worker, about};

const BASE: &str = "/v1/environments/default";

#[tokio::test]
async fn functions_are_listed_as_declared_with_the_workers_that_are_there() {
    let house = House::open().await;
    let admin = house.admin().await;
    let declared = json!([{"id": "payout", "triggers": [{"event": "payout.*"}], "secrets": [{"name": "K", "required": true}],
        "retry": {"maxAttempts": 2, "initialDelayMs": 10, "backoffFactor": 3, "maxDelayMs": 20},
        "concurrency": {"limit": 5}, "timeoutMs": 1000}]);
    let _worker = Worker::serving(&house, declared).await;
    let function = admin.get(&format!("{BASE}/functions")).await.json()["items"][0].clone();
    assert_eq!((&function["id"], &function["triggers"]), (&json!("payout"), &json!([{"event": "payout.*"}])));
    assert_eq!(function["secrets"], json!([{"name": "K", "required": true}]));
    let retry = json!({"maxAttempts": 2, "initialDelayMs": 10, "backoffFactor": 3.0, "maxDelayMs": 20});
    assert_eq!((&function["retry"], &function["concurrency"]), (&retry, &json!({"limit": 5})));
    assert_eq!((&function["timeoutMs"], &function["workers"]), (&json!(1000), &json!(1)));
}

#[tokio::test]
async fn waiting_for_an_event_answers_when_its_runs_have_ended() {
    let house = House::open().await;
    let admin = house.admin().await;
    let functions = json!([{"id": "a", "triggers": [{"event": "go"}]}, {"id": "b", "triggers": [{"event": "go"}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    let event = admin.emit("go", json!({})).await.json();
    let path =
        format!("{BASE}/events/{}/runs?revision={}&waitMs=30000", event["id"].as_str().unwrap(), event["revision"]);
    let finish = async {
        let (mut results, mut acks) = (vec![json!(null), json!({"n": 1})], 0);
        while acks < 2 {
            let frame = worker.hear().await;
            match frame["type"].as_str() {
                Some("job") => worker.say(&about(&frame, "complete", json!({"result": results.pop()}))).await,
                _ => acks += 1,
            }
        }
    };
    let (answer, ()) = tokio::join!(admin.get(&path), finish);
    let answer = answer.json();
    assert_eq!(answer["dispatched"], true);
    let runs = answer["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run["status"] == "completed" && run.get("result").is_some()), "{runs:?}");
}

#[tokio::test]
async fn an_event_that_starts_nothing_is_dispatched_all_the_same() {
    let house = House::open().await;
    let admin = house.admin().await;
    let event = admin.emit("nobody.cares", json!({})).await.json();
    let path =
        format!("{BASE}/events/{}/runs?revision={}&waitMs=30000", event["id"].as_str().unwrap(), event["revision"]);
    assert_eq!(admin.get(&path).await.json(), json!({"dispatched": true, "runs": []}));
}

#[tokio::test]
async fn the_runs_of_an_event_of_a_space_are_asked_for_with_the_space() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.post(&format!("{BASE}/spaces"), &json!({"name": "acme"})).await.status, 201);
    let _worker = Worker::serving(&house, json!([{"id": "a", "triggers": [{"event": "go"}]}])).await;
    let event = json!({"name": "go", "id": "order-17", "space": "acme"});
    let event = admin.post(&format!("{BASE}/events"), &event).await.json();
    let path = format!("{BASE}/events/order-17/runs?revision={}", event["revision"]);
    let found = loop {
        let found = admin.get(&format!("{path}&space=acme")).await.json();
        if found["dispatched"] == true {
            break found;
        }
    };
    assert_eq!((found["runs"].as_array().unwrap().len(), &found["runs"][0]["space"]), (1, &json!("acme")));
    assert_eq!(admin.get(&path).await.json()["runs"], json!([]), "the environment has no event of that id");
    assert_eq!(admin.get(&format!("{path}&space=nowhere")).await.json()["runs"], json!([]));
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_function_and_status_in_pages() {
    let house = House::open().await;
    let admin = house.admin().await;
    let functions = json!([{"id": "a", "triggers": [{"event": "go"}]},
        {"id": "needy", "triggers": [{"event": "need"}], "secrets": [{"name": "MISSING", "required": true}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    for n in 0..3 {
        admin.emit("go", json!(n)).await;
        let job = worker.hear_type("job").await;
        worker.say(&about(&job, "complete", json!({"result": n}))).await;
        worker.hear_type("ack").await;
    }
    let event = admin.emit("need", json!({})).await.json();
    // Dispatched means created; blocked follows.
    let blocked = loop {
        let page = admin.get(&format!("{BASE}/runs?status=blocked")).await.json();
        if let Some(run) = page["items"].as_array().unwrap().first() {
            break run.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&blocked["missing"], &blocked["event"]["id"]), (&json!(["MISSING"]), &event["id"]));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{BASE}/runs?function=a&limit=2{after}")).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|run| run["createdAt"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.is_sorted_by(|newer, older| newer >= older), "{seen:?}");
    admin.set("MISSING", "now-it-is-set").await;
    assert_eq!(worker.hear_type("job").await["secrets"][0]["value"], "now-it-is-set");
}
