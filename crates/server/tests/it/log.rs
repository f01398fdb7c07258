use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use claviger_core::Role;
use serde_json::json;

use crate::support::{House, Worker, about};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is logged here at the finest level. The runtime of these tests has one thread.
fn log_everything(log: &Log) -> tracing::subscriber::DefaultGuard {
    let log = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || log.clone());
    tracing::subscriber::set_default(subscriber.finish())
}

#[tokio::test]
async fn the_log_tells_routes_and_never_keys_values_queries_or_names() {
    let log = Log::default();
    let _guard = log_everything(&log);
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    let admin = house.client_with(&key);
    admin.set("canary-name", "canary-value-1").await;
    admin.send(admin.request("PUT", "/v1/environments/default/secrets/A").body("{\"value\": \"canary-body")).await;
    admin.get("/v1/environments/default/secrets?after=canary-query").await;
    admin.get("/canary-path").await;
    admin.get(&format!("/v1/caller?token={key}")).await;
    admin.set("STRIPE_KEY", "canary-value-2").await;
    let function = json!([{"id": "f", "triggers": [{"event": "go"}], "secrets": [{"name": "STRIPE_KEY"}]}]);
    let mut worker = Worker::serving(&house, function).await;
    admin.emit("go", json!({"canary-data": 1})).await;
    let job = worker.hear_type("job").await;
    worker.say(&about(&job, "complete", json!({"result": "canary-value-2"}))).await;
    worker.hear_type("ack").await;
    worker.say_text("{\"type\": \"canary\"}").await;
    worker.hear_type("error").await;
    look_up(&house).await;
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    // The HTTP libraries of the client write what they send at `TRACE`; that is the test's own side.
    let ours: Vec<&str> = written.lines().filter(|line| line.contains(" claviger")).collect();
    let has = |part: &str| ours.iter().any(|line| line.contains(part));
    assert!(has("method=PUT route=\"/v1/environments/{env}/secrets/{name}\" status=201"), "{ours:#?}");
    assert!(has("method=GET route=\"none\" status=404") && has("a worker connected"));
    assert!(
        has("method=PUT route=\"/v1/environments/{env}/spaces/{space}/secrets/{name}/block\" status=200"),
        "{ours:#?}"
    );
    assert!(!has("canary") && !has(&key) && !has("Bearer") && !has("token="), "{ours:#?}");
}

/// A space, a block in it, and a value that a listener looks up there.
async fn look_up(house: &House) {
    let admin = house.admin().await;
    let spaces = "/v1/environments/default/spaces";
    let new = json!({"name": "canary-space", "metadata": {"canary": "canary"}});
    assert_eq!(admin.post(spaces, &new).await.status, 201);
    let blocked = admin.put(&format!("{spaces}/canary-space/secrets/canary-blocked/block"), &json!(null)).await;
    assert_eq!(blocked.status, 200);
    let listener = json!([{"id": "l", "triggers": [{"event": "look"}], "lookups": true}]);
    let mut worker = Worker::serving(house, listener).await;
    admin.post("/v1/environments/default/events", &json!({"name": "look", "space": "canary-space"})).await;
    let job = worker.hear_type("job").await;
    worker.say(&about(&job, "lookup", json!({"id": "canary", "name": "STRIPE_KEY"}))).await;
    assert_eq!(worker.hear_type("secret").await["value"], "canary-value-2");
    worker.say(&about(&job, "lookup", json!({"id": "canary", "name": " canary"}))).await;
    worker.hear_type("error").await;
}
