//! A server that does what a test says.

use std::time::Duration;

use claviger::{Function, Worker, WorkerHandle};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

pub(crate) const KEY: &str = "clv_test_4f1c9a77";
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    listener: TcpListener,
    /// Members of `registered`.
    pub(crate) heartbeat_every_ms: u64,
    pub(crate) lease_ms: u64,
}

pub(crate) struct Connection {
    socket: WebSocketStream<TcpStream>,
    pub(crate) hello: Value,
}

impl Server {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self { listener, heartbeat_every_ms: 10_000, lease_ms: 30_000 }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().expect("a bound socket"))
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::new().url(self.url()).api_key(KEY)
    }

    pub(crate) async fn accept_stream(&self) -> TcpStream {
        patiently(self.listener.accept()).await.expect("a connection").0
    }

    /// Accepts a worker and reads its `hello`, without an answer to it.
    pub(crate) async fn accept_unanswered(&self) -> Connection {
        let stream = self.accept_stream().await;
        let mut socket = patiently(accept_hdr_async(stream, check_upgrade)).await.expect("a WebSocket");
        let hello = read(&mut socket).await.expect("hello");
        Connection { socket, hello }
    }

    pub(crate) async fn accept(&self) -> Connection {
        let mut connection = self.accept_unanswered().await;
        let functions: Vec<&Value> = connection.hello["functions"]
            .as_array()
            .expect("functions")
            .iter()
            .map(|function| &function["id"])
            .collect();
        let registered = json!({"type": "registered", "protocol": 1, "session": "s1", "environment": "default",
            "functions": functions, "heartbeatEveryMs": self.heartbeat_every_ms, "leaseMs": self.lease_ms});
        connection.send(registered).await;
        connection
    }

    pub(crate) async fn start(&self, worker: Worker) -> (WorkerHandle, Connection) {
        let (handle, connection) = tokio::join!(worker.start(), self.accept());
        (handle.expect("a registered worker"), connection)
    }

    pub(crate) async fn start_function(&self, function: Function) -> (WorkerHandle, Connection) {
        self.start(self.worker().function(function)).await
    }
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn check_upgrade(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), "/v1/worker");
    assert_eq!(request.uri().query(), None);
    assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
    assert_eq!(request.headers()["sec-websocket-protocol"], "claviger.worker.v1");
    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("claviger.worker.v1"));
    Ok(response)
}

impl Connection {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("an open connection");
    }

    pub(crate) async fn send_job(&mut self, run: &str, members: Value) {
        let mut job = json!({"type": "job", "run": run, "fence": format!("{run}/1"), "function": "payout", "attempt": 1,
            "event": {"id": "ev_1", "name": "payout.requested", "data": {"amount": 1200}, "at": 1_790_000_000_000_u64,
                "environment": "default"}, "steps": [], "secrets": []});
        job.as_object_mut().expect("an object").extend(members.as_object().cloned().unwrap_or_default());
        self.send(job).await;
    }

    /// The next frame but heartbeats; `None` if the worker has closed the connection.
    pub(crate) async fn try_receive(&mut self) -> Option<Value> {
        loop {
            let frame = read(&mut self.socket).await?;
            if frame["type"] != "heartbeat" {
                return Some(frame);
            }
        }
    }

    pub(crate) async fn receive(&mut self) -> Value {
        self.try_receive().await.expect("a frame")
    }

    /// The next frame, heartbeats included.
    pub(crate) async fn receive_any(&mut self) -> Value {
        read(&mut self.socket).await.expect("a frame")
    }

    pub(crate) async fn acknowledge(&mut self, frame: &Value) {
        self.acknowledge_with(frame, json!([])).await;
    }

    pub(crate) async fn acknowledge_with(&mut self, frame: &Value, steps: Value) {
        let ended = frame["type"] != "step";
        self.send(json!({"type": "ack", "run": frame["run"], "fence": frame["fence"], "ended": ended, "steps": steps}))
            .await;
    }

    /// Receives a frame of this type and acknowledges it.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.receive().await;
        assert_eq!(frame["type"], kind, "{frame}");
        self.acknowledge(&frame).await;
        frame
    }

    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.expect("an open connection");
        while patiently(self.socket.next()).await.is_some_and(|message| message.is_ok()) {}
    }
}

/// The ids of a frame's outcomes.
pub(crate) fn ids(frame: &Value) -> Vec<&str> {
    frame["outcomes"].as_array().expect("outcomes").iter().filter_map(|outcome| outcome["id"].as_str()).collect()
}

/// A failing test ends instead of hanging.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("something within ten seconds")
}

async fn read(socket: &mut WebSocketStream<TcpStream>) -> Option<Value> {
    loop {
        match patiently(socket.next()).await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
