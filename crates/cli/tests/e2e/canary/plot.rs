//! What happens in the house: secrets come and go, functions give them away.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    canaries::Canaries,
    house::{House, data},
};
use crate::support::Cli;

/// Functions that end by themselves, each with what becomes of it.
const FUNCTIONS: [(&str, &str); 6] = [
    ("leaky", "completed"),
    ("thrower", "failed"),
    ("final", "failed"),
    ("too-much", "failed"),
    ("no-json", "failed"),
    ("curious", "failed"),
];

pub(super) async fn unfold(house: &House, canaries: &Canaries) {
    for (function, end) in FUNCTIONS {
        run(house, function, end).await;
    }
    carried_values_are_masked_too(house).await;
    a_listener_gives_away_what_it_looks_up(house).await;
    errors_are_cut_within_a_value(house).await;
    change(&house.cli, canaries).await;
    run(house, "leaky", "completed").await;
    a_run_is_cancelled_that_holds_values(house).await;
    let own = format!("control-{}", Canaries::control());
    run(house, &own, "completed").await;
    look_at_everything(&house.cli).await;
    last_event(house).await;
}

async fn run(house: &House, function: &str, end: &str) {
    let runs = house.api.emit_and_wait(&format!("test.{function}"), data()).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0]["status"], end, "{function}: {}", runs[0]);
}

/// The values have left their run: in the data of an event, and as the input of another function.
async fn carried_values_are_masked_too(house: &House) {
    for function in ["carrier", "echo"] {
        let run = house.api.run_with(function, "completed").await;
        assert!(run["result"].to_string().contains("«PLAIN@1»"), "{run}");
    }
}

/// In a space, under every name that it has there.
async fn a_listener_gives_away_what_it_looks_up(house: &House) {
    let body = json!({ "name": "test.looker", "data": data(), "space": Canaries::space() });
    let event = house.api.with(Method::POST, "/v1/environments/default/events", &body).await;
    let runs = house.api.runs_of(&event).await;
    let message = runs[0]["error"]["message"].to_string();
    let masked = "«INHERITED@1» «OVERRIDDEN@1»";
    assert!(runs[0]["status"] == "failed" && message.contains(masked), "{}", runs[0]);
    assert!(message.contains("is not set in space"), "{message}");
}

/// The server keeps 4,096 bytes of a message, and 200 of a name.
async fn errors_are_cut_within_a_value(house: &House) {
    for left in [17, 24, 30] {
        let data = json!({ "before": 4096 - left, "control": Canaries::control() });
        let runs = house.api.emit_and_wait("test.cut", data).await;
        assert_eq!(runs[0]["status"], "failed", "{}", runs[0]);
    }
}

async fn change(cli: &Cli, canaries: &Canaries) {
    let [_, rotated] = canaries.rotated();
    let [deleted, again] = canaries.deleted();
    cli.set("ROTATED", rotated).await;
    for value in [deleted, again] {
        cli.ok(&["secret", "delete", "DELETED"]).await;
        cli.set("DELETED", value).await;
    }
    cli.ok(&["secret", "delete", "DELETED"]).await;
    let conflict = cli.run_with_input(&["secret", "set", "PLAIN", "--cas", "0"], canaries.refused().as_bytes()).await;
    assert_eq!(conflict.code, 5, "{}", conflict.stderr);
}

async fn a_run_is_cancelled_that_holds_values(house: &House) {
    let event = house.api.emit("test.holder", Value::Null).await;
    let run = house.api.run_with("holder", "running").await;
    let path = format!("/v1/environments/default/runs/{}/cancel", run["id"].as_str().expect("an id"));
    house.api.with(Method::POST, &path, &json!({ "reason": "enough" })).await;
    house.api.runs_of(&event).await;
}

/// Every command that shows something, in every form.
async fn look_at_everything(cli: &Cli) {
    let secrets = cli.json(&["secret", "list"]).await;
    let runs = cli.json(&["run", "list", "--limit", "500"]).await;
    let names = |list: &Value, member: &str| -> Vec<String> {
        list.as_array().expect("a list").iter().filter_map(|item| item[member].as_str().map(str::to_owned)).collect()
    };
    let space = Canaries::space();
    let shown_in_space = cli.json(&["secret", "list", "--space", &space]).await;
    for format in ["table", "json", "yaml"] {
        for list in ["secret", "run", "function", "apikey", "env", "space"] {
            cli.ok(&[list, "list", "-o", format]).await;
        }
        cli.ok(&["space", "get", &space, "-o", format]).await;
        cli.ok(&["secret", "list", "--space", &space, "-o", format]).await;
        for name in names(&shown_in_space, "name") {
            cli.ok(&["secret", "get", &name, "--space", &space, "-o", format]).await;
            cli.ok(&["secret", "explain", &name, "--space", &space, "-o", format]).await;
        }
        for name in names(&secrets, "name") {
            cli.ok(&["secret", "get", &name, "-o", format]).await;
        }
        for run in names(&runs, "id") {
            cli.ok(&["run", "get", &run, "-o", format]).await;
        }
    }
}

/// Waits until whoever follows the events has seen the last one.
async fn last_event(house: &House) {
    let name = format!("last.{}", Canaries::control());
    house.api.emit(&name, data()).await;
    house.subscriber.stdout.line(&name).await;
    let has_arrived = || async { String::from_utf8_lossy(&house.stream.bytes()).contains(&name).then_some(()) };
    crate::support::eventually("the last event", has_arrived).await;
}
