//! Registration, heartbeats, reconnecting, draining, refusals.

use std::sync::Arc;
use std::time::Duration;

use claviger::{Context, Error, Function, Retry, Worker};
use futures_util::FutureExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::server::{KEY, Server, patiently};

fn quick() -> Function {
    Function::new("payout").on("payout.requested").handler(|_: Context| async move { Ok(()) })
}

/// A function that goes on when it is told so.
fn patient(started: &Arc<Notify>, gate: &Arc<Notify>) -> Function {
    let (started, gate) = (Arc::clone(started), Arc::clone(gate));
    Function::new("payout").on("payout.requested").handler(move |ctx: Context| {
        let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
        async move {
            started.notify_one();
            ctx.step("wait", || gate.notified().map(Ok)).await?;
            Ok(())
        }
    })
}

#[tokio::test]
async fn hello_says_what_the_worker_has() {
    let server = Server::bind().await;
    let payout = Function::new("payout")
        .on("payout.requested")
        .on("refund.>")
        .retry(Retry { max_attempts: 2, ..Retry::default() })
        .concurrency(10)
        .timeout(Duration::from_secs(300))
        .handler(|_: Context| async move { Ok(()) });
    let worker = server.worker().function(payout).concurrency(64).name("payouts-1").environment("staging");
    let (handle, mut connection) = server.start(worker).await;
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({"type": "hello", "protocol": 1, "sdk": format!("rust/{version}"), "worker": "payouts-1",
        "environment": "staging", "credit": 64, "functions": [{"id": "payout",
            "triggers": [{"event": "payout.requested"}, {"event": "refund.>"}], "secrets": [],
            "retry": {"maxAttempts": 2, "initialDelayMs": 1000, "backoffFactor": 2.0, "maxDelayMs": 60000},
            "concurrency": {"limit": 10}, "timeoutMs": 300_000}]});
    assert_eq!(connection.hello, expected);
    let (stopped, drain) = tokio::join!(handle.stop(), async {
        let drain = connection.receive().await;
        assert!(connection.try_receive().await.is_none(), "the worker closes after its last job");
        drain
    });
    assert_eq!(drain, json!({"type": "drain"}));
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn heartbeats_come_and_a_silent_server_is_left() {
    let mut server = Server::bind().await;
    (server.heartbeat_every_ms, server.lease_ms) = (20, 60);
    let (_worker, mut connection) = server.start_function(quick()).await;
    assert_eq!(connection.receive_any().await, json!({"type": "heartbeat"}));
    // No answer to any of them: the worker comes again.
    server.lease_ms = 30_000;
    let mut again = server.accept().await;
    again.send_job("run_1", json!({})).await;
    again.expect("complete").await;
}

#[tokio::test]
async fn the_worker_reconnects_and_takes_jobs_again() {
    let server = Server::bind().await;
    let (_worker, mut connection) = server.start_function(quick()).await;
    for code in [1001, 1011, 4999] {
        connection.close(code).await;
        connection = server.accept().await;
        connection.send_job("run_1", json!({})).await;
        connection.expect("complete").await;
    }
}

#[tokio::test]
async fn start_waits_for_a_server_that_is_not_ready() {
    let server = Server::bind().await;
    let accept = async {
        drop(server.accept_stream().await);
        answer_upgrade(&server, "503 Service Unavailable", "{}").await;
        server.accept_unanswered().await.close(1013).await;
        server.accept().await
    };
    let (handle, _connection) = tokio::join!(server.worker().function(quick()).start(), accept);
    assert!(handle.is_ok());
}

#[tokio::test]
async fn a_tls_address_of_a_plain_server_is_an_error_and_no_panic() {
    let server = Server::bind().await;
    let worker = Worker::new().url(server.url().replace("http", "https")).api_key(KEY).function(quick());
    let starting = tokio::spawn(worker.start());
    for _ in 0..2 {
        let mut stream = server.accept_stream().await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an open connection");
    }
    starting.abort();
    assert!(starting.await.is_err_and(|error| error.is_cancelled()));
}

#[tokio::test]
async fn draining_lets_jobs_finish() {
    let server = Server::bind().await;
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (handle, mut connection) = server.start_function(patient(&started, &gate)).await;
    connection.send_job("run_1", json!({})).await;
    patiently(started.notified()).await;
    let stopping = tokio::spawn(handle.stop());
    assert_eq!(connection.receive().await["type"], "drain");
    gate.notify_one();
    let last = connection.receive().await;
    assert_eq!(last["type"], "complete");
    assert!(!stopping.is_finished(), "the last frame is not stored yet");
    connection.acknowledge(&last).await;
    assert!(connection.try_receive().await.is_none());
    assert!(patiently(stopping).await.expect("a task that ended").is_ok());
}

#[tokio::test]
async fn draining_has_an_end() {
    let server = Server::bind().await;
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let worker = server.worker().function(patient(&started, &gate)).drain_within(Duration::ZERO);
    let (handle, mut connection) = server.start(worker).await;
    connection.send_job("run_1", json!({})).await;
    patiently(started.notified()).await;
    let stopping = tokio::spawn(handle.stop());
    assert_eq!(connection.receive().await["type"], "drain");
    assert!(connection.try_receive().await.is_none());
    assert!(patiently(stopping).await.expect("a task that ended").is_ok());
}

#[tokio::test]
async fn a_server_that_drains_gets_its_jobs_done_and_the_worker_comes_back() {
    let server = Server::bind().await;
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (_worker, mut connection) = server.start_function(patient(&started, &gate)).await;
    connection.send_job("run_1", json!({})).await;
    patiently(started.notified()).await;
    connection.send(json!({"type": "drain"})).await;
    gate.notify_one();
    connection.expect("complete").await;
    connection.close(1001).await;
    server.accept().await;
}

#[tokio::test]
async fn refusals_end_start_and_never_repeat_the_key() {
    for (code, status) in [("invalid_request", 4400), ("unknown_api_key", 4401), ("denied", 4403)] {
        let server = Server::bind().await;
        let refuse = async {
            let mut connection = server.accept_unanswered().await;
            let detail = format!("the key {KEY} will not do");
            connection.send(json!({"type": "error", "code": code, "detail": detail})).await;
            connection.close(status).await;
        };
        let (refused, ()) = tokio::join!(server.worker().function(quick()).start(), refuse);
        let error = refused.expect_err("a refusal");
        assert!(matches!(&error, Error::Refused { status: seen, .. } if *seen == status), "{error:?}");
        assert_eq!(error.to_string(), format!("the server refused: {code}: the key <API key> will not do"));
        assert!(!format!("{error:?}").contains(KEY));
    }
}

#[tokio::test]
async fn a_refused_upgrade_ends_start() {
    let server = Server::bind().await;
    let body = r#"{"code":"expired_api_key","detail":"the key has expired","requestId":"req_1"}"#;
    let refuse = answer_upgrade(&server, "401 Unauthorized", body);
    let (refused, ()) = tokio::join!(server.worker().function(quick()).start(), refuse);
    let error = refused.expect_err("a refusal");
    assert_eq!(error.to_string(), "the server refused: expired_api_key: the key has expired");
    assert!(matches!(error, Error::Refused { status: 401, request_id: Some(id), .. } if id == "req_1"));
}

#[tokio::test]
async fn a_refusal_later_ends_the_worker() {
    let server = Server::bind().await;
    let (mut handle, mut connection) = server.start_function(quick()).await;
    connection.send(json!({"type": "error", "code": "unknown_api_key", "detail": "revoked"})).await;
    connection.close(4401).await;
    let ended = patiently(handle.stopped()).await;
    assert!(matches!(ended, Err(Error::Refused { status: 4401, .. })));
    assert!(handle.stop().await.is_ok(), "it has said so once");
}

#[tokio::test]
async fn settings_are_checked_before_anything_is_sent() {
    let worker = || Worker::new().url("http://127.0.0.1:1").api_key(KEY);
    let problems = [
        (worker(), "the worker has no function"),
        (worker().function(quick()).function(quick()), "the worker has two functions \"payout\""),
        (worker().function(quick()).concurrency(0), "a worker holds 1 to 1024 jobs at once, not 0"),
        (worker().function(quick()).concurrency(1025), "a worker holds 1 to 1024 jobs at once, not 1025"),
        (worker().function(quick()).api_key("clv key"), "the API key holds characters that no key has"),
        (
            worker().function(quick()).url("http://user:pass@localhost"),
            "the server's address cannot be used: a user, a password or a query has no place in it",
        ),
        (
            worker().function(quick()).url("nats://localhost"),
            "the server's address cannot be used: it begins with neither http:// nor https://",
        ),
    ];
    for (worker, message) in problems {
        assert_eq!(worker.start().await.err().map(|error| error.to_string()).as_deref(), Some(message));
    }
}

/// Answers a worker's upgrade request with an HTTP error.
async fn answer_upgrade(server: &Server, status: &str, body: &str) {
    let mut stream = server.accept_stream().await;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a request"));
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("an open connection");
}
