//! Workers and spaces: filters, overrides, look-ups.

use claviger_core::{Bounds, Role};
use serde_json::{Value, json};

use crate::support::{Client, House, Worker, about, hello};

const SPACES: &str = "/v1/environments/default/spaces";

async fn put(admin: &Client<'_>, path: &str, value: &str) {
    let answer = admin.put(path, &json!({ "value": value })).await;
    assert!(answer.status < 300, "{answer:?}");
}

async fn emit(admin: &Client<'_>, space: Option<&str>, data: Value) {
    let body = json!({"name": "order:created", "data": data, "space": space});
    assert_eq!(admin.post("/v1/environments/default/events", &body).await.status, 202);
}

fn listener() -> Value {
    json!([{"id": "orders", "triggers": [{"event": "order:created"}], "lookups": true}])
}

/// A question of a job, and the answer.
async fn look_up(worker: &mut Worker, job: &Value, id: &str, members: Value) -> Value {
    let mut frame = json!({"type": "lookup", "run": job["run"], "fence": job["fence"], "id": id, "name": "TOKEN"});
    frame.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    worker.say(&frame).await;
    let answer = worker.hear().await;
    assert_eq!((&answer["run"], &answer["fence"], &answer["id"]), (&job["run"], &job["fence"], &json!(id)), "{answer}");
    answer
}

async fn house_with_acme(house: &House) -> Client<'_> {
    let admin = house.admin().await;
    assert_eq!(admin.post(SPACES, &json!({"name": "acme"})).await.status, 201);
    admin
}

#[tokio::test]
async fn a_run_works_in_the_space_of_its_event() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    put(&admin, "/v1/environments/default/secrets/TOKEN", "canary-of-environment").await;
    put(&admin, &format!("{SPACES}/acme/secrets/TOKEN"), "canary-of-space").await;
    let functions = json!([{"id": "f", "triggers": [{"event": "order:created"}], "secrets": [{"name": "TOKEN"}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    for (space, value) in [(Some("acme"), "canary-of-space"), (None, "canary-of-environment")] {
        emit(&admin, space, json!({})).await;
        let job = worker.hear_type("job").await;
        assert_eq!(job["event"].get("space").cloned(), space.map(|space| json!(space)));
        assert_eq!(job["secrets"][0]["value"], value);
        worker.say(&about(&job, "complete", json!({"result": {"echo": value}}))).await;
        worker.hear_type("ack").await;
        let run = admin.get(&format!("/v1/environments/default/runs/{}", job["run"].as_str().unwrap())).await;
        assert!(!run.text.contains("canary"), "{}", run.text);
        let run = run.json();
        assert_eq!(run.get("space").cloned(), space.map(|space| json!(space)));
        let delivered = &run["deliveries"][0]["secrets"][0];
        assert_eq!(delivered.get("space").cloned(), space.map(|space| json!(space)));
    }
    let audit = admin.get("/v1/environments/default/audit").await.json();
    assert_eq!(audit["items"][0]["secrets"], json!([{"name": "TOKEN", "version": 1, "space": "acme"}]));
    assert_eq!(audit["items"][1]["secrets"], json!([{"name": "TOKEN", "version": 1}]));
}

#[tokio::test]
async fn triggers_have_conditions_and_functions_have_spaces() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    let functions = json!([{"id": "orders", "lookups": true, "spaces": ["acme"],
        "triggers": [{"event": "*", "match": [{"path": "data.kind", "equals": "big"}, {"path": "data.n", "equals": 1}]}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    let shown = admin.get("/v1/environments/default/functions").await.json()["items"][0].clone();
    assert_eq!((&shown["lookups"], &shown["spaces"]), (&json!(true), &json!(["acme"])));
    let conditions = json!([{"path": "data.kind", "equals": "big"}, {"path": "data.n", "equals": 1}]);
    assert_eq!(shown["triggers"], json!([{"event": "*", "match": conditions}]));
    let fits = json!({"kind": "big", "n": 1});
    emit(&admin, None, fits.clone()).await;
    emit(&admin, Some("acme"), json!({"kind": "big"})).await;
    emit(&admin, Some("acme"), json!({"kind": "small", "n": 1})).await;
    emit(&admin, Some("acme"), fits.clone()).await;
    let job = worker.hear_type("job").await;
    assert_eq!((&job["event"]["space"], &job["event"]["data"]), (&json!("acme"), &fits));
}

#[tokio::test]
async fn a_listener_looks_secrets_up_where_it_asks_for_them() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    assert_eq!(admin.post(SPACES, &json!({"name": "o th/er"})).await.status, 201);
    put(&admin, "/v1/environments/default/secrets/TOKEN", "canary-of-environment").await;
    put(&admin, &format!("{SPACES}/acme/secrets/TOKEN"), "canary-of-space-\"q\"").await;
    let bytes = json!({"value": "//79/P8A", "encoding": "base64"});
    assert_eq!(admin.put("/v1/environments/default/secrets/BYTES", &bytes).await.status, 201);
    let mut worker = Worker::serving(&house, listener()).await;
    emit(&admin, Some("acme"), json!({})).await;
    let job = worker.hear_type("job").await;
    assert_eq!(job["secrets"], json!([]));
    for (id, asked, version, value) in [
        ("1", json!({}), 1, "canary-of-space-\"q\""),
        ("2", json!({"space": null}), 1, "canary-of-environment"),
        ("3", json!({"space": "o th/er"}), 1, "canary-of-environment"),
        ("4", json!({"environment": "default"}), 1, "canary-of-space-\"q\""),
        ("5", json!({"environment": "default", "space": "acme"}), 1, "canary-of-space-\"q\""),
    ] {
        let answer = look_up(&mut worker, &job, id, asked.clone()).await;
        assert_eq!((&answer["type"], &answer["name"]), (&json!("secret"), &json!("TOKEN")), "{asked}");
        assert_eq!((&answer["version"], &answer["value"]), (&json!(version), &json!(value)), "{asked}");
    }
    let answer = look_up(&mut worker, &job, "6", json!({"name": "BYTES"})).await;
    assert_eq!((&answer["value"], &answer["encoding"]), (&json!("//79/P8A"), &json!("base64")));
    for (id, asked) in [
        ("7", json!({"name": "NOT_SET"})),
        ("8", json!({"space": "nowhere"})),
        ("9", json!({"environment": "nowhere"})),
    ] {
        let answer = look_up(&mut worker, &job, id, asked.clone()).await;
        assert_eq!(answer["type"], "secret", "{asked}");
        assert!(answer.get("version").is_none() && answer.get("value").is_none(), "{answer}");
    }
    for (id, asked) in
        [("10", json!({"name": " a"})), ("11", json!({"environment": "A"})), ("12", json!({"space": ""}))]
    {
        let answer = look_up(&mut worker, &job, id, asked.clone()).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("invalid_name")), "{asked}");
    }
    worker.say(&about(&job, "complete", json!({"result": ["canary-of-space-\"q\"", "canary-of-environment"]}))).await;
    assert_eq!(worker.hear_type("ack").await["ended"], true);
    let run = admin.get(&format!("/v1/environments/default/runs/{}", job["run"].as_str().unwrap())).await;
    assert!(!run.text.contains("canary"), "what was looked up is masked: {}", run.text);
}

#[tokio::test]
async fn what_was_looked_up_in_another_environment_is_shown_as_that_on_both_sides() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    assert_eq!(admin.post("/v1/environments", &json!({"name": "staging"})).await.status, 201);
    put(&admin, "/v1/environments/default/secrets/TOKEN", "canary-of-default").await;
    put(&admin, "/v1/environments/staging/secrets/TOKEN", "canary-of-staging").await;
    let mut worker = Worker::with_key(&house, &house.key_everywhere().await).await;
    worker.say(&hello(listener())).await;
    worker.hear_type("registered").await;
    emit(&admin, None, json!({})).await;
    let job = worker.hear_type("job").await;
    for (id, asked, value) in
        [("1", json!({"environment": "staging"}), "canary-of-staging"), ("2", json!({}), "canary-of-default")]
    {
        assert_eq!(look_up(&mut worker, &job, id, asked).await["value"], value);
    }
    let run = admin.get(&format!("/v1/environments/default/runs/{}", job["run"].as_str().unwrap())).await.json();
    let environments: Vec<_> =
        run["deliveries"].as_array().unwrap().iter().map(|delivery| delivery.get("environment")).collect();
    assert_eq!(environments, [None, Some(&json!("staging")), None], "the first is that of the claim");
    for (environment, home) in [("staging", Some(&json!("default"))), ("default", None)] {
        let audit = admin.get(&format!("/v1/environments/{environment}/audit")).await.json();
        let delivered: Vec<_> =
            audit["items"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "delivered").collect();
        assert_eq!((delivered.len(), &delivered[0]["run"]), (1, &job["run"]));
        assert_eq!(delivered[0].get("runEnvironment"), home);
    }
}

#[tokio::test]
async fn a_change_of_what_was_looked_up_is_told() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    put(&admin, "/v1/environments/default/secrets/TOKEN", "canary-first").await;
    let mut worker = Worker::serving(&house, listener()).await;
    emit(&admin, Some("acme"), json!({})).await;
    let job = worker.hear_type("job").await;
    assert_eq!(look_up(&mut worker, &job, "1", json!({})).await["value"], "canary-first");
    put(&admin, &format!("{SPACES}/acme/secrets/OTHER"), "canary-nobody-asked").await;
    put(&admin, &format!("{SPACES}/acme/secrets/TOKEN"), "canary-second").await;
    let changed = worker.hear_type("changed").await;
    assert_eq!((&changed["run"], &changed["fence"], &changed["name"]), (&job["run"], &job["fence"], &json!("TOKEN")));
    assert_eq!(look_up(&mut worker, &job, "2", json!({})).await["value"], "canary-second");
}

#[tokio::test]
async fn who_asks_without_a_claim_or_without_being_a_listener_gets_no_value() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    put(&admin, "/v1/environments/default/secrets/TOKEN", "canary-of-environment").await;
    let functions = json!([{"id": "f", "triggers": [{"event": "order:created"}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    emit(&admin, None, json!({})).await;
    let job = worker.hear_type("job").await;
    worker.say(&about(&job, "lookup", json!({"id": "1", "name": "TOKEN"}))).await;
    let answer = worker.hear().await;
    assert!(answer["type"] == "error" && !answer.to_string().contains("canary"), "{answer}");
    for (run, fence) in [(json!("run_1"), json!("1")), (job["run"].clone(), json!("999999"))] {
        worker.say(&json!({"type": "lookup", "run": run, "fence": fence, "id": "1", "name": "TOKEN"})).await;
        let answer = worker.hear_type("cancel").await;
        assert_eq!((&answer["run"], &answer["fence"], &answer["reason"]), (&run, &fence, &json!("lost")));
    }
}

#[tokio::test]
async fn a_key_that_does_not_cover_it_is_told_that_there_is_nothing_and_the_audit_says_why() {
    let house = House::open().await;
    let admin = house_with_acme(&house).await;
    assert_eq!(admin.post("/v1/environments", &json!({"name": "staging"})).await.status, 201);
    for (path, name) in [("default", "TOKEN"), ("default", "HIDDEN"), ("staging", "TOKEN")] {
        put(&admin, &format!("/v1/environments/{path}/secrets/{name}"), "canary-for-nobody").await;
    }
    let spaces = Some(vec!["acme".parse().unwrap()]);
    let key =
        house.key_with(Role::Runtime, Bounds { secrets: vec!["TOKEN".to_owned()], spaces, ..Bounds::default() }).await;
    let mut worker = Worker::with_key(&house, &key).await;
    worker.say(&hello(listener())).await;
    assert_eq!(worker.hear_refusal().await, ("denied".to_owned(), 4403), "it has to say which spaces");
    let mut worker = Worker::with_key(&house, &key).await;
    let mut declared = listener();
    declared[0]["spaces"] = json!(["acme"]);
    worker.say(&hello(declared)).await;
    worker.hear_type("registered").await;
    emit(&admin, Some("acme"), json!({})).await;
    let job = worker.hear_type("job").await;
    for (id, asked) in [
        ("1", json!({"name": "HIDDEN"})),
        ("2", json!({"environment": "staging"})),
        ("3", json!({"space": null})),
        ("4", json!({"space": "other"})),
    ] {
        let answer = look_up(&mut worker, &job, id, asked.clone()).await;
        assert_eq!((&answer["type"], answer.get("value")), (&json!("secret"), None), "{asked}");
    }
    assert_eq!(look_up(&mut worker, &job, "5", json!({})).await["value"], "canary-for-nobody", "inherited");
    let audit = admin.get("/v1/environments/default/audit").await;
    assert!(!audit.text.contains("canary"));
    let refused =
        audit.json()["items"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "refused").count();
    assert!(refused >= 3, "{}", audit.text);
}
