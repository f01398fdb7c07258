//! The same by the protocol of the Flatfile clients.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{canaries::Canaries, house::House, hunt::Place};
use crate::support::Api;

const ROUTES: &str = "/flatfile/v1";
const ACTOR: &str = "us_usr_00000001";

/// Who may look around and receives no value.
pub(super) const ROLES: [&str; 2] = ["operator", "viewer"];

/// Values go in by the protocol, and out to whom they are for.
pub(super) async fn use_it(house: &House, canaries: &Canaries) {
    let operator = house.api.with_key(&house.key("operator"));
    let (environment, space) = (environment(&operator).await, space(&operator).await);
    let (name, control) = (format!("PROTOCOL_{}", Canaries::control()), Canaries::control());
    for place in [json!({ "environmentId": environment }), json!({ "spaceId": space })] {
        set(&operator, &name, canaries.of_protocol(), place).await;
    }
    let of_actor = json!({ "environmentId": environment, "spaceId": space, "actorId": ACTOR });
    set(&operator, &name, canaries.of_actor(), of_actor).await;
    set(&operator, "TOO_SHORT", "tiny", json!({ "environmentId": environment })).await;
    let row = set(&operator, "GONE", canaries.of_protocol(), json!({ "environmentId": environment })).await;
    let path = format!("{ROUTES}/secrets/{}", row["id"].as_str().expect("an id"));
    let (status, answer) = operator.answer(operator.request(Method::DELETE, &path)).await;
    assert!(status.is_success(), "{status} {answer}");
    let event = json!({ "topic": "test:protocol", "payload": { "control": control }, "context": { "spaceId": space } });
    operator.with(Method::POST, &format!("{ROUTES}/events"), &event).await;
    operator.get(&format!("{ROUTES}/secrets?environmentId={environment}")).await;
    // The one place where values belong: this transcript is not searched.
    let runtime = house.api.with_key(&house.key("runtime")).apart();
    let path = format!("{ROUTES}/secrets?environmentId={environment}&spaceId={space}&actorId={ACTOR}");
    let received = runtime.get(&path).await.to_string();
    assert!(received.contains(canaries.of_actor()) && received.contains(canaries.plain()));
}

/// Sets a secret, and answers its row.
async fn set(api: &Api, name: &str, value: &str, mut place: Value) -> Value {
    place["name"] = json!(name);
    place["value"] = json!(value);
    api.with(Method::POST, &format!("{ROUTES}/secrets"), &place).await["data"][0].clone()
}

async fn environment(api: &Api) -> String {
    first_id(api, "environments").await
}

async fn space(api: &Api) -> String {
    first_id(api, "spaces").await
}

async fn first_id(api: &Api, list: &str) -> String {
    let listed = api.get(&format!("{ROUTES}/{list}")).await;
    listed["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned()
}

/// What every route that can be read answers to somebody who receives no values.
pub(super) async fn every_answer(api: &Api, role: &str) -> Place {
    let (environment, space) = (environment(api).await, space(api).await);
    let secrets = format!("secrets?environmentId={environment}");
    let mut paths = vec!["environments".to_owned(), "spaces".to_owned(), "agents".to_owned(), secrets.clone()];
    paths.extend([format!("environments/{environment}"), format!("spaces/{space}")]);
    paths.extend([format!("{secrets}&spaceId={space}"), format!("{secrets}&spaceId={space}&actorId={ACTOR}")]);
    let events = api.get(&format!("{ROUTES}/events?pageSize=1000&includeAcknowledged=true")).await;
    for event in events["data"].as_array().expect("events").iter().take(100) {
        paths.push(format!("events/{}", event["id"].as_str().expect("an id")));
    }
    for path in paths {
        let rows = api.get(&format!("{ROUTES}/{path}")).await;
        let has_values = rows["data"].as_array().is_some_and(|rows| rows.iter().any(|row| row.get("value").is_some()));
        assert!(!has_values, "{role} {path}: {rows}");
    }
    Place::new(format!("what {role} may read by the Flatfile protocol"), api.transcript.bytes())
        .with_control()
        .without_keys()
}

/// Requests that are refused, with values in all the wrong places.
pub(super) async fn make_mistakes(house: &House, canaries: &Canaries) {
    let operator = house.api.with_key(&house.key("operator"));
    let environment = environment(&operator).await;
    let (value, body) = (canaries.mistyped(), json!({ "name": "A", "value": canaries.refused() }));
    let by = |api: &Api| api.request(Method::POST, &format!("{ROUTES}/secrets")).json(&body);
    let viewer = house.api.with_key(&house.key("viewer"));
    let of_viewer = json!({ "name": "A", "value": canaries.refused(), "environmentId": environment });
    let of_viewer = viewer.request(Method::POST, &format!("{ROUTES}/secrets")).json(&of_viewer);
    let requests = [wrong_bodies(&operator, canaries, &environment), wrong_paths(&operator, value)];
    let others = [by(&operator), by(&house.api.with_key(value)), of_viewer];
    for request in requests.into_iter().flatten().chain(others) {
        let shown = format!("{request:?}");
        let (status, answer) = house.api.answer(request).await;
        assert!(status.is_client_error() && answer["errors"].is_array(), "{status} {answer}\n{shown}");
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{shown}");
    }
    for said in ["a Flatfile client was refused", "secrets were listed without values", "too short to be masked"] {
        house.server.process.stderr.line(said).await;
    }
}

fn wrong_bodies(api: &Api, canaries: &Canaries, environment: &str) -> Vec<RequestBuilder> {
    let value = canaries.refused();
    let secrets = [
        json!({ "name": "A", "value": [value], "environmentId": environment }),
        json!({ "name": "A", "value": { "value": value }, "environmentId": environment }),
        json!({ "name": [value], "value": value, "environmentId": environment }),
        json!({ "name": format!(" {value}"), "value": value, "environmentId": environment }),
        json!({ "name": "A", "value": value, "environmentId": value }),
        json!({ "name": "A", "value": value, "spaceId": value }),
        json!({ "name": "A", "value": value, "environmentId": environment, "actorId": value }),
        json!({ "name": "A", "value": canaries.too_long(), "environmentId": environment }),
    ];
    let events = [json!({ "topic": format!("..{value}") }), json!({ "topic": "a", "context": value }), json!([value])];
    let spaces = [json!({ "name": [value] }), json!({ "name": "a", "environmentId": value })];
    let post = |route: &str| api.request(Method::POST, &format!("{ROUTES}/{route}"));
    let secrets = secrets.iter().map(|body| post("secrets").json(body));
    let events = events.iter().map(|body| post("events").json(body));
    let spaces = spaces.iter().map(|body| post("spaces").json(body));
    let broken = [format!(r#"{{"name":"A","value":"{value}""#), format!(r#"{{"value":"{value}\q"}}"#)];
    let broken = broken.into_iter().map(|body| post("secrets").header("content-type", "application/json").body(body));
    secrets.chain(events).chain(spaces).chain(broken).collect()
}

fn wrong_paths(api: &Api, value: &str) -> Vec<RequestBuilder> {
    let paths = [
        format!("environments/{value}"),
        format!("spaces/{value}"),
        format!("events/{value}"),
        format!("secrets?environmentId={value}"),
        format!("secrets?spaceId={value}"),
        format!("secrets?name={value}"),
        format!("events?since={value}"),
        format!("spaces?pageSize={value}"),
        format!("spaces?archived={value}"),
        value.to_owned(),
    ];
    let get = paths.iter().map(|path| api.request(Method::GET, &format!("{ROUTES}/{path}")));
    let delete = ["secrets", "spaces", "environments"];
    let delete = delete.map(|list| api.request(Method::DELETE, &format!("{ROUTES}/{list}/{value}")));
    get.chain(delete).collect()
}
