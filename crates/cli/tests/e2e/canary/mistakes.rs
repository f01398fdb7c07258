//! Requests that are refused, with values in all the wrong places.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{canaries::Canaries, house::House};
use crate::support::{Cli, NodeProgram};

const SECRETS: &str = "/v1/environments/default/secrets";
const EVENTS: &str = "/v1/environments/default/events";
const SPACES: &str = "/v1/environments/default/spaces";

pub(super) async fn make(house: &House, canaries: &Canaries) {
    let requests = [
        broken_bodies(house, canaries),
        wrong_bodies(house, canaries),
        wrong_places(house, canaries),
        wrong_keys(house, canaries),
        missing_rights(house, canaries),
    ];
    for request in requests.into_iter().flatten() {
        let shown = format!("{request:?}");
        let (status, answer) = house.api.answer(request).await;
        assert!(status.is_client_error(), "{status} {answer}\n{shown}");
        assert!(status == StatusCode::NOT_FOUND || answer["code"].is_string(), "{status} {answer}\n{shown}");
    }
    commands(&house.cli, canaries).await;
    frames(house, canaries).await;
}

/// Bodies that are no JSON.
fn broken_bodies(house: &House, canaries: &Canaries) -> Vec<RequestBuilder> {
    let value = canaries.refused();
    let bodies = [
        format!(r#"{{"value":"{value}""#),
        format!(r#"{{"value":{value}}}"#),
        format!(r#"{{"value":"{value}\q"}}"#),
        format!(r#""{value}""#),
        value.to_owned(),
        format!(r#"{{"name":"a.b","data":{{"key":"{value}"}}"#),
    ];
    let not_text = [br#"{"value":""#, value.as_bytes(), b"\xff\"}"].concat();
    let bodies = bodies.map(String::into_bytes).into_iter().chain([not_text]);
    bodies
        .flat_map(|body| {
            [(Method::PUT, format!("{SECRETS}/REFUSED")), (Method::POST, EVENTS.to_owned())].map(|(method, path)| {
                let request = house.api.request(method, &path).header("content-type", "application/json");
                request.body(body.clone())
            })
        })
        .collect()
}

/// JSON that is not what is asked for.
fn wrong_bodies(house: &House, canaries: &Canaries) -> Vec<RequestBuilder> {
    let value = canaries.refused();
    let secrets: [Value; 8] = [
        json!({ "value": [value] }),
        json!({ "value": { "value": value } }),
        json!({ "value": value, value: 1 }),
        json!({ "vaule": value }),
        json!({ "value": value, "encoding": value }),
        json!({ "value": format!("{value}!"), "encoding": "base64" }),
        json!({ "value": value, "allowShort": value }),
        json!({ "value": canaries.too_long() }),
    ];
    let events: [Value; 5] = [
        json!({ "name": "system.secret.A.updated", "data": value }),
        json!({ "name": "a.b", "data": value, "dta": value }),
        json!({ "name": "a.b", "data": value, "id": format!("not an id {value}") }),
        json!({ "name": format!("..{value}"), "data": value }),
        json!({ "name": "a.b", "data": canaries.too_long() }),
    ];
    let spaces: [Value; 4] = [
        json!({ "name": format!(" {value}") }),
        json!({ "name": "refused", "metadata": value }),
        json!({ "name": "refused", "metadata": [value] }),
        json!({ "name": "refused", "metadata": {}, value: 1 }),
    ];
    let keys: [Value; 3] = [
        json!({ "role": value, "environment": "default" }),
        json!({ "role": "viewer", "environment": format!("Not {value}") }),
        json!({ "role": "runtime", "environment": "default", "secrets": [value], "ttlSeconds": value }),
    ];
    let put = |body: &Value| house.api.request(Method::PUT, &format!("{SECRETS}/REFUSED")).json(body);
    let post = |path: &str, body: &Value| house.api.request(Method::POST, path).json(body);
    let events = events.iter().map(|body| post(EVENTS, body));
    let keys = keys.iter().map(|body| post("/v1/api-keys", body));
    let spaces = spaces.iter().map(|body| post(SPACES, body));
    secrets.iter().map(put).chain(events).chain(keys).chain(spaces).collect()
}

/// Values where names, numbers, cursors and conditions belong.
fn wrong_places(house: &House, canaries: &Canaries) -> Vec<RequestBuilder> {
    let value = canaries.mistyped();
    let paths = [
        format!("{SECRETS}/%20{value}"),
        format!("{SECRETS}?limit={value}"),
        format!("{SECRETS}?{value}=1"),
        format!("/v1/environments/default/runs?limit={value}"),
        format!("/v1/environments/default/runs?status={value}"),
        format!("/v1/environments/default/runs?after=-{value}"),
        format!("/v1/environments/default/runs/{value}"),
        format!("/v1/environments/default/audit?after={value}"),
        format!("/v1/environments/default/subscribe?pattern=a&after={value}"),
        format!("/v1/environments/default/subscribe?pattern=..{value}"),
        format!("/v1/environments/default/subscribe?pattern=a&space=%20{value}"),
        format!("/v1/environments/{value}/secrets"),
        format!("{SPACES}/{value}"),
        format!("{SPACES}/{value}/secrets"),
        format!("{SPACES}/%20{value}/secrets/A/explanation"),
        format!("{SPACES}?after=%20{value}"),
        format!("/v1/caller?key={value}"),
        format!("/v1/caller?api_key={}", house.key("viewer")),
        format!("/v1/{value}"),
        format!("/{value}"),
    ];
    let conditional = house.api.request(Method::PUT, &format!("{SECRETS}/REFUSED")).header("if-match", value);
    let strange_type = house.api.request(Method::PUT, &format!("{SECRETS}/REFUSED")).header("content-type", value);
    let strange_host = house.api.request(Method::GET, "/v1/caller").header("host", format!("{value}.example"));
    let requests = paths.into_iter().map(|path| house.api.request(Method::GET, &path));
    let body = json!({ "value": value });
    let strange_space = house.api.request(Method::PUT, &format!("{SPACES}/{value}/secrets/REFUSED")).json(&body);
    let strange_event = house.api.request(Method::POST, EVENTS).json(&json!({ "name": "a.b", "space": value }));
    let others = [conditional.json(&body), strange_type.body(value.to_owned()), strange_host];
    requests.chain(others).chain([strange_space, strange_event]).collect()
}

/// Values where an API key belongs, and keys that are none.
fn wrong_keys(house: &House, canaries: &Canaries) -> Vec<RequestBuilder> {
    let value = canaries.mistyped();
    let admin = house.key("admin");
    let tampered = format!("{}{}", &admin[..admin.len() - 1], if admin.ends_with('0') { '1' } else { '0' });
    let keys = [value.to_owned(), format!("clv_default_{value}"), tampered];
    let bodies = json!({ "value": canaries.refused() });
    let put = |api: &crate::support::Api| api.request(Method::PUT, &format!("{SECRETS}/REFUSED")).json(&bodies);
    keys.iter().map(|key| put(&house.api.with_key(key))).collect()
}

/// Good requests by those who may not make them.
fn missing_rights(house: &House, canaries: &Canaries) -> Vec<RequestBuilder> {
    let body = json!({ "value": canaries.refused() });
    let put = |role: &str| {
        house.api.with_key(&house.key(role)).request(Method::PUT, &format!("{SECRETS}/REFUSED")).json(&body)
    };
    ["viewer", "runtime", "subscriber"].map(put).into()
}

/// What people mistype.
async fn commands(cli: &Cli, canaries: &Canaries) {
    let (value, refused) = (canaries.argument(), canaries.refused());
    let (wrong_json, metadata) = (format!(r#"{{"key": "{refused}""#), format!("[\"{refused}\"]"));
    let mistyped: [&[&str]; 10] = [
        &["secret", "set", "REFUSED", value, "--cas", "nine"],
        &["secret", "set", "REFUSED", value, "--descripton", "text"],
        &["secret", "set", "REFUSED", value, value],
        &["secret", "set", "..", value],
        &["secret", "set", "REFUSED", value, "--space", ".."],
        &["space", "create", "refused", "--metadata", &wrong_json],
        &["space", "create", "refused", "--metadata", &metadata],
        &["secret", "set", "REFUSED", value, "--file", "nothing"],
        &["secret", "set", "REFUSED", "--file", "no such file"],
        &["event", "emit", "a.b", "--data", &wrong_json],
    ];
    for arguments in mistyped {
        let ran = cli.run(arguments).await;
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
    }
    let too_long = cli.run_with_input(&["secret", "set", "REFUSED"], canaries.too_long().as_bytes()).await;
    assert_ne!(too_long.code, 0);
    let denied = cli.with_key(canaries.mistyped()).run_with_input(&["secret", "set", "A"], refused.as_bytes()).await;
    assert_eq!(denied.code, 3, "{}", denied.stderr);
}

/// A worker that breaks the protocol.
async fn frames(house: &House, canaries: &Canaries) {
    let program = NodeProgram::script(include_str!("rude.mjs"));
    let mut rude = program.spawn(&house.server.api, &house.key("runtime"), &[("CANARY", canaries.mistyped())]);
    assert!(rude.ended().await.success(), "{:?}", rude.stderr);
    house.cli.transcript.add(rude.stdout.bytes());
    house.cli.transcript.add(rude.stderr.bytes());
}
