//! The session of the README, typed: the command line, the workers of `examples/payout`, and a server that plays Stripe.

use std::fs;

use serde_json::{Value, json};

use super::steps::{id, only};
use crate::support::{Api, Cli, FakeStripe, NodeProgram, Process, Server, root};

#[path = "../../../../../examples/payout/rust/payout.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod payout_in_rust;

const FIRST: &str = "sk_live_123";
const SECOND: &str = "sk_live_456";

#[tokio::test(flavor = "multi_thread")]
async fn the_session_can_be_typed_as_it_stands() {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let cli = server.cli();
    the_first_value_is_an_argument(&cli).await;
    metadata_is_shown_and_no_value(&cli).await;
    let subscribed = subscribe(&cli).await;

    let program = NodeProgram::typescript(&root().join("examples/payout/typescript"), "dist/payout.js");
    let _worker = program.start(&server.api, &server.runtime_key(), &[("STRIPE_URL", stripe.url())]).await;
    pay_out(&cli, &stripe, FIRST).await;

    rotate(&cli, &subscribed).await;
    pay_out(&cli, &stripe, SECOND).await;
    a_webhook_from_a_file_is_told(&cli, &stripe, &server).await;
    lists_show_what_happened(&cli).await;
    a_deleted_secret_is_not_delivered(&cli, &server.admin()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_rust_pays_out() {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let cli = server.cli();
    cli.set("STRIPE_KEY", FIRST).await;
    let function = payout_in_rust::payout(stripe.url().to_owned());
    let worker = claviger::Worker::new().url(&server.api).api_key(server.runtime_key()).function(function);
    let worker = worker.start().await.expect("a worker");
    pay_out(&cli, &stripe, FIRST).await;
    cli.set("STRIPE_KEY", SECOND).await;
    pay_out(&cli, &stripe, SECOND).await;
    a_webhook_from_a_file_is_told(&cli, &stripe, &server).await;
    worker.stop().await.expect("a worker that stops");
}

async fn the_first_value_is_an_argument(cli: &Cli) {
    let arguments = ["secret", "set", "STRIPE_KEY", FIRST, "--env", "default", "--description", "Stripe live key"];
    let ran = cli.run(&arguments).await;
    assert!(ran.stderr.contains("a value among the arguments can be seen"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(FIRST) && !ran.stdout.contains(FIRST));
    ran.ok(&arguments);
}

async fn metadata_is_shown_and_no_value(cli: &Cli) {
    let table = cli.ok(&["secret", "list", "--env", "default"]).await;
    for shown in ["STRIPE_KEY", "Stripe live key"] {
        assert!(table.contains(shown), "{table}");
    }
    let secret = cli.json(&["secret", "get", "STRIPE_KEY"]).await;
    assert_eq!((&secret["version"], &secret["description"]), (&json!(1), &json!("Stripe live key")));
    let members: Vec<&String> = secret.as_object().expect("an object").keys().collect();
    assert!(!members.iter().any(|member| member.contains("value")), "{members:?}");
    assert!(!table.contains(FIRST) && !secret.to_string().contains(FIRST));
}

async fn subscribe(cli: &Cli) -> Process {
    let process = cli.spawn(&["subscribe", "system.secret.*.updated"]);
    process.stderr.line("subscribed in environment `default`").await;
    process
}

/// Emits, waits, and asserts what the payment provider received.
async fn pay_out(cli: &Cli, stripe: &FakeStripe, key: &str) {
    let asked = stripe.requests().len();
    let emit = ["event", "emit", "payout.requested", "--data", r#"{"amount": 1200}"#, "--wait"];
    let outcome = cli.json(&emit).await;
    let run = only(outcome["runs"].as_array().expect("runs").clone());
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["result"]["amount"], 1200, "{run}");
    let request = &stripe.asked(asked + 1).await[asked];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/charges"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {key}").as_str()));
    assert_eq!(request.header("idempotency-key"), Some(format!("{}-charge", id(&run)).as_str()));
    assert_eq!(request.body, b"amount=1200&currency=eur");
}

async fn rotate(cli: &Cli, subscribed: &Process) {
    let secret = cli.set("STRIPE_KEY", SECOND).await;
    assert_eq!((&secret["version"], &secret["description"]), (&json!(2), &json!("Stripe live key")));
    let line = subscribed.stdout.line("system.secret.STRIPE_KEY.updated").await;
    let data: Value = serde_json::from_str(&line[line.find('{').expect("data")..]).expect("JSON");
    assert_eq!(
        (&data["name"], &data["action"], &data["version"]),
        (&json!("STRIPE_KEY"), &json!("updated"), &json!(2))
    );
    assert!(!subscribed.stdout.text().contains(SECOND));
}

async fn a_webhook_from_a_file_is_told(cli: &Cli, stripe: &FakeStripe, server: &Server) {
    let file = server.home().join("webhook");
    fs::write(&file, format!("{}/hooks/T1\n", stripe.url())).expect("a file");
    cli.ok(&["secret", "set", "SLACK_WEBHOOK", "--file", file.to_str().expect("a path")]).await;
    let asked = stripe.requests().len();
    pay_out(cli, stripe, SECOND).await;
    let told = &stripe.asked(asked + 2).await[asked + 1];
    assert_eq!(told.path, "/hooks/T1");
    assert!(String::from_utf8_lossy(&told.body).contains("Paid out 1200: ch_"));
}

async fn lists_show_what_happened(cli: &Cli) {
    let runs = cli.json(&["run", "list"]).await;
    let newest = id(&runs[0]).to_owned();
    assert_eq!(runs.as_array().map(Vec::len), Some(3), "{runs}");
    assert!(cli.ok(&["run", "list"]).await.contains(&newest));
    let run = cli.json(&["run", "get", &newest]).await;
    let given = json!([{ "name": "STRIPE_KEY", "version": 2 }, { "name": "SLACK_WEBHOOK", "version": 1 }]);
    assert_eq!(run["deliveries"][0]["secrets"], given, "{run}");
    let steps: Vec<_> = run["steps"].as_array().expect("steps").iter().map(|step| &step["id"]).collect();
    assert_eq!(steps, ["charge", "notify"]);
    let functions = cli.json(&["function", "list"]).await;
    assert_eq!((&functions[0]["id"], &functions[0]["workers"]), (&json!("payout"), &json!(1)), "{functions}");
}

async fn a_deleted_secret_is_not_delivered(cli: &Cli, api: &Api) {
    cli.ok(&["secret", "delete", "STRIPE_KEY"]).await;
    assert_eq!(cli.run(&["secret", "get", "STRIPE_KEY"]).await.code, 4);
    assert!(!cli.ok(&["secret", "list"]).await.contains("STRIPE_KEY"));
    cli.ok(&["event", "emit", "payout.requested", "--data", r#"{"amount": 1}"#]).await;
    let run = api.run_with("payout", "retrying").await;
    assert_eq!(run["error"]["message"], r#"secret "STRIPE_KEY" is not set in environment "default""#, "{run}");
    let cancelled = cli.json(&["run", "cancel", id(&run), "--reason", "there is no key"]).await;
    assert_eq!(cancelled["status"], "cancelled");
}
