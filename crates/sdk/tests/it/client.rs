//! Emitting events.

use claviger::{Client, Error};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::server::{KEY, Server};

struct Request {
    head: String,
    body: Value,
}

/// Answers one request.
async fn answer(server: &Server, status: &str, body: Value) -> Request {
    let mut stream = BufReader::new(server.accept_stream().await);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).await.expect("a request");
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut sent = vec![0; length.expect("a length")];
    stream.read_exact(&mut sent).await.expect("a body");
    let body = body.to_string();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("an open connection");
    Request { head, body: serde_json::from_slice(&sent).expect("JSON") }
}

fn client(server: &Server) -> Client {
    Client::builder().url(server.url() + "/base/").api_key(KEY).environment("a/b").build().expect("a client")
}

#[tokio::test]
async fn an_event_is_posted_to_its_environment() {
    let server = Server::bind().await;
    let stored = json!({"id": "ev_1", "name": "payout.requested", "environment": "a/b", "revision": 12, "at": "2026-11-21T10:00:00.000Z"});
    let client = client(&server);
    let (event, request) = tokio::join!(
        client.emit("payout.requested", json!({"amount": 1})),
        answer(&server, "202 Accepted", stored.clone())
    );
    let event = event.expect("a stored event");
    assert_eq!((event.id.as_str(), event.revision, event.environment.as_str()), ("ev_1", 12, "a/b"));
    assert!(request.head.starts_with("POST /base/v1/environments/a%2Fb/events HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains(&format!("authorization: Bearer {KEY}\r\n")));
    assert_eq!(request.body, json!({"name": "payout.requested", "data": {"amount": 1}}));

    let (event, request) =
        tokio::join!(client.emit_once("ev_1", "payout.requested", ()), answer(&server, "202 Accepted", stored));
    assert!(event.is_ok());
    assert_eq!(request.body, json!({"name": "payout.requested", "data": null, "id": "ev_1"}));
}

#[tokio::test]
async fn an_event_is_emitted_in_a_space() {
    let server = Server::bind().await;
    let stored = json!({"id": "ev_1", "name": "order:created", "environment": "a/b", "space": "acme", "revision": 12});
    let client = client(&server).in_space("acme");
    let (event, request) = tokio::join!(client.emit("order:created", 7), answer(&server, "202 Accepted", stored));
    assert_eq!(event.expect("a stored event").space.as_deref(), Some("acme"));
    assert_eq!(request.body, json!({"name": "order:created", "data": 7, "space": "acme"}));
}

#[tokio::test]
async fn a_refusal_names_its_code_and_not_the_key() {
    let server = Server::bind().await;
    let problem = json!({"code": "denied", "detail": format!("{KEY} may not do that"), "requestId": "req_1"});
    let client = client(&server);
    let (refused, _) = tokio::join!(client.emit("payout.requested", ()), answer(&server, "403 Forbidden", problem));
    let error = refused.expect_err("a refusal");
    assert_eq!(error.to_string(), "the server refused: denied: <API key> may not do that");
    assert!(matches!(error, Error::Refused { status: 403, .. }));
    let (refused, _) =
        tokio::join!(client.emit("payout.requested", ()), answer(&server, "502 Bad Gateway", json!("?")));
    assert_eq!(refused.expect_err("a refusal").to_string(), "the server refused: http_502: the answer was 502");
}

#[tokio::test]
async fn an_unreachable_server_and_data_that_is_too_large() {
    let server = Server::bind().await;
    let client = client(&server);
    let large = client.emit("payout.requested", "x".repeat(300 * 1024)).await;
    assert!(matches!(large, Err(Error::TooLarge { bytes: 307_202, .. })));
    drop(server);
    let lost = client.emit("payout.requested", ()).await.expect_err("nobody listens");
    assert!(matches!(lost, Error::Unreachable { .. }), "{lost}");
}
