use claviger_core::{Bounds, Role};
use serde_json::{Value, json};

use crate::support::{House, Worker, about, hello};

fn payout() -> Value {
    json!([{"id": "payout", "triggers": [{"event": "payout.requested"}],
        "secrets": [{"name": "STRIPE_KEY", "required": true}, {"name": "BYTES"}, {"name": "NOT_SET"}]}])
}

#[tokio::test]
async fn a_job_carries_the_declared_secrets_and_its_results_are_kept() {
    let house = House::open().await;
    let admin = house.admin().await;
    let value = "canary-51ab-\"quoted\"\n-value";
    admin.set("STRIPE_KEY", value).await;
    admin.set("UNDECLARED", "canary-not-for-this-one").await;
    let bytes = json!({"value": "//79/P8A", "encoding": "base64"});
    assert_eq!(admin.put("/v1/environments/default/secrets/BYTES", &bytes).await.status, 201);
    let mut worker = Worker::serving(&house, payout()).await;
    let event = admin.emit("payout.requested", json!({"amount": 1200})).await.json();
    let job = worker.hear_type("job").await;
    assert_eq!((&job["function"], &job["attempt"], &job["steps"]), (&json!("payout"), &json!(1), &json!([])));
    assert_eq!((&job["event"]["id"], &job["event"]["data"]), (&event["id"], &json!({"amount": 1200})));
    assert!(job["event"]["at"].is_i64() && job["fence"].is_string());
    let secrets = json!([{"name": "STRIPE_KEY", "version": 1, "value": value},
        {"name": "BYTES", "version": 1, "value": "//79/P8A", "encoding": "base64"}]);
    assert_eq!(job["secrets"], secrets);
    let outcomes = json!([{"id": "charge", "kind": "run", "result": {"id": "ch_1", "echo": value}},
        {"id": "tell", "kind": "sendEvent", "event": "payout.done", "data": {"ok": true}}]);
    worker.say(&about(&job, "step", json!({ "outcomes": outcomes }))).await;
    let ack = worker.hear_type("ack").await;
    assert_eq!((&ack["run"], &ack["fence"], &ack["ended"]), (&job["run"], &job["fence"], &json!(false)));
    assert_eq!((&ack["steps"][0]["id"], ack["steps"].as_array().unwrap().len()), (&json!("tell"), 1));
    worker.say(&about(&job, "complete", json!({"result": {"paid": value}}))).await;
    assert_eq!(worker.hear_type("ack").await["ended"], true);

    let run = admin.get(&format!("/v1/environments/default/runs/{}", job["run"].as_str().unwrap())).await;
    assert!(!run.text.contains("canary"), "{}", run.text);
    let run = run.json();
    assert_eq!((&run["status"], &run["event"]["name"]), (&json!("completed"), &json!("payout.requested")));
    assert_eq!((&run["steps"][0]["id"], &run["steps"][0]["status"]), (&json!("charge"), &json!("finished")));
    assert_eq!(run["deliveries"][0]["secrets"][0], json!({"name": "STRIPE_KEY", "version": 1}));
    let audit = admin.get("/v1/environments/default/audit").await.json();
    assert_eq!((&audit["items"][0]["outcome"], &audit["items"][0]["run"]), (&json!("delivered"), &job["run"]));
}

#[tokio::test]
async fn a_cancelled_run_stops_its_job_and_an_old_claim_is_lost() {
    let house = House::open().await;
    let admin = house.admin().await;
    let functions = json!([{"id": "slow", "triggers": [{"event": "go"}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    admin.emit("go", json!({})).await;
    let job = worker.hear_type("job").await;
    let path = format!("/v1/environments/default/runs/{}/cancel", job["run"].as_str().unwrap());
    let cancelled = admin.post(&path, &json!({"reason": "changed my mind"})).await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    assert_eq!(cancelled.json()["cancelled"]["reason"], "changed my mind");
    let cancel = worker.hear_type("cancel").await;
    assert_eq!(
        (&cancel["run"], &cancel["fence"], &cancel["reason"]),
        (&job["run"], &job["fence"], &json!("cancelled"))
    );
    worker.say(&about(&job, "complete", json!({"result": 1}))).await;
    assert_eq!(worker.hear_type("cancel").await["reason"], "lost");
    let again = admin.send(admin.request("POST", &path)).await;
    assert_eq!((again.status, again.code()), (409, "run_already_ended".to_owned()));
    for (run, fence) in [("run_1", "1"), (job["run"].as_str().unwrap(), "x"), (job["run"].as_str().unwrap(), "999999")]
    {
        worker.say(&json!({"type": "step", "run": run, "fence": fence, "outcomes": []})).await;
        let cancel = worker.hear_type("cancel").await;
        assert_eq!((&cancel["run"], &cancel["fence"], &cancel["reason"]), (&json!(run), &json!(fence), &json!("lost")));
    }
}

#[tokio::test]
async fn a_job_goes_to_another_worker_with_its_steps_when_the_connection_ends() {
    let house = House::open().await;
    let admin = house.admin().await;
    let functions = json!([{"id": "slow", "triggers": [{"event": "go"}]}]);
    let mut first = Worker::serving(&house, functions.clone()).await;
    admin.emit("go", json!({})).await;
    let job = first.hear_type("job").await;
    let outcomes = json!([{"id": "a", "kind": "run", "result": 7}, {"id": "b", "kind": "run"},
        {"id": "c", "kind": "run", "error": {"name": "E", "message": "m"}}, {"id": "d", "kind": "sleep", "until": 32503680000000_i64}]);
    first.say(&about(&job, "step", json!({ "outcomes": outcomes }))).await;
    first.hear_type("ack").await;
    drop(first);
    let mut second = Worker::serving(&house, functions).await;
    let again = second.hear_type("job").await;
    assert_eq!(again["run"], job["run"]);
    assert_ne!(again["fence"], job["fence"]);
    let steps = json!([{"id": "a", "result": 7}, {"id": "b", "result": null},
        {"id": "c", "error": {"name": "E", "message": "m"}}, {"id": "d", "open": "sleep"}]);
    assert_eq!(again["steps"], steps);
    second.say(&about(&again, "fail", json!({"error": {"name": "E", "message": "no"}, "retryable": false}))).await;
    assert_eq!(second.hear_type("ack").await["ended"], true);
    let run = admin.get(&format!("/v1/environments/default/runs/{}", job["run"].as_str().unwrap())).await.json();
    assert_eq!((&run["status"], &run["error"]["message"]), (&json!("failed"), &json!("no")));
}

#[tokio::test]
async fn a_frame_that_breaks_a_rule_is_refused_and_the_job_goes_on() {
    let house = House::open().await;
    let admin = house.admin().await;
    let mut worker = Worker::serving(&house, json!([{"id": "f", "triggers": [{"event": "go"}]}])).await;
    admin.emit("go", json!({})).await;
    let job = worker.hear_type("job").await;
    for (outcome, code) in [
        (json!({"id": "", "kind": "run"}), "invalid_request"),
        (json!({"id": "a", "kind": "canary-dance"}), "invalid_request"),
        (json!({"id": "a", "kind": "sleep"}), "invalid_request"),
        (json!({"id": "a", "kind": "sendEvent", "event": "a b"}), "invalid_name"),
        (json!({"id": "a", "kind": "sendEvent", "event": "system.x"}), "reserved_event_name"),
        (json!({"id": "a", "kind": "waitForEvent", "event": "a..b"}), "invalid_pattern"),
        (json!({"id": "a", "kind": "run", "result": "x".repeat(256 * 1024)}), "step_result_too_large"),
    ] {
        worker.say(&about(&job, "step", json!({"outcomes": [outcome]}))).await;
        let error = worker.hear_type("error").await;
        assert_eq!((&error["run"], &error["code"]), (&job["run"], &json!(code)));
        assert!(!error.to_string().contains("canary"));
    }
    worker.say(&json!({"type": "dance"})).await;
    assert_eq!(worker.hear_type("error").await["code"], "unknown_frame");
    worker.say(&json!({"type": "heartbeat", "later": 1})).await;
    worker.hear_type("heartbeat").await;
    worker.say(&about(&job, "complete", json!({}))).await;
    assert_eq!(worker.hear_type("ack").await["ended"], true);
}

#[tokio::test]
async fn who_may_not_connect_is_told_before_the_upgrade() {
    let house = House::open().await;
    let bearer = |key: String| format!("Bearer {key}");
    let runtime = bearer(house.key(Role::Runtime).await);
    let (viewer, admin) = (bearer(house.key(Role::Viewer).await), bearer(house.key(Role::Admin).await));
    let protocol = ("sec-websocket-protocol", "claviger.worker.v1");
    for (headers, status, code) in [
        (vec![protocol], 401, "unauthenticated"),
        (vec![protocol, ("authorization", "Bearer clv_default_x")], 401, "invalid_api_key"),
        (vec![protocol, ("authorization", viewer.as_str())], 403, "denied"),
        (vec![protocol, ("authorization", admin.as_str())], 403, "denied"),
        (vec![protocol, ("authorization", runtime.as_str()), ("origin", "https://a.example")], 403, "denied"),
        (vec![("authorization", runtime.as_str())], 400, "unsupported_protocol"),
        (
            vec![("authorization", runtime.as_str()), ("sec-websocket-protocol", "claviger.worker.v9")],
            400,
            "unsupported_protocol",
        ),
    ] {
        let refused = Worker::connect(&house, &headers).await.err().expect(code);
        let problem: Value = serde_json::from_str(&refused.1).unwrap();
        assert_eq!((refused.0, problem["code"].as_str()), (status, Some(code)));
    }
}

#[tokio::test]
async fn a_hello_that_cannot_be_accepted_ends_the_connection() {
    let house = House::open().await;
    assert_eq!(house.admin().await.post("/v1/environments", &json!({"name": "other"})).await.status, 201);
    let bounds = Bounds {
        secrets: vec!["STRIPE_*".to_owned()],
        functions: Some(vec!["payout".parse().unwrap()]),
        ..Bounds::default()
    };
    let key = house.key_with(Role::Runtime, bounds).await;
    let function = |id: &str, secret: &str| json!([{"id": id, "triggers": [], "secrets": [{"name": secret}]}]);
    let fine = hello(function("payout", "STRIPE_KEY"));
    let with = |name: &str, value: Value| {
        let mut frame = fine.clone();
        frame[name] = value;
        frame
    };
    for (first, code, close) in [
        (with("environment", json!("other")), "environment_not_found", 4403),
        (with("environment", json!("nowhere")), "environment_not_found", 4403),
        (hello(function("refund", "STRIPE_KEY")), "denied", 4403),
        (hello(function("payout", "OTHER_KEY")), "denied", 4403),
        (with("protocol", json!(2)), "unsupported_protocol", 4400),
        (with("credit", json!(0)), "invalid_request", 4400),
        (with("credit", json!(1025)), "invalid_request", 4400),
        (with("functions", json!([])), "invalid_request", 4400),
        (with("functions", json!([{"id": "a b"}])), "invalid_name", 4400),
        (with("functions", json!([{"id": "payout", "triggers": [{"event": "a..b"}]}])), "invalid_pattern", 4400),
        (with("functions", json!([{"id": "payout", "spaces": [" canary"]}])), "invalid_name", 4400),
        (with("functions", json!([{"id": "payout", "spaces": "canary"}])), "invalid_request", 4400),
        (
            with("functions", json!([{"id": "payout", "triggers": [{"event": "a", "match": [{"path": "data"}]}]}])),
            "invalid_request",
            4400,
        ),
        (
            with(
                "functions",
                json!([{"id": "payout", "triggers": [{"event": "a", "match": [{"path": "id", "equals": 1}]}]}]),
            ),
            "invalid_request",
            4400,
        ),
        (with("functions", json!("canary")), "invalid_request", 4400),
        (json!({"type": "lookup", "run": "r", "fence": "1", "id": "1", "name": "A"}), "invalid_request", 4400),
        (json!({"type": "heartbeat"}), "invalid_request", 4400),
        (json!({"type": "step", "run": "r", "fence": "1"}), "invalid_request", 4400),
    ] {
        let mut worker = Worker::with_key(&house, &key).await;
        worker.say(&first).await;
        assert_eq!(worker.hear_refusal().await, (code.to_owned(), close), "{first}");
    }
    let mut worker = Worker::with_key(&house, &key).await;
    worker.say(&fine).await;
    let registered = worker.hear_type("registered").await;
    assert_eq!((&registered["environment"], &registered["functions"]), (&json!("default"), &json!(["payout"])));
    assert_eq!((&registered["heartbeatEveryMs"], &registered["leaseMs"]), (&json!(10_000), &json!(30_000)));
    worker.say(&fine).await;
    assert_eq!(worker.hear_refusal().await, ("invalid_request".to_owned(), 4400));
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let house = House::open().await;
    for text in ["", "{", "[]", "{\"type\": 7}", "{\"type\": \"step\", \"run\": 7}", "canary"] {
        let mut worker = Worker::serving(&house, json!([{"id": "f"}])).await;
        worker.say_text(text).await;
        assert_eq!(worker.hear_refusal().await, ("invalid_request".to_owned(), 4400), "{text}");
    }
    let mut worker = Worker::serving(&house, json!([{"id": "f"}])).await;
    worker.say_bytes(b"{\"type\":\"heartbeat\"}").await;
    assert_eq!(worker.hear_refusal().await, ("invalid_request".to_owned(), 4400));
}

#[tokio::test]
async fn credit_bounds_the_jobs_that_a_worker_holds() {
    let house = House::open().await;
    let admin = house.admin().await;
    let mut worker = Worker::with_key(&house, &house.key(Role::Runtime).await).await;
    let mut first = hello(json!([{"id": "f", "triggers": [{"event": "go"}]}]));
    first["credit"] = json!(2);
    worker.say(&first).await;
    worker.hear_type("registered").await;
    for n in 0..3 {
        admin.emit("go", json!(n)).await;
    }
    let jobs = [worker.hear_type("job").await, worker.hear_type("job").await];
    // Were there a third job, it would come before the answer.
    worker.say(&json!({"type": "heartbeat"})).await;
    worker.hear_type("heartbeat").await;
    worker.say(&about(&jobs[0], "complete", json!({}))).await;
    let mut kinds = vec![worker.hear().await["type"].clone(), worker.hear().await["type"].clone()];
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["ack", "job"]);
}

#[tokio::test]
async fn a_worker_is_disconnected_when_its_key_is_revoked() {
    let house = House::open().await;
    let key = house.key(Role::Runtime).await;
    let mut worker = Worker::with_key(&house, &key).await;
    worker.say(&hello(json!([{"id": "f"}]))).await;
    worker.hear_type("registered").await;
    let id = house.client_with(&key).get("/v1/caller").await.json()["id"].as_str().unwrap().to_owned();
    house.admin().await.delete(&format!("/v1/api-keys/{id}")).await;
    assert_eq!(worker.hear_refusal().await, ("unknown_api_key".to_owned(), 4401));
}
