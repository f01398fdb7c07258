//! File systems that are really full, or really read-only.

mod disk;

use std::fs;

use claviger::{Context, Function, HandlerError, Worker, WorkerHandle};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::disk::Mount;
use crate::support::{Answer, Api, FakeStripe, Process, Relay, Server, ServerPlan, Transcript, eventually, within};

const SECRET: &str = "STRIPE_KEY";
const VALUE: &str = "sk_live_on_a_full_disk";

/// A function of two steps that ask Stripe.
fn payout(stripe: &FakeStripe) -> Function {
    let url = stripe.url().to_owned();
    Function::new("payout").on("payout.requested").required_secret(SECRET).handler(move |context: Context| {
        let url = url.clone();
        async move {
            let key = context.secrets().get(SECRET)?.expose().to_owned();
            for step in ["charge", "notify"] {
                let id = format!("{}/{step}", context.run());
                context.step(step, || charge(&url, &key, &id)).await?;
            }
            Ok("paid")
        }
    })
}

async fn charge(url: &str, key: &str, id: &str) -> Result<(), HandlerError> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.post(url).bearer_auth(key).header("idempotency-key", id).send().await?.error_for_status()?;
    Ok(())
}

/// A server on a small disk, and a worker's way to it.
struct Stage {
    disk: Mount,
    relay: Relay,
    said: Transcript,
    server: Server,
    api: Api,
    stripe: FakeStripe,
}

impl Stage {
    async fn set() -> Stage {
        let disk = Mount::small("8m");
        let said = Transcript::default();
        let relay = Relay::listening_in(said.clone()).await;
        let server = ServerPlan::dev().on(&disk.path().join("data")).listen(relay.server).start().await;
        relay.open();
        let api = server.admin();
        api.set(SECRET, VALUE).await;
        Stage { disk, relay, said, server, api, stripe: FakeStripe::start().await }
    }

    async fn worker(&self) -> WorkerHandle {
        let worker =
            Worker::new().function(payout(&self.stripe)).url(&self.relay.url).api_key(self.server.runtime_key());
        within("a worker that is accepted", worker.start()).await.expect("a worker that is accepted")
    }

    /// Tries to set a secret.
    async fn try_set(&self, name: &str, value: &str) -> (StatusCode, Value) {
        let path = format!("/v1/environments/default/secrets/{name}");
        self.api.answer(self.api.request(Method::PUT, &path).json(&json!({ "value": value }))).await
    }

    /// Fills the disk until nothing is left of what the server itself can clear, and answers the versions of secrets
    /// that it stored meanwhile.
    async fn fill(&self) -> u64 {
        let mut stored = self.api.set("FILLER", "what comes before it").await["version"].as_u64().expect("a version");
        let mut refused = 0;
        while refused < 3 {
            if self.disk.fill() > 0 {
                refused = 0;
            }
            let (status, body) = self.try_set("FILLER", &"x".repeat(4096)).await;
            match status {
                StatusCode::OK | StatusCode::CREATED => stored = body["version"].as_u64().expect("a version"),
                _ => {
                    assert_eq!((status, &body["code"]), (StatusCode::INSUFFICIENT_STORAGE, &"store_full".into()));
                    refused += 1;
                }
            }
        }
        stored
    }

    /// The deliveries that the audit has.
    async fn deliveries(&self) -> usize {
        let audit = self.api.get("/v1/environments/default/audit?limit=1000").await;
        audit["items"].as_array().expect("entries").iter().filter(|entry| entry["outcome"] == "delivered").count()
    }

    /// Whether the server said the secret's value to a worker.
    fn said_value(&self) -> bool {
        let said = self.said.bytes();
        said.windows(VALUE.len()).any(|part| part == VALUE.as_bytes())
    }

    /// Waits for a run to complete, and asserts that Stripe was asked once a step.
    async fn completes_with_one_charge_a_step(&self, run: &str) {
        let run = eventually("a completed run", || async {
            Some(self.api.run(run).await).filter(|run| run["status"] == "completed")
        })
        .await;
        let keys: Vec<_> = self
            .stripe
            .requests()
            .iter()
            .filter_map(|asked| asked.header("idempotency-key").map(str::to_owned))
            .collect();
        let expected = ["charge", "notify"].map(|step| format!("{}/{step}", run["id"].as_str().expect("an id")));
        assert_eq!(keys, expected);
    }
}

/// The id of the only run.
async fn only_run(api: &Api, status: &str) -> String {
    api.run_with("payout", status).await["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_store_and_loses_nothing() {
    let stage = Stage::set().await;
    let last = stage.fill().await;
    let (status, body) = stage.try_set(SECRET, "sk_live_another").await;
    assert_eq!((status, &body["code"]), (StatusCode::INSUFFICIENT_STORAGE, &"store_full".into()));
    assert!(!body.to_string().contains("sk_live"), "{body}");
    let event = json!({ "name": "payout.requested", "data": {} });
    let request = stage.api.request(Method::POST, "/v1/environments/default/events").json(&event);
    assert_eq!(stage.api.answer(request).await.0, StatusCode::INSUFFICIENT_STORAGE);
    let ran = stage.server.cli().run(&["secret", "delete", SECRET]).await;
    assert!(ran.code == 1 && ran.stderr.contains("store_full"), "{ran:?}");
    for _ in 0..2 {
        let secret = stage.api.get(&format!("/v1/environments/default/secrets/{SECRET}")).await;
        assert_eq!(secret["version"], 1);
    }

    stage.disk.make_room();
    let secret = stage.api.get("/v1/environments/default/secrets/FILLER").await;
    assert_eq!(secret["version"], last);
    assert_eq!(stage.api.set(SECRET, "sk_live_another").await["version"], 2);
    assert_eq!(stage.api.set("FILLER", "what comes after it").await["version"], last + 1);
    stage.server.stop().await;
}

#[tokio::test]
async fn killed_on_a_full_disk_the_server_has_everything_when_it_starts_again() {
    let stage = Stage::set().await;
    let last = stage.fill().await;
    let Stage { disk, server, .. } = stage;
    let plan = server.kill().await;
    // What the server needs to start is there from its life before.
    disk.fill();
    let server = plan.start().await;
    check_versions(&server, last).await;
    let (plan, _) = server.stop().await;
    disk.make_room();
    let server = plan.start().await;
    check_versions(&server, last).await;
    server.stop().await;
}

#[tokio::test]
async fn stopped_the_server_does_not_start_on_a_full_disk_and_has_everything_when_there_is_room() {
    let stage = Stage::set().await;
    let last = stage.api.set("FILLER", "what comes before it").await["version"].as_u64().expect("a version");
    let Stage { disk, server, .. } = stage;
    let (plan, _) = server.stop().await;
    disk.fill();
    refused(plan.spawn(), 1, "store_full").await;
    disk.make_room();
    let server = plan.start().await;
    check_versions(&server, last).await;
    server.stop().await;
}

async fn check_versions(server: &Server, filler: u64) {
    let api = server.admin();
    for (name, version) in [(SECRET, 1), ("FILLER", filler)] {
        assert_eq!(api.get(&format!("/v1/environments/default/secrets/{name}")).await["version"], version);
    }
}

#[tokio::test]
async fn a_first_start_on_a_full_disk_fails_and_succeeds_when_there_is_room() {
    let disk = Mount::small("1m");
    let plan = ServerPlan::dev().on(&disk.path().join("data"));
    disk.fill();
    refused(plan.spawn(), 1, "store_full").await;
    disk.make_room();
    plan.start().await.stop().await;
}

#[tokio::test]
async fn without_room_for_the_audit_no_secret_leaves() {
    let stage = Stage::set().await;
    stage.worker().await.stop().await.expect("a worker that was accepted");
    stage.api.emit("payout.requested", json!({ "amount": 1200 })).await;
    let run = only_run(&stage.api, "queued").await;
    stage.fill().await;

    let worker = stage.worker().await;
    stage.server.process.stderr.times("could not be claimed", 2).await;
    assert!(!stage.said_value(), "the secret left the server without a record");
    assert!(stage.stripe.requests().is_empty());
    assert_eq!(stage.deliveries().await, 0);
    assert_eq!(stage.api.run(&run).await["status"], "queued");

    stage.disk.make_room();
    stage.completes_with_one_charge_a_step(&run).await;
    assert!(stage.said_value(), "what was listened to is not where secrets pass");
    assert_eq!(stage.deliveries().await, 1);
    worker.stop().await.expect("a worker that was accepted");
    stage.server.stop().await;
}

#[tokio::test]
async fn a_result_that_finds_no_room_is_stored_when_there_is_some() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    stage.stripe.script([Answer::Hold]);
    stage.api.emit("payout.requested", json!({})).await;
    stage.stripe.asked(1).await;
    let run = only_run(&stage.api, "running").await;
    stage.fill().await;

    stage.stripe.release();
    stage.server.process.stderr.times("report could not be stored yet", 2).await;
    assert_eq!(stage.stripe.requests().len(), 1, "the next step began before the result was stored");

    stage.disk.make_room();
    stage.completes_with_one_charge_a_step(&run).await;
    worker.stop().await.expect("a worker that was accepted");
    stage.server.stop().await;
}

#[tokio::test]
async fn a_job_whose_worker_goes_on_a_full_disk_is_given_to_the_next() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    stage.stripe.script([Answer::Hold]);
    stage.api.emit("payout.requested", json!({})).await;
    stage.stripe.asked(1).await;
    let run = only_run(&stage.api, "running").await;
    stage.fill().await;

    stage.relay.cut();
    stage.server.process.stderr.line("could not be given back yet").await;
    stage.disk.make_room();
    // The first step had no result, so it runs again.
    let asked = stage.stripe.asked(3).await;
    let keys: Vec<_> = asked.iter().filter_map(|asked| asked.header("idempotency-key")).collect();
    assert_eq!(keys, ["charge", "charge", "notify"].map(|step| format!("{run}/{step}")));
    only_run(&stage.api, "completed").await;
    worker.stop().await.expect("a worker that was accepted");
    stage.server.stop().await;
}

#[tokio::test]
async fn where_nothing_can_be_written_the_server_does_not_start() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    let plan = ServerPlan::dev().on(&data);
    let server = plan.start().await;
    server.admin().set(SECRET, VALUE).await;
    server.stop().await;
    let mirror = Mount::read_only(home.path());

    refused(plan.clone().on(&mirror.path().join("data")).spawn(), 1, "data_directory_read_only").await;
    refused(plan.clone().on(&mirror.path().join("another")).spawn(), 1, "data_directory_read_only").await;
    let elsewhere = ServerPlan::dev();
    let database = mirror.path().join("data/claviger.db");
    refused(elsewhere.argument("--sqlite-path").argument(database).spawn(), 1, "store_read_only").await;

    assert!(!fs::exists(home.path().join("another")).expect("a directory"));
    let server = plan.start().await;
    let secret = server.admin().get(&format!("/v1/environments/default/secrets/{SECRET}")).await;
    assert_eq!(secret["version"], 1);
    server.stop().await;
}

/// The process ends with this status and code, without having served.
async fn refused(mut process: Process, status: i32, code: &str) {
    let ended = process.ended().await;
    let said = process.stderr.text();
    assert_eq!(ended.code(), Some(status), "{said}");
    assert!(said.contains(&format!("({code})")), "{said}");
    assert!(!said.contains("claviger ready") && !said.contains("panicked"), "{said}");
}
