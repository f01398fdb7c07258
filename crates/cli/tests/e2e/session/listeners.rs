//! Spaces as listeners and functions see them, with workers of both SDKs. `listeners.mjs` has what they do in TypeScript's
//! language.

use std::{future::Future, time::Duration};

use claviger::{Context, Function, HandlerError, Listener, ListenerEvent, Lookup, Retry, Worker};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    steps::{id, only},
    workers::{Running, Sdk},
};
use crate::support::{Answer, Api, FakeStripe, NodeProgram, Server, root};

const OUTER: &str = "canary-outer-77d2";
const ACME: &str = "canary-of-acme-90ab";
const STAGING: &str = "canary-staging-3c";

#[tokio::test(flavor = "multi_thread")]
async fn listeners_look_secrets_up_in_typescript() {
    listeners(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_look_secrets_up_in_rust() {
    listeners(Sdk::Rust).await;
}

async fn listeners(sdk: Sdk) {
    let (server, reports) = tokio::join!(Server::dev(), Reports::start());
    let api = server.admin();
    set_up(&api).await;
    let _worker = start(sdk, &server, &server.runtime_key(), &reports).await;
    each_event_sees_the_secrets_of_its_space(&api, &reports).await;
    more_look_ups_than_a_job_may_have_open_wait(&api, &reports).await;
    a_change_is_seen_while_an_event_is_handled(&api, &reports).await;
    a_retry_repeats_only_the_handlers_that_failed(&api, &reports).await;
    a_listener_gets_the_events_of_its_spaces(&api, &reports).await;
    a_function_is_placed_in_the_space_of_its_event(&api, &reports).await;
    what_was_looked_up_is_masked_and_audited(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_with_the_same_listener_share_its_events() {
    // One worker holds 16 jobs at most.
    const EVENTS: usize = 20;
    let (server, reports) = tokio::join!(Server::dev(), Reports::start());
    let (api, key) = (server.admin(), server.runtime_key());
    let _workers = tokio::join!(start(Sdk::Node, &server, &key, &reports), start(Sdk::Rust, &server, &key, &reports));
    reports.0.script(vec![Answer::Hold; EVENTS]);
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        events.push(api.emit("test.shared", Value::Null).await);
    }
    let seen = reports.next(0, EVENTS).await;
    reports.0.release();
    for event in &events {
        assert_eq!(only(api.runs_of(event).await)["status"], "completed");
        let times = seen.iter().filter(|report| report["id"] == event["id"]).count();
        assert_eq!(times, 1, "each event goes to one of them: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_a_space_serves_that_space_in_typescript() {
    a_key_for_a_space(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_a_space_serves_that_space_in_rust() {
    a_key_for_a_space(Sdk::Rust).await;
}

async fn a_key_for_a_space(sdk: Sdk) {
    let (server, reports) = tokio::join!(Server::dev(), Reports::start());
    let (api, cli) = (server.admin(), server.cli());
    set_up(&api).await;
    let key = cli
        .ok(&["apikey", "create", "--role", "runtime", "--env", "default", "--space", "acme", "--secret", "*"])
        .await;
    let _worker = start_narrow(sdk, &server, key.trim_end(), &reports).await;
    let event = emit(&api, "narrow.one", Some("acme"), Value::Null).await;
    assert_eq!(only(api.runs_of(&event).await)["status"], "completed");
    assert_eq!(reports.next(0, 1).await, [json!({ "space": "acme" })]);
    // It may emit there, and nowhere else.
    let narrowed = api.with_key(key.trim_end());
    emit(&narrowed, "narrow.two", Some("acme"), Value::Null).await;
    for space in [json!("other"), Value::Null] {
        let body = json!({ "name": "narrow.three", "space": space });
        let request = narrowed.request(Method::POST, "/v1/environments/default/events").json(&body);
        let (status, problem) = narrowed.answer(request).await;
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN, "{status} {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_all_environments_reaches_the_others_in_typescript() {
    a_key_for_all_environments(Sdk::Node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_all_environments_reaches_the_others_in_rust() {
    a_key_for_all_environments(Sdk::Rust).await;
}

async fn a_key_for_all_environments(sdk: Sdk) {
    let (server, reports) = tokio::join!(Server::dev(), Reports::start());
    let (api, cli) = (server.admin(), server.cli());
    set_up(&api).await;
    let key = cli.ok(&["apikey", "create", "--role", "runtime", "--all-environments", "--secret", "*"]).await;
    let _worker = start(sdk, &server, key.trim_end(), &reports).await;
    let event = emit(&api, "look.around", Some("acme"), Value::Null).await;
    let run = only(api.runs_of(&event).await);
    assert_eq!(run["status"], "completed");
    let shown = cli.ok(&["run", "get", run["id"].as_str().expect("an id")]).await;
    assert!(shown.contains("TOKEN@1 of environment staging (attempt 1)"), "{shown}");
    let seen = only(reports.next(0, 1).await);
    assert_eq!((&seen["own"], &seen["staging"]), (&json!(ACME), &json!(STAGING)), "{seen}");
    // What came from there is in the audit there, without the space of the event.
    let audit = api.get("/v1/environments/staging/audit").await;
    let delivered = audit["items"].as_array().expect("entries").iter().find(|entry| entry["outcome"] == "delivered");
    let delivered = delivered.expect("a delivery");
    assert_eq!(delivered["secrets"], json!([{ "name": "TOKEN", "version": 1 }]), "{audit}");
    assert_eq!((&delivered["run"], &delivered["runEnvironment"]), (&run["id"], &json!("default")), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_each_space_its_own_channel() {
    let (server, reports) = tokio::join!(Server::dev(), Reports::start());
    let (api, url) = (server.admin(), reports.url());
    create_space(&api, "acme").await;
    api.set("SLACK_WEBHOOK", &format!("{url}/hooks/main")).await;
    set_in(&api, "acme", "SLACK_WEBHOOK", &format!("{url}/hooks/acme")).await;
    set_in(&api, "acme", "STRIPE_KEY", "sk_live_123").await;
    let program = NodeProgram::typescript(&root().join("examples/orders/typescript"), "dist/orders.js");
    let _worker = program.start(&server.api, &server.runtime_key(), &[("STRIPE_URL", url)]).await;

    let order = json!({ "order": "17", "amount": 1200, "kind": "big" });
    let ordered = emit(&api, "order:created", Some("acme"), order.clone()).await;
    assert_eq!(only(api.runs_of(&ordered).await)["status"], "completed");
    let elsewhere = emit(&api, "order:created", None, order.clone()).await;
    assert_eq!(only(api.runs_of(&elsewhere).await)["status"], "completed");
    api.with(Method::DELETE, "/v1/environments/default/spaces/acme/secrets/SLACK_WEBHOOK", &Value::Null).await;
    let again = emit(&api, "order:created", Some("acme"), json!({ "order": "18", "amount": 7 })).await;
    assert_eq!(only(api.runs_of(&again).await)["status"], "completed");

    let requests = reports.0.asked(4).await;
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/hooks/acme", "/v1/charges", "/hooks/main", "/hooks/main"]);
    assert_eq!(requests[0].body, br#"{"text":"Order 17 over 1200 in acme"}"#);
    assert_eq!(requests[1].body, b"amount=120&currency=eur");
    assert_eq!(requests[1].header("authorization"), Some("Bearer sk_live_123"));
    assert_eq!(requests[1].header("idempotency-key"), Some(format!("{}-deposit", id(&ordered)).as_str()));
}

/// `TOKEN` in the environment, of another value in the space `acme`, and blocked in `other`; one in `staging`, too.
async fn set_up(api: &Api) {
    api.with(Method::POST, "/v1/environments", &json!({ "name": "staging" })).await;
    api.with(Method::PUT, "/v1/environments/staging/secrets/TOKEN", &json!({ "value": STAGING })).await;
    for space in ["acme", "other", "plain"] {
        create_space(api, space).await;
    }
    api.set("TOKEN", OUTER).await;
    set_in(api, "acme", "TOKEN", ACME).await;
    let empty = json!({ "value": "", "allowShort": true });
    api.with(Method::PUT, "/v1/environments/default/secrets/EMPTY", &empty).await;
    api.with(Method::PUT, "/v1/environments/default/spaces/other/secrets/TOKEN/block", &Value::Null).await;
}

async fn each_event_sees_the_secrets_of_its_space(api: &Api, reports: &Reports) {
    let cases = [
        (None, OUTER.to_owned()),
        (Some("acme"), ACME.to_owned()),
        (Some("plain"), OUTER.to_owned()),
        (Some("other"), missing("other")),
    ];
    for (space, own) in cases {
        let before = reports.count();
        let event = emit(api, "look.here", space, Value::Null).await;
        let run = only(api.runs_of(&event).await);
        assert_eq!(run["status"], "completed", "{run}");
        let is_there = own != missing("other");
        let expected = json!({
            "space": space,
            "own": own,
            "environment": OUTER,
            "acme": ACME,
            // The key that `dev` makes for workers does not reach it.
            "staging": r#"secret "TOKEN" is not set in environment "staging", or the worker's API key does not reach it; set it with `claviger secret set TOKEN --env staging`"#,
            "empty": "",
            "has": [is_there, true, false],
        });
        assert_eq!(reports.next(before, 1).await, [expected]);
    }
}

async fn more_look_ups_than_a_job_may_have_open_wait(api: &Api, reports: &Reports) {
    for number in 0..40 {
        api.set(&format!("KEY_{number}"), &format!("canary-many-{number}")).await;
    }
    let before = reports.count();
    let event = emit(api, "test.many", Some("acme"), Value::Null).await;
    let values: Vec<_> = (0..40).map(|number| format!("canary-many-{number}")).collect();
    assert_eq!(reports.next(before, 1).await, [json!(values)]);
    assert_eq!(only(api.runs_of(&event).await)["status"], "completed");
}

fn missing(space: &str) -> String {
    let of = format!("TOKEN --env default --space {space}");
    format!(
        r#"secret "TOKEN" is not set in space "{space}" of environment "default", or the worker's API key does not reach it; set it with `claviger secret set {of}`, or see why with `claviger secret explain {of}`"#
    )
}

async fn a_change_is_seen_while_an_event_is_handled(api: &Api, reports: &Reports) {
    const NEXT: &str = "canary-rotated-5501";
    let before = reports.count();
    let event = emit(api, "test.patient", Some("acme"), Value::Null).await;
    assert_eq!(reports.next(before, 1).await, [json!({ "first": ACME })]);
    set_in(api, "acme", "TOKEN", NEXT).await;
    assert_eq!(reports.next(before + 1, 1).await, [json!({ "second": NEXT })]);
    assert_eq!(only(api.runs_of(&event).await)["status"], "completed");
    // Without its own value the space sees the environment's again, at once.
    let before = reports.count();
    let event = emit(api, "test.patient", Some("acme"), Value::Null).await;
    assert_eq!(reports.next(before, 1).await, [json!({ "first": NEXT })]);
    api.with(Method::DELETE, "/v1/environments/default/spaces/acme/secrets/TOKEN", &Value::Null).await;
    assert_eq!(reports.next(before + 1, 1).await, [json!({ "second": OUTER })]);
    assert_eq!(only(api.runs_of(&event).await)["status"], "completed");
    set_in(api, "acme", "TOKEN", ACME).await;
}

async fn a_retry_repeats_only_the_handlers_that_failed(api: &Api, reports: &Reports) {
    let before = reports.count();
    reports.0.script([Answer::Charge, Answer::Status(503)]);
    let event = emit(api, "several.orders", Some("acme"), json!({ "kind": "big", "sizes": [1, 7] })).await;
    let run = only(api.runs_of(&event).await);
    assert_eq!((&run["status"], &run["attempt"]), (&json!("completed"), &json!(2)), "{run}");
    let token = |handler: u8| json!({ "handler": handler, "token": ACME });
    let seen = reports.next(before, 4).await;
    assert_eq!(seen, [token(1), token(2), json!({ "handler": 4 }), token(2)], "in order, and the second once more");
    let run = api.run(id(&run)).await;
    let steps: Vec<_> = run["steps"].as_array().expect("steps").iter().map(|step| &step["id"]).collect();
    assert_eq!(steps, ["on/1", "on/4", "on/2"], "{run}");
}

async fn a_listener_gets_the_events_of_its_spaces(api: &Api, reports: &Reports) {
    let before = reports.count();
    for space in [None, Some("other"), Some("acme")] {
        let event = emit(api, "narrow.one", space, Value::Null).await;
        let runs = api.runs_of(&event).await;
        assert_eq!(runs.len(), usize::from(space == Some("acme")), "{space:?}: {runs:?}");
    }
    assert_eq!(reports.next(before, 1).await, [json!({ "space": "acme" })]);
    assert_eq!(reports.count(), before + 1);
}

async fn a_function_is_placed_in_the_space_of_its_event(api: &Api, reports: &Reports) {
    for (space, kind) in [(None, "big"), (Some("acme"), "small")] {
        let event = emit(api, "placed.order", space, json!({ "kind": kind, "sizes": [] })).await;
        assert!(api.runs_of(&event).await.is_empty(), "{space:?} {kind}");
    }
    let before = reports.count();
    let event = emit(api, "placed.order", Some("acme"), json!({ "kind": "big" })).await;
    let run = only(api.runs_of(&event).await);
    assert_eq!(run["result"], json!({ "space": "acme", "length": ACME.len() }), "{run}");
    // What it sent is of the same space, in which a listener hears it.
    assert_eq!(reports.next(before, 1).await, [json!({ "space": "acme" })]);
}

async fn what_was_looked_up_is_masked_and_audited(api: &Api) {
    let event = emit(api, "test.leaking", Some("acme"), Value::Null).await;
    let run = only(api.runs_of(&event).await);
    assert_eq!(run["status"], "failed", "{run}");
    let message = run["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("the token is «TOKEN@"), "{run}");
    assert!(!run.to_string().contains(ACME), "{run}");
    let audit = api.get("/v1/environments/default/audit?limit=1000").await;
    let entries = audit["items"].as_array().expect("entries");
    let delivered = entries.iter().find(|entry| entry["run"] == run["id"]).unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(
        (&delivered["function"], &delivered["outcome"]),
        (&json!("leaking"), &json!("delivered")),
        "{delivered}"
    );
    assert_eq!(
        (&delivered["secrets"][0]["name"], &delivered["secrets"][0]["space"]),
        (&json!("TOKEN"), &json!("acme"))
    );
    let has_refusal = |entry: &Value| {
        entry["outcome"] == "refused" && entry["reason"].as_str().is_some_and(|reason| reason.contains("staging"))
    };
    assert!(entries.iter().any(has_refusal), "it says why `staging` was not looked into: {audit}");
}

/// Emits an event, in a space or in none.
async fn emit(api: &Api, name: &str, space: Option<&str>, data: Value) -> Value {
    let mut body = json!({ "name": name, "data": data });
    if let Some(space) = space {
        body["space"] = json!(space);
    }
    api.with(Method::POST, "/v1/environments/default/events", &body).await
}

async fn create_space(api: &Api, name: &str) {
    api.with(Method::POST, "/v1/environments/default/spaces", &json!({ "name": name })).await;
}

async fn set_in(api: &Api, space: &str, name: &str, value: &str) {
    let path = format!("/v1/environments/default/spaces/{space}/secrets/{name}");
    api.with(Method::PUT, &path, &json!({ "value": value })).await;
}

/// What handlers tell the test, in the order in which it arrives.
struct Reports(FakeStripe);

impl Reports {
    async fn start() -> Reports {
        Reports(FakeStripe::start().await)
    }

    fn url(&self) -> &str {
        self.0.url()
    }

    fn count(&self) -> usize {
        self.0.requests().len()
    }

    /// Waits for so many reports after these.
    async fn next(&self, after: usize, count: usize) -> Vec<Value> {
        let requests = self.0.asked(after + count).await;
        requests[after..].iter().map(|request| serde_json::from_slice(&request.body).expect("a report")).collect()
    }
}

/// Starts a worker with all listeners and functions of these tests.
async fn start(sdk: Sdk, server: &Server, key: &str, reports: &Reports) -> Running {
    match sdk {
        Sdk::Node => node(server, key, &[("REPORT_URL", reports.url())]).await,
        Sdk::Rust => {
            let worker = listeners_in_rust(reports.url()).into_iter().fold(Worker::new(), Worker::listener);
            rust(server, key, worker.function(placed())).await
        }
    }
}

/// Starts a worker with the listener of one space only.
async fn start_narrow(sdk: Sdk, server: &Server, key: &str, reports: &Reports) -> Running {
    match sdk {
        Sdk::Node => node(server, key, &[("REPORT_URL", reports.url()), ("ONLY_NARROW", "1")]).await,
        Sdk::Rust => rust(server, key, Worker::new().listener(narrow(reports.url()))).await,
    }
}

async fn node(server: &Server, key: &str, variables: &[(&str, &str)]) -> Running {
    let program = NodeProgram::script(include_str!("listeners.mjs"));
    Running::Node(Box::new(program.start(&server.api, key, variables).await))
}

async fn rust(server: &Server, key: &str, worker: Worker) -> Running {
    Running::Rust(worker.url(&server.api).api_key(key).start().await.expect("a worker"))
}

fn listeners_in_rust(reports: &str) -> Vec<Listener> {
    let tell = Teller(reports.to_owned());
    vec![
        Listener::new("looking").retry(retry()).on("look.*", tell.telling(looking)),
        Listener::new("patient").on("test.patient", tell.telling(patient)),
        Listener::new("many").on("test.many", tell.telling(many)),
        Listener::new("several")
            .retry(retry())
            .on("several.*", tell.telling(|event, tell| with_token(event, tell, 1)))
            .on_matching(
                "several.*",
                [("data.kind", json!("big"))],
                tell.telling(|event, tell| with_token(event, tell, 2)),
            )
            .on_matching(
                "several.>",
                [("data.kind", json!("small"))],
                tell.telling(|_, tell| async move { tell.report(json!({ "handler": 3 })).await }),
            )
            .on_matching(
                ">",
                [("data.kind", json!("big")), ("data.sizes.1", json!(7))],
                tell.telling(|_, tell| async move { tell.report(json!({ "handler": 4 })).await }),
            ),
        narrow(reports),
        Listener::new("shared")
            .on("test.shared", tell.telling(|event, tell| async move { tell.report(json!({ "id": event.id })).await })),
        Listener::new("leaking").retry(Retry { max_attempts: 1, ..retry() }).on("test.leaking", |event| async move {
            let token = event.secrets("TOKEN").await?;
            Err(HandlerError::new(format!("the token is {}", token.expose()?)))
        }),
    ]
}

fn narrow(reports: &str) -> Listener {
    let tell = Teller(reports.to_owned());
    let report = |event: ListenerEvent, tell: Teller| async move { tell.report(json!({ "space": event.space })).await };
    Listener::new("narrow").space("acme").on("narrow.*", tell.telling(report))
}

fn placed() -> Function {
    let function = Function::new("placed").on_matching("placed.*", [("data.kind", json!("big"))]);
    function.space("acme").secret("TOKEN").handler(|ctx: Context| async move {
        ctx.send_event("tell", "narrow.told", Value::Null).await?;
        Ok(json!({ "space": ctx.event().space, "length": ctx.secrets().get("TOKEN")?.expose().len() }))
    })
}

fn retry() -> Retry {
    let delay = Duration::from_millis(20);
    Retry { max_attempts: 3, initial_delay: delay, backoff_factor: 1.0, max_delay: delay }
}

/// Tells the test what a handler saw.
#[derive(Clone)]
struct Teller(String);

impl Teller {
    /// A handler that gets a teller, too.
    fn telling<F, Fut>(&self, handler: F) -> impl Fn(ListenerEvent) -> Fut + Send + Sync + 'static
    where
        F: Fn(ListenerEvent, Teller) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let tell = self.clone();
        move |event| handler(event, tell.clone())
    }

    /// An error of the test's server becomes the handler's.
    async fn report(&self, seen: Value) -> Result<(), HandlerError> {
        let response = reqwest::Client::new().post(format!("{}/seen", self.0)).body(seen.to_string()).send().await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(HandlerError::new(format!("the report was refused: {}", response.status().as_u16())))
    }
}

async fn looking(event: ListenerEvent, tell: Teller) -> Result<(), HandlerError> {
    let mut said = Vec::new();
    for lookup in [
        Lookup::new("TOKEN"),
        Lookup::new("TOKEN").without_space(),
        Lookup::new("TOKEN").space("acme"),
        Lookup::new("TOKEN").environment("staging"),
        Lookup::new("EMPTY"),
    ] {
        let found = event.secret_in(lookup).await.and_then(|secret| secret.expose().map(str::to_owned));
        said.push(found.unwrap_or_else(|error| error.to_string()));
    }
    let has = [event.has_secret("TOKEN").await?, event.has_secret("EMPTY").await?, event.has_secret("ABSENT").await?];
    let [own, environment, acme, staging, empty] = &said[..] else { unreachable!("five look-ups") };
    tell.report(json!({
        "space": event.space,
        "own": own,
        "environment": environment,
        "acme": acme,
        "staging": staging,
        "empty": empty,
        "has": has,
    }))
    .await
}

async fn patient(event: ListenerEvent, tell: Teller) -> Result<(), HandlerError> {
    let first = event.secrets("TOKEN").await?.expose()?.to_owned();
    tell.report(json!({ "first": first })).await?;
    let mut second = first.clone();
    while second == first {
        tokio::time::sleep(Duration::from_millis(5)).await;
        event.secrets("TOKEN").await?.expose()?.clone_into(&mut second);
    }
    tell.report(json!({ "second": second })).await
}

async fn many(event: ListenerEvent, tell: Teller) -> Result<(), HandlerError> {
    let looking: Vec<_> = (0..40).map(|number| tokio::spawn(event.secrets(&format!("KEY_{number}")))).collect();
    let mut values = Vec::new();
    for found in looking {
        values.push(found.await??.expose()?.to_owned());
    }
    tell.report(json!(values)).await
}

async fn with_token(event: ListenerEvent, tell: Teller, handler: u8) -> Result<(), HandlerError> {
    let token = event.secrets("TOKEN").await?.expose()?.to_owned();
    tell.report(json!({ "handler": handler, "token": token })).await
}
