//! What functions see of secrets, with workers of both SDKs.

use serde_json::{Value, json};

use super::{
    steps::{id, only},
    workers::Sdk,
};
use crate::support::{Api, FakeStripe, Server};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_arrive_as_declared_in_typescript() {
    secrets(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_arrive_as_declared_in_rust() {
    secrets(Sdk::Rust).await;
}

async fn secrets(sdk: Sdk) {
    let (server, stripe) = tokio::join!(Server::dev(), FakeStripe::start());
    let _worker = sdk.start(&server, stripe.url()).await;
    let api = server.admin();
    only_declared_ones_are_there(&api).await;
    a_missing_required_one_blocks(&api).await;
    a_rotation_starts_a_function(&api).await;
}

async fn only_declared_ones_are_there(api: &Api) {
    api.set("SET", "12345678").await;
    api.set("OTHER", "set but not declared").await;
    let run = only(api.emit_and_wait("test.curious", Value::Null).await);
    assert_eq!(
        run["result"],
        json!({
            "has": [true, false, false, false],
            "unset": r#"secret "UNSET" is not set in environment "default""#,
            "undeclared": r#"secret "OTHER" is not declared by function "curious""#,
            "length": 8,
        }),
        "{run}"
    );
    let run = api.run(id(&run)).await;
    assert_eq!(run["deliveries"][0]["secrets"], json!([{ "name": "SET", "version": 1 }]), "{run}");
}

async fn a_missing_required_one_blocks(api: &Api) {
    let event = api.emit("test.needy", Value::Null).await;
    let blocked = api.run_with("needy", "blocked").await;
    assert_eq!(blocked["missing"], json!(["NEEDED"]), "{blocked}");
    api.set("NEEDED", "1234567890").await;
    let run = only(api.runs_of(&event).await);
    assert_eq!((&run["status"], &run["result"]), (&json!("completed"), &json!(10)), "{run}");
}

async fn a_rotation_starts_a_function(api: &Api) {
    api.set("ROTATING", "the first value").await;
    api.set("ROTATING", "the second value").await;
    let run = api.run_with("rotated", "completed").await;
    assert_eq!(run["result"], json!({ "name": "ROTATING", "version": 2 }), "{run}");
    assert_eq!(run["event"]["name"], "system.secret.ROTATING.updated", "{run}");
}
