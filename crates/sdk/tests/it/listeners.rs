//! Listeners: what they declare, which handler gets an event, and what is stored of several.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use claviger::{Context, Error, Function, HandlerError, Listener, ListenerEvent, Retry, WorkerHandle};
use serde_json::{Value, json};

use crate::server::{Connection, Server, ids};

/// Starts a worker that has this listener.
pub(crate) async fn start(server: &Server, listener: Listener) -> (WorkerHandle, Connection) {
    server.start(server.worker().listener(listener)).await
}

/// Sends an event of the space `acme` to the listener `orders`.
pub(crate) async fn send_event(connection: &mut Connection, run: &str, members: Value) {
    let mut event = json!({"id": "ev_1", "name": "order:created", "data": {"kind": "big"}, "at": 1_790_000_000_000_u64,
        "environment": "default", "space": "acme"});
    event.as_object_mut().expect("an object").extend(members.as_object().cloned().unwrap_or_default());
    connection.send_job(run, json!({"function": "orders", "event": event})).await;
}

/// Counts itself.
fn counting(calls: &Arc<AtomicU32>) -> impl Fn(ListenerEvent) -> std::future::Ready<Result<(), HandlerError>> + use<> {
    let calls = Arc::clone(calls);
    move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(()))
    }
}

async fn nothing(_: ListenerEvent) -> Result<(), HandlerError> {
    Ok(())
}

#[tokio::test]
async fn hello_declares_listeners_and_functions_of_spaces() {
    let server = Server::bind().await;
    let listener = Listener::new("orders")
        .space("acme")
        .space("other")
        .retry(Retry { max_attempts: 2, ..Retry::default() })
        .concurrency(3)
        .timeout(Duration::from_secs(5))
        .on("order:created", nothing)
        .on_matching("order.*", [("data.kind", json!("big")), ("data.items.0", json!(7))], nothing)
        .on("order:created", nothing);
    let function = Function::new("payout")
        .on("payout.requested")
        .on_matching("payout.>", [("data.kind", json!(null))])
        .space("acme")
        .handler(|_: Context| async move { Ok(()) });
    let (_worker, connection) = server.start(server.worker().listener(listener).function(function)).await;
    let mut declared = connection.hello["functions"].as_array().cloned().expect("functions");
    declared.sort_by_key(|function| function["id"].to_string());
    let expected = json!([
        {"id": "orders", "spaces": ["acme", "other"], "secrets": [], "lookups": true,
            "triggers": [{"event": "order:created"}, {"event": "order.*",
                "match": [{"path": "data.kind", "equals": "big"}, {"path": "data.items.0", "equals": 7}]}],
            "retry": {"maxAttempts": 2, "initialDelayMs": 1000, "backoffFactor": 2.0, "maxDelayMs": 60000},
            "concurrency": {"limit": 3}, "timeoutMs": 5000},
        {"id": "payout", "spaces": ["acme"], "secrets": [], "triggers": [{"event": "payout.requested"},
            {"event": "payout.>", "match": [{"path": "data.kind", "equals": null}]}]}]);
    assert_eq!(Value::from(declared), expected);
}

#[tokio::test]
async fn a_listener_without_a_handler_is_refused() {
    let server = Server::bind().await;
    let refused = server.worker().listener(Listener::new("orders").space("acme")).start().await;
    assert_eq!(refused.expect_err("no handler").to_string(), "listener \"orders\" has no handler");
}

#[tokio::test]
async fn an_event_goes_to_the_handlers_that_it_fits() {
    let server = Server::bind().await;
    let [created, big, any] = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
    let listener = Listener::new("orders")
        .on("order:created", counting(&created))
        .on_matching(">", [("data.kind", json!("big"))], counting(&big))
        .on_matching("*", [("data.kind", json!("small"))], counting(&any));
    let (_worker, mut connection) = start(&server, listener).await;
    let expected = [("big", [1, 1, 0]), ("small", [2, 1, 1]), ("none", [3, 1, 1])];
    for (kind, calls) in expected {
        send_event(&mut connection, kind, json!({"data": {"kind": kind}})).await;
        let mut frame = connection.receive().await;
        connection.acknowledge(&frame).await;
        while frame["type"] == "step" {
            frame = connection.expect("complete").await;
        }
        assert_eq!((&frame["type"], &frame["result"]), (&json!("complete"), &Value::Null));
        assert_eq!([&created, &big, &any].map(|count| count.load(Ordering::SeqCst)), calls, "after {kind}");
    }
}

#[tokio::test]
async fn the_event_says_where_it_is_from() {
    let server = Server::bind().await;
    let listener = Listener::new("orders").on("order:created", |event| async move {
        let described = json!([event.name, event.data, event.space, event.environment(), event.run(), event.attempt()]);
        Err(HandlerError::non_retryable(format!("{described} {event:?}")))
    });
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let text = connection.expect("fail").await["error"]["message"].to_string();
    let described = json!(["order:created", {"kind": "big"}, "acme", "default", "run_1", 1]).to_string();
    assert!(text.replace('\\', "").contains(&described), "{text}");
    assert!(text.contains("ListenerEvent"), "{text}");
    send_event(&mut connection, "run_2", json!({"space": null})).await;
    let text = connection.expect("fail").await["error"]["message"].to_string();
    assert!(text.contains("null,"), "{text}");
}

#[tokio::test]
async fn one_handler_makes_no_step_and_several_make_one_each() {
    let server = Server::bind().await;
    let calls = Arc::new(AtomicU32::new(0));
    let listener = Listener::new("orders")
        .on("order:created", counting(&calls))
        .on("order:deleted", counting(&calls))
        .on("order.*", nothing)
        .on("*", counting(&calls));
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let first = connection.expect("step").await;
    assert_eq!(first["outcomes"], json!([{"id": "on/1", "kind": "run", "result": null}]));
    let last = connection.expect("complete").await;
    assert_eq!((ids(&last), calls.load(Ordering::SeqCst)), (vec!["on/4"], 2));
    send_event(&mut connection, "run_2", json!({"name": "order"})).await;
    let only = connection.expect("complete").await;
    assert_eq!((ids(&only), calls.load(Ordering::SeqCst)), (Vec::new(), 3));
}

#[tokio::test]
async fn a_repetition_executes_only_what_has_failed() {
    let server = Server::bind().await;
    let done = Arc::new(AtomicU32::new(0));
    let listener = Listener::new("orders")
        .on(">", |_| async { Err(HandlerError::non_retryable("it never works").named("Never")) })
        .on(">", |event: ListenerEvent| async move {
            if event.attempt() == 1 { Err(HandlerError::new("not yet").named("NotYet")) } else { Ok(()) }
        })
        .on(">", counting(&done));
    let (_worker, mut connection) = start(&server, listener).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let frame = connection.expect("fail").await;
    assert_eq!(frame["outcomes"], json!([{"id": "on/3", "kind": "run", "result": null}]));
    assert_eq!((&frame["error"]["name"], &frame["retryable"]), (&json!("NotYet"), &json!(true)));

    let steps = json!([{"id": "on/3", "result": null}]);
    let event = json!({"id": "ev_1", "name": "order", "at": 0, "environment": "default"});
    let again = json!({"function": "orders", "event": event, "attempt": 2, "steps": steps});
    connection.send_job("run_1", again).await;
    let frame = connection.expect("fail").await;
    assert_eq!(ids(&frame), ["on/2"]);
    assert_eq!((&frame["error"]["name"], &frame["retryable"]), (&json!("Never"), &json!(false)));
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_event_without_a_handler_here_is_given_back() {
    let server = Server::bind().await;
    let (_worker, mut connection) = start(&server, Listener::new("orders").on("order:created", nothing)).await;
    send_event(&mut connection, "run_1", json!({"name": "order:deleted"})).await;
    let frame = connection.expect("fail").await;
    assert_eq!(frame["error"]["message"], "this worker has no handler for event \"order:deleted\"");
    assert_eq!(frame["retryable"], true);
}

#[tokio::test]
async fn functions_know_the_space_of_their_run() {
    let server = Server::bind().await;
    let function =
        Function::new("orders").on("order:created").secret("STRIPE_KEY").handler(|ctx: Context| async move {
            let missing = ctx.secrets().get("STRIPE_KEY").err().map(|error: Error| error.to_string());
            Ok(json!([ctx.event().space, missing]))
        });
    let (_worker, mut connection) = server.start_function(function).await;
    send_event(&mut connection, "run_1", json!({})).await;
    let missing = "secret \"STRIPE_KEY\" is not set in space \"acme\" of environment \"default\"";
    assert_eq!(connection.expect("complete").await["result"], json!(["acme", missing]));
}
