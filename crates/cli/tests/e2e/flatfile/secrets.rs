//! `event.secrets` and `api.secrets`, as their users use them.

use serde_json::{Value, json};

use super::clients::{Clients, Stage, found, key};
use crate::support::Server;

fn not_found(name: &str) -> Result<String, String> {
    Err(format!("Secret {name} not found"))
}

fn ok(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_gets_the_spaces_value_the_environments_and_the_rotated_one() {
    let mut stage = Stage::set().await;
    let (one, two) = (stage.space("one").await, stage.space("two").await);
    stage.set_secret(None, "SLACK_TOKEN", "canary-of-the-environment").await;
    stage.set_secret(None, "OTHER", "canary-of-another").await;
    let own = stage.set_secret(Some(&one), "SLACK_TOKEN", "canary-of-space-one").await;
    let (in_one, in_two) = (stage.event(Some(&one)), stage.event(Some(&two)));

    let asked = [json!(["SLACK_TOKEN"]), json!(["OTHER"]), json!(["slack_token"])];
    let [slack, other, lower_case] = stage.runtime.dispatch(&in_one, asked).await;
    assert_eq!((slack, other), (ok("canary-of-space-one"), ok("canary-of-another")));
    assert_eq!(lower_case, not_found("slack_token"));
    assert_eq!(stage.runtime.secret(&in_two, "SLACK_TOKEN").await, ok("canary-of-the-environment"));
    assert_eq!(stage.runtime.secret(&stage.event(None), "SLACK_TOKEN").await, ok("canary-of-the-environment"));
    let elsewhere = json!(["SLACK_TOKEN", { "spaceId": one }]);
    assert_eq!(stage.runtime.dispatch(&in_two, [elsewhere]).await, [ok("canary-of-space-one")]);

    let rotated = stage.set_secret(Some(&one), "SLACK_TOKEN", "canary-rotated").await;
    assert_eq!(rotated, own, "the same row");
    assert_eq!(stage.runtime.secret(&in_one, "SLACK_TOKEN").await, ok("canary-rotated"));
    let deleted = stage.operator.call("secrets.delete", json!([own["id"]])).await;
    assert_eq!(deleted, json!([own]));
    assert_eq!(stage.runtime.secret(&in_one, "SLACK_TOKEN").await, ok("canary-of-the-environment"));
    let (name, status, _) = stage.operator.refused("secrets.delete", json!([own["id"]])).await;
    assert_eq!((&*name, status), ("NotFoundError", json!(404)));

    // The same secrets, by our own command line.
    let cli = stage.server.cli();
    let run =
        cli.run_with_input(&["secret", "set", "SLACK_TOKEN", "--space", "two"], b"canary-of-the-command-line").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(stage.runtime.secret(&in_two, "SLACK_TOKEN").await, ok("canary-of-the-command-line"));
    cli.ok(&["secret", "block", "SLACK_TOKEN", "--space", "two"]).await;
    assert_eq!(stage.runtime.secret(&in_two, "SLACK_TOKEN").await, not_found("SLACK_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_runtime_key_gets_values_and_each_delivery_is_on_record() {
    let mut stage = Stage::set().await;
    let environment = stage.environment.clone();
    for name in ["A", "B"] {
        let row = stage.set_secret(None, name, &format!("canary-value-of-{name}")).await;
        assert_eq!((&row["name"], row.get("value")), (&json!(name), None), "a value is not read back");
    }
    let query = json!([{ "environmentId": environment }]);
    let event = stage.event(None);
    let viewer = key(&stage.server, "viewer", &["--env", "default"]).await;
    let mut viewer = Clients::start(&stage.server, &viewer);
    let mut admin = Clients::start(&stage.server, &stage.server.admin_key());
    for others in [&mut stage.operator, &mut viewer, &mut admin] {
        let rows = others.call("secrets.list", query.clone()).await;
        let names: Vec<_> = rows.as_array().expect("rows").iter().map(|row| &row["name"]).collect();
        assert_eq!(names, ["A", "B"]);
        assert!(rows.as_array().expect("rows").iter().all(|row| row.get("value").is_none()), "{rows}");
        assert_eq!(others.secret(&event, "A").await, not_found("A"));
        assert!(!others.stderr.text().contains("canary"), "{:?}", others.stderr);
    }
    let rows = stage.runtime.call("secrets.list", query.clone()).await;
    assert_eq!((&rows[0]["value"], &rows[1]["value"]), (&json!("canary-value-of-A"), &json!("canary-value-of-B")));
    for (path, with) in [
        ("secrets.upsert", json!([{ "name": "A", "value": "canary-changed", "environmentId": environment }])),
        ("secrets.delete", json!([rows[0]["id"]])),
        ("spaces.create", json!([{ "name": "S" }])),
    ] {
        let (name, status, _) = stage.runtime.refused(path, with).await;
        assert_eq!((&*name, status), ("FlatfileError", json!(403)), "{path}");
    }
    let audit = stage.server.admin().get("/v1/environments/default/audit?limit=1000").await;
    let delivered = audit["items"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["secrets"].as_array().is_some_and(|secrets| secrets.len() == 2));
    assert_eq!(delivered.count(), 1, "{audit}");
    assert!(!audit.to_string().contains("canary"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_spaces_and_colons_and_long_values_go_through() {
    let mut stage = Stage::set().await;
    let long = "é".repeat(1024);
    let secrets = [
        ("My Secret", "canary $ \\ / ! \" é 😀"),
        ("us_wb_1234:MERGE_X_ACCOUNT_TOKEN", "canary-with-colons"),
        ("LONG", &*long),
        ("FLAG", "true"),
        ("ONE", "1"),
    ];
    for (name, value) in secrets {
        let row = stage.set_secret(None, name, value).await;
        assert_eq!(row.get("unmaskable").is_some(), value.len() < 6, "{row}");
    }
    let event = stage.event(None);
    let asked = secrets.map(|(name, _)| json!([name]));
    assert_eq!(stage.runtime.dispatch(&event, asked).await, secrets.map(|(_, value)| ok(value)));
    stage.server.process.stderr.line("too short to be masked").await;
    for (value, expected) in [(json!(""), "BadRequestError"), (json!("v".repeat(1025)), "BadRequestError")] {
        let sent = json!([{ "name": "N", "value": value, "environmentId": stage.environment }]);
        assert_eq!(stage.operator.refused("secrets.upsert", sent).await.0, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_have_secrets_and_unknown_ones_do_not_matter() {
    let mut stage = Stage::set().await;
    let space = stage.space("acme").await;
    stage.set_secret(Some(&space), "TOKEN", "canary-of-the-space").await;
    let of_ada = json!([{
        "name": "TOKEN", "value": "canary-of-ada", "environmentId": stage.environment, "actorId": "us_usr_00000001",
    }]);
    assert_eq!(stage.operator.call("secrets.upsert", of_ada).await[0]["actorId"], "us_usr_00000001");
    let event = stage.event(Some(&space));
    let asked = [
        json!(["TOKEN"]),
        json!(["TOKEN", { "actorId": "us_usr_00000001" }]),
        json!(["TOKEN", { "actorId": "us_usr_00000002" }]),
    ];
    let expected = [ok("canary-of-the-space"), ok("canary-of-ada"), ok("canary-of-the-space")];
    assert_eq!(stage.runtime.dispatch(&event, asked).await, expected);
    let shown = stage.operator.call("spaces.list", json!([{}])).await;
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn look_ups_at_once_all_get_the_value() {
    let mut stage = Stage::set().await;
    for number in 0..100 {
        stage.set_secret(None, &format!("SECRET_{number}"), &format!("canary-value-{number}")).await;
    }
    let event = stage.event(None);
    let together = json!({ "do": "together", "event": event, "name": "SECRET_42", "times": 20 });
    let values = stage.runtime.value(&together).await;
    let values: Vec<_> = values.as_array().expect("values").iter().map(found).collect();
    assert_eq!(values, vec![ok("canary-value-42"); 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_of_another_environment_says_nothing() {
    let server = Server::dev().await;
    let cli = server.cli();
    cli.ok(&["env", "create", "staging"]).await;
    let staging_key = key(&server, "runtime", &["--env", "staging", "--secret", "*"]).await;
    let mut admin = Clients::start(&server, &server.admin_key());
    let environments = admin.call("environments.list", json!([{ "pageSize": 100 }])).await;
    let id = |name: &str| -> Value {
        let all = environments.as_array().expect("environments");
        all.iter().find(|known| known["name"] == name).expect("an environment")["id"].clone()
    };
    let (here, there) = (id("default"), id("staging"));
    let space = admin.call("spaces.create", json!([{ "name": "acme", "environmentId": here }])).await["id"].clone();
    for (value, place) in [
        ("canary-of-staging", json!({ "environmentId": there })),
        ("canary-of-the-space-here", json!({ "environmentId": here, "spaceId": space })),
    ] {
        let mut sent = json!({ "name": "TOKEN", "value": value });
        sent.as_object_mut().expect("an object").extend(place.as_object().expect("an object").clone());
        admin.call("secrets.upsert", json!([sent])).await;
    }
    // The listener keeps the event's space when another environment is asked for.
    let event = json!({ "topic": "space:updated", "context": { "environmentId": here, "spaceId": space } });
    let asked = json!(["TOKEN", { "environmentId": there }]);
    let mut of_staging = Clients::start(&server, &staging_key);
    assert_eq!(of_staging.dispatch(&event, [asked.clone()]).await, [ok("canary-of-staging")]);
    // A key of one environment does not reach into another.
    let mut of_default = Clients::start(&server, &server.runtime_key());
    assert_eq!(
        of_default.dispatch(&event, [asked, json!(["TOKEN"])]).await,
        [not_found("TOKEN"), ok("canary-of-the-space-here"),]
    );
    assert!(of_default.stderr.text().contains("Status: 404"), "{:?}", of_default.stderr);
    server.process.stderr.line("a Flatfile client was refused").await;
}
