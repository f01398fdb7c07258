//! Look-ups: what is asked, how often, and how they end.

use std::sync::Arc;

use claviger::{Error, HandlerError, Listener, ListenerEvent, Lookup, Secret};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::listeners::{send_event, start};
use crate::server::{Connection, Server, patiently};

/// A listener with one handler; what the handler makes is reported.
fn listener<F, Fut, T>(handler: F) -> (Listener, mpsc::UnboundedReceiver<T>)
where
    F: Fn(ListenerEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, HandlerError>> + Send + 'static,
    T: Send + 'static,
{
    let (sender, reports) = mpsc::unbounded_channel();
    let listener = Listener::new("orders").on(">", move |event| {
        let (sender, handling) = (sender.clone(), handler(event));
        async move {
            let report = handling.await?;
            sender.send(report).map_err(|_| HandlerError::new("nobody wants to know"))
        }
    });
    (listener, reports)
}

async fn expect_lookup(connection: &mut Connection, name: &str) -> Value {
    let frame = connection.receive().await;
    assert_eq!((&frame["type"], &frame["name"]), (&json!("lookup"), &json!(name)), "{frame}");
    frame
}

/// Answers a look-up with these members, besides those that all answers have.
async fn answer(connection: &mut Connection, lookup: &Value, members: Value) {
    let mut frame = json!({"type": "secret", "run": lookup["run"], "fence": lookup["fence"], "id": lookup["id"],
        "name": lookup["name"]});
    frame.as_object_mut().expect("an object").extend(members.as_object().cloned().unwrap_or_default());
    connection.send(frame).await;
}

fn value(text: &str) -> Value {
    json!({"version": 1, "value": text})
}

fn shown(result: &Result<Secret, Error>) -> String {
    match result {
        Ok(secret) => secret.expose().map_or_else(|error| error.to_string(), str::to_owned),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_name_is_asked_for_once() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let token = event.secrets("SLACK_TOKEN").await?;
        let again = event.secrets("SLACK_TOKEN").await?;
        let facts = json!([token.expose()?, token.expose_bytes().len(), token.version(), again.expose()?]);
        let certificate = event.secrets("CERTIFICATE").await?;
        let bytes = json!([certificate.expose_bytes(), certificate.expose().err().map(|error| error.to_string())]);
        let has = json!([
            event.has_secret("SLACK_TOKEN").await?,
            event.has_secret("NONE").await?,
            event.has_secret("NONE").await?
        ]);
        let empty = event.secrets("EMPTY").await?.expose()?.len();
        Ok(json!([facts, bytes, has, empty]))
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let lookup = expect_lookup(&mut connection, "SLACK_TOKEN").await;
    let expected = json!({"type": "lookup", "run": "run_1", "fence": "run_1/1", "id": "1", "name": "SLACK_TOKEN"});
    assert_eq!(lookup, expected);
    answer(&mut connection, &lookup, json!({"version": 3, "value": "xoxb-\"1\""})).await;
    let lookup = expect_lookup(&mut connection, "CERTIFICATE").await;
    assert_eq!(lookup["id"], "2");
    answer(&mut connection, &lookup, json!({"version": 1, "value": "/wAB", "encoding": "base64"})).await;
    let lookup = expect_lookup(&mut connection, "NONE").await;
    answer(&mut connection, &lookup, json!({})).await;
    let lookup = expect_lookup(&mut connection, "EMPTY").await;
    answer(&mut connection, &lookup, value("")).await;
    assert_eq!(connection.expect("complete").await["outcomes"], json!([]));
    let facts = json!(["xoxb-\"1\"", 8, 3, "xoxb-\"1\""]);
    let bytes = json!([[255, 0, 1], "secret \"CERTIFICATE\" is not text"]);
    assert_eq!(patiently(reports.recv()).await, Some(json!([facts, bytes, [true, false, false], 0])));

    send_event(&mut connection, "run_2", json!({})).await;
    expect_lookup(&mut connection, "SLACK_TOKEN").await;
}

#[tokio::test]
async fn frames_say_only_what_the_job_does_not() {
    type InScope = fn(Lookup) -> Lookup;
    // What a frame says in a job of the space, and in one of the environment.
    let cases: [(InScope, Value, Value); 7] = [
        (|lookup| lookup, json!({}), json!({})),
        (|lookup| lookup.environment("default"), json!({}), json!({})),
        (|lookup| lookup.space("acme"), json!({}), json!({"space": "acme"})),
        (|lookup| lookup.space("other"), json!({"space": "other"}), json!({"space": "other"})),
        (|lookup| lookup.without_space(), json!({"space": null}), json!({})),
        (|lookup| lookup.environment("staging"), json!({"environment": "staging"}), json!({"environment": "staging"})),
        (
            |lookup| lookup.environment("staging").space("acme"),
            json!({"environment": "staging", "space": "acme"}),
            json!({"environment": "staging", "space": "acme"}),
        ),
    ];
    let server = Server::bind().await;
    let scopes = cases.each_ref().map(|(scope, ..)| *scope);
    let (listener, _reports) = listener(move |event| async move {
        for (number, scope) in scopes.iter().enumerate() {
            event.has_secret(scope(Lookup::new(format!("KEY_{number}")))).await?;
        }
        Ok(())
    });
    let (_worker, mut connection) = start(&server, listener).await;
    for space in [json!("acme"), Value::Null] {
        send_event(&mut connection, "run_1", json!({"space": space})).await;
        for (number, (_, in_space, in_environment)) in cases.iter().enumerate() {
            let frame = expect_lookup(&mut connection, &format!("KEY_{number}")).await;
            let mut scope = frame.as_object().cloned().expect("an object");
            scope.retain(|name, _| ["environment", "space"].contains(&&**name));
            let expected = if space.is_null() { in_environment } else { in_space };
            assert_eq!(&Value::from(scope), expected, "KEY_{number} in {space}");
            answer(&mut connection, &frame, json!({})).await;
        }
        connection.expect("complete").await;
    }
}

#[tokio::test]
async fn what_is_not_found_is_named_with_what_to_do() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let lookups = [
            Lookup::new("SLACK_TOKEN"),
            Lookup::new("SLACK_TOKEN").without_space(),
            Lookup::new("it's mine").environment("staging").space("other"),
        ];
        Ok(join_all(lookups.map(|lookup| event.secret_in(lookup))).await)
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    for _ in 0..3 {
        let lookup = connection.receive().await;
        answer(&mut connection, &lookup, json!({})).await;
    }
    let results = patiently(reports.recv()).await.expect("a report");
    let reach = "or the worker's API key does not reach it; set it with";
    let expected = [
        format!(
            "secret \"SLACK_TOKEN\" is not set in space \"acme\" of environment \"default\", {reach} \
             `claviger secret set SLACK_TOKEN --env default --space acme`, or see why with \
             `claviger secret explain SLACK_TOKEN --env default --space acme`"
        ),
        format!(
            "secret \"SLACK_TOKEN\" is not set in environment \"default\", {reach} \
             `claviger secret set SLACK_TOKEN --env default`"
        ),
        format!(
            "secret \"it's mine\" is not set in space \"other\" of environment \"staging\", {reach} \
             `claviger secret set 'it'\\''s mine' --env staging --space other`, or see why with \
             `claviger secret explain 'it'\\''s mine' --env staging --space other`"
        ),
    ];
    assert_eq!(results.iter().map(shown).collect::<Vec<_>>(), expected);
    assert!(matches!(&results[0], Err(Error::SecretNotFound { space: Some(space), .. }) if space == "acme"));
}

#[tokio::test]
async fn concurrent_look_ups_of_one_secret_are_one_frame() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let same = [Lookup::new("A"), Lookup::new("A").space("acme"), Lookup::new("A").environment("default")];
        let others = [Lookup::new("A").without_space(), Lookup::new("B")];
        let all = same.into_iter().chain(others).map(|lookup| event.secret_in(lookup));
        Ok(join_all(all).await.iter().map(shown).collect::<Vec<_>>())
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    for (name, text) in [("A", "of the space"), ("A", "of the environment"), ("B", "another")] {
        let lookup = expect_lookup(&mut connection, name).await;
        answer(&mut connection, &lookup, value(text)).await;
    }
    connection.expect("complete").await;
    let of_the_space = ["of the space"; 3];
    let expected = of_the_space.into_iter().chain(["of the environment", "another"]).collect::<Vec<_>>();
    assert_eq!(patiently(reports.recv()).await, Some(expected.iter().map(|text| (*text).to_owned()).collect()));
}

#[tokio::test]
async fn answers_may_come_in_any_order_and_more_than_sixteen_wait() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let names = (1..=20).map(|number| format!("KEY_{number}"));
        Ok(join_all(names.map(|name| event.secrets(&name))).await.iter().map(shown).collect::<Vec<_>>())
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let mut open = Vec::new();
    for number in 1..=16 {
        open.push(expect_lookup(&mut connection, &format!("KEY_{number}")).await);
    }
    // Another job is not held up, and shows that nothing more was sent.
    send_event(&mut connection, "run_2", json!({})).await;
    for number in 1..=16 {
        assert_eq!(expect_lookup(&mut connection, &format!("KEY_{number}")).await["run"], "run_2");
    }
    for number in 17..=20 {
        let last = open.pop().expect("an open look-up");
        answer(&mut connection, &last, value(&last["name"].to_string())).await;
        open.insert(0, expect_lookup(&mut connection, &format!("KEY_{number}")).await);
    }
    while let Some(last) = open.pop() {
        answer(&mut connection, &last, value(&last["name"].to_string())).await;
    }
    assert_eq!(connection.expect("complete").await["run"], "run_1");
    let expected: Vec<_> = (1..=20).map(|number| format!("\"KEY_{number}\"")).collect();
    assert_eq!(patiently(reports.recv()).await, Some(expected));
}

#[tokio::test]
async fn a_changed_secret_is_asked_for_again() {
    let server = Server::bind().await;
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let (listener, mut reports) = listener(move |event| {
        let gate = Arc::clone(&gate);
        async move {
            let mut seen = vec![event.secrets("A").await?.version(), event.secrets("B").await?.version()];
            gate.notified().await;
            seen.extend([event.secrets("A").await?.version(), event.secrets("B").await?.version()]);
            Ok(seen)
        }
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    for name in ["A", "B"] {
        let lookup = expect_lookup(&mut connection, name).await;
        answer(&mut connection, &lookup, value("old")).await;
    }
    for fence in ["another", "run_1/1"] {
        connection.send(json!({"type": "changed", "run": "run_1", "fence": fence, "name": "A"})).await;
    }
    // The worker reads frames in order, so that the answer to this says that the change has arrived.
    connection.send_job("unknown", json!({"function": "unknown"})).await;
    assert_eq!(connection.receive().await["type"], "fail");
    opened.notify_one();
    let lookup = expect_lookup(&mut connection, "A").await;
    answer(&mut connection, &lookup, json!({"version": 2, "value": "new"})).await;
    connection.expect("complete").await;
    assert_eq!(patiently(reports.recv()).await, Some(vec![1, 1, 2, 1]));
}

#[tokio::test]
async fn an_answer_from_before_a_change_is_not_kept() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        Ok([
            event.secrets("A").await?.version(),
            event.secrets("A").await?.version(),
            event.secrets("A").await?.version(),
        ])
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let lookup = expect_lookup(&mut connection, "A").await;
    connection.send(json!({"type": "changed", "run": "run_1", "fence": "run_1/1", "name": "A"})).await;
    answer(&mut connection, &lookup, value("old")).await;
    let lookup = expect_lookup(&mut connection, "A").await;
    answer(&mut connection, &lookup, json!({"version": 2, "value": "new"})).await;
    connection.expect("complete").await;
    assert_eq!(patiently(reports.recv()).await, Some([1, 2, 2]));
}

#[tokio::test]
async fn a_refused_look_up_fails_alone_and_may_be_repeated() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let results = [event.secrets("A").await, event.secrets("A").await, event.secrets("A").await];
        Ok(results.each_ref().map(shown))
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let lookup = expect_lookup(&mut connection, "A").await;
    // What is about no open look-up changes nothing.
    answer(&mut connection, &json!({"run": "run_1", "fence": "run_1/1", "id": "7", "name": "A"}), value("?")).await;
    answer(&mut connection, &json!({"run": "run_1", "fence": "another", "id": "1", "name": "A"}), value("?")).await;
    connection
        .send(json!({"type": "error", "code": "unavailable", "detail": "not now", "run": "run_1", "fence": "run_1/1",
            "id": lookup["id"]}))
        .await;
    let lookup = expect_lookup(&mut connection, "A").await;
    answer(&mut connection, &lookup, json!({"version": 1, "value": "canary", "encoding": "rot13"})).await;
    let lookup = expect_lookup(&mut connection, "A").await;
    answer(&mut connection, &lookup, value("found")).await;
    connection.expect("complete").await;
    let expected = [
        "secret \"A\" could not be looked up: unavailable: not now",
        "secret \"A\" could not be looked up: unknown_encoding: the value has an encoding that cannot be read",
        "found",
    ];
    assert_eq!(patiently(reports.recv()).await, Some(expected.map(str::to_owned)));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_the_job_without_quoting_it() {
    let server = Server::bind().await;
    let (listener, _reports) = listener(|event| async move { Ok(event.secrets("A").await?) });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let lookup = expect_lookup(&mut connection, "A").await;
    answer(&mut connection, &lookup, json!({"version": "canary", "value": "canary"})).await;
    let frame = connection.expect("fail").await;
    assert_eq!(frame["run"], "run_1");
    assert!(!frame.to_string().contains("canary"));
}

/// A listener whose handler leaves a task behind: it looks a secret up, and reports how that ended.
fn leaving(reports: mpsc::UnboundedSender<String>) -> Listener {
    Listener::new("orders").on(">", move |event: ListenerEvent| {
        let reports = reports.clone();
        async move {
            let left = event.clone();
            tokio::spawn(async move {
                for name in ["LATE", "LATER"] {
                    let _ = reports.send(shown(&left.secrets(name).await));
                }
            });
            event.secrets("A").await?;
            Ok(())
        }
    })
}

#[tokio::test]
async fn open_look_ups_end_with_the_job() {
    const ENDS: [&str; 2] = [
        "secret \"LATE\" cannot be looked up: the job is over",
        "secret \"LATER\" cannot be looked up: the job is over",
    ];
    let server = Server::bind().await;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let (_worker, mut connection) = start(&server, leaving(sender)).await;
    for end in ["cancelled", "lost", "handled", "disconnected"] {
        send_event(&mut connection, end, json!({})).await;
        let lookups = [connection.receive().await, connection.receive().await];
        let of_handler = lookups.iter().find(|lookup| lookup["name"] == "A").expect("two look-ups");
        match end {
            "handled" => {
                answer(&mut connection, of_handler, value("found")).await;
                connection.expect("complete").await;
            }
            "disconnected" => {
                connection.close(1001).await;
                connection = server.accept().await;
            }
            reason => {
                let cancel = json!({"type": "cancel", "run": end, "fence": of_handler["fence"], "reason": reason});
                connection.send(cancel).await;
            }
        }
        let seen = [patiently(reports.recv()).await, patiently(reports.recv()).await];
        assert_eq!(seen.each_ref().map(Option::as_deref), ENDS.map(Some), "{end}");
    }
    // Nothing was sent for a job that was over.
    send_event(&mut connection, "next", json!({})).await;
    assert_eq!(connection.receive().await["run"], "next");
}

#[tokio::test]
async fn debug_output_shows_no_value() {
    let server = Server::bind().await;
    let (listener, mut reports) = listener(|event| async move {
        let token = event.secrets("SLACK_TOKEN").await?;
        Ok(format!("{token:?} {token:#?} {event:?} {event:#?} {:?}", event.secrets("SLACK_TOKEN").await))
    });
    let declared = format!("{listener:?}");
    assert!(declared.contains("orders"), "{declared}");
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let lookup = expect_lookup(&mut connection, "SLACK_TOKEN").await;
    answer(&mut connection, &lookup, value("canary")).await;
    let shown = patiently(reports.recv()).await.expect("a report");
    assert!(shown.contains("SLACK_TOKEN") && shown.contains("run_1"), "{shown}");
    assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
}
