//! What a handler gets of secrets, and what nobody sees of them.

use claviger::{Client, Context, Error, Function};
use serde_json::{Value, json};

use crate::server::{KEY, Server};

fn delivered() -> Value {
    json!([
        {"name": "STRIPE_KEY", "version": 7, "value": "sk_live_\"canary\""},
        {"name": "CERTIFICATE", "version": 1, "value": "/wAB", "encoding": "base64"},
        {"name": "OTHER", "version": 1, "value": "not declared"}])
}

fn with_secrets() -> Function<()> {
    Function::new("payout")
        .on("payout.requested")
        .required_secret("STRIPE_KEY")
        .secret("SLACK_WEBHOOK")
        .secret("CERTIFICATE")
}

fn text(error: Result<impl Sized, Error>) -> String {
    error.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn values_and_refusals() {
    let server = Server::bind().await;
    let function = with_secrets().handler(|ctx: Context| async move {
        let secrets = ctx.secrets();
        let key = secrets.get("STRIPE_KEY")?;
        let has = ["STRIPE_KEY", "SLACK_WEBHOOK", "OTHER", "constructor"].map(|name| secrets.has(name));
        Ok(json!({
            "value": key.expose(),
            "version": key.version(),
            "bytes": secrets.get_bytes("CERTIFICATE")?.expose(),
            "textBytes": secrets.get_bytes("STRIPE_KEY")?.expose().len(),
            "notText": text(secrets.get("CERTIFICATE")),
            "notSet": text(secrets.get("SLACK_WEBHOOK")),
            "notDeclared": text(secrets.get("OTHER")),
            "has": has,
        }))
    });
    let (_worker, mut connection) = server.start_function(function).await;
    let declared = json!([{"name": "STRIPE_KEY", "required": true}, {"name": "SLACK_WEBHOOK", "required": false},
        {"name": "CERTIFICATE", "required": false}]);
    assert_eq!(connection.hello["functions"][0]["secrets"], declared);
    connection.send_job("run_1", json!({"secrets": delivered()})).await;
    let result = connection.expect("complete").await["result"].clone();
    let expected = json!({
        "value": "sk_live_\"canary\"", "version": 7, "bytes": [255, 0, 1], "textBytes": 16,
        "notText": "secret \"CERTIFICATE\" is not text",
        "notSet": "secret \"SLACK_WEBHOOK\" is not set in environment \"default\"",
        "notDeclared": "secret \"OTHER\" is not declared by function \"payout\"",
        "has": [true, false, false, false],
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn debug_output_shows_no_value_and_no_key() {
    let server = Server::bind().await;
    let function = with_secrets().handler(|ctx: Context| async move {
        let secrets = ctx.secrets();
        let parts = (secrets.get("STRIPE_KEY")?, secrets.get_bytes("STRIPE_KEY")?);
        Ok(format!("{ctx:?} {secrets:?} {parts:?} {parts:#?}"))
    });
    let worker = server.worker().function(function);
    let client = Client::builder().url(server.url()).api_key(KEY);
    let mut shown = format!("{worker:?} {client:?}");
    shown += &format!("{:?}", client.build().expect("a client"));
    let (handle, mut connection) = server.start(worker).await;
    shown += &format!("{handle:?}");
    connection.send_job("run_1", json!({"secrets": delivered()})).await;
    shown += connection.expect("complete").await["result"].as_str().expect("text");
    assert!(shown.contains("payout") && shown.contains("SecretText"), "{shown}");
    for hidden in ["canary", "115, 107", KEY, "clv_"] {
        assert!(!shown.contains(hidden), "{hidden} is in {shown}");
    }
}
