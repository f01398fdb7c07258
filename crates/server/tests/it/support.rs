//! A server of one's own, and clients.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use claviger_api::Durability;
use claviger_core::{Bounds, Role};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Engine, Names, Parts, WallClock,
    access::{NewApiKey, system_caller},
};
use claviger_server::{MasterKeyOrigin, Options, Server};
use claviger_store::{Ledger, MemoryQueue, SqliteIndex, SqliteLedger, SqliteOptions};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, client::IntoClientRequest};

pub(crate) const ORIGIN: &str = "https://app.example.com";

/// A running server.
pub(crate) struct House {
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    client: reqwest::Client,
    _directory: TempDir,
}

impl House {
    pub(crate) async fn open() -> House {
        let directory = TempDir::new().unwrap();
        let ledger = SqliteLedger::open(SqliteOptions::new(directory.path().join("claviger.db"))).unwrap();
        let index = SqliteIndex::open(directory.path().join("index.db"), ledger.incarnation()).unwrap();
        let parts = Parts {
            ledger: Arc::new(ledger),
            queue: Arc::new(MemoryQueue::new()),
            index: Arc::new(index),
            master: MasterKey::generate(),
            clock: Arc::new(WallClock),
            names: Names::Plain,
        };
        let engine = Arc::new(Engine::open(parts).await.unwrap());
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            cors_origins: vec![ORIGIN.to_owned()],
            master_key: MasterKeyOrigin::Development,
            warnings: vec!["the master key lies beside the data".to_owned()],
            store: "sqlite",
            durability: Durability {
                level: "durable".to_owned(),
                replicas: 1,
                storage: "file".to_owned(),
                synced: "always".to_owned(),
            },
        };
        let server = Server::bind(engine.clone(), options).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        House { engine, address, stop: Some(stop), serving: Some(serving), client, _directory: directory }
    }

    /// Stops the server as a signal would, and waits for it.
    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An API key of a role: for `default`, but for an administrator.
    pub(crate) async fn key(&self, role: Role) -> String {
        let bounds = match role {
            Role::Runtime => Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() },
            Role::Subscriber => Bounds { events: vec!["news.>".parse().unwrap()], ..Bounds::default() },
            _ => Bounds::default(),
        };
        self.key_with(role, bounds).await
    }

    pub(crate) async fn key_with(&self, role: Role, bounds: Bounds) -> String {
        let environment = (role != Role::Admin).then(|| "default".parse().unwrap());
        self.key_of(NewApiKey { role, environment, description: None, bounds, ttl: None }).await
    }

    /// A worker's key for all environments.
    pub(crate) async fn key_everywhere(&self) -> String {
        let bounds = Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
        let role = Role::Runtime;
        self.key_of(NewApiKey { role, environment: None, description: None, bounds, ttl: None }).await
    }

    async fn key_of(&self, new: NewApiKey) -> String {
        self.engine.access().create_api_key(&system_caller(), new).await.unwrap().1.to_string()
    }

    pub(crate) async fn admin(&self) -> Client<'_> {
        self.client(Role::Admin).await
    }

    pub(crate) async fn client(&self, role: Role) -> Client<'_> {
        self.client_with(&self.key(role).await)
    }

    pub(crate) fn client_with(&self, key: &str) -> Client<'_> {
        Client { house: self, key: Some(key.to_owned()) }
    }

    pub(crate) fn nobody(&self) -> Client<'_> {
        Client { house: self, key: None }
    }

    /// Sends bytes as they are and answers with status and body.
    pub(crate) async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        (status, body)
    }

    /// The same for a path that a URL library would change.
    pub(crate) async fn raw_path(&self, method: &str, path: &str, key: &str) -> (u16, String) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            self.address
        );
        self.raw(&head).await
    }
}

/// Somebody with a key, or without.
pub(crate) struct Client<'a> {
    house: &'a House,
    key: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The code of a problem, after a look at its form.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("/errors/{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"].as_str().unwrap(), self.headers["x-request-id"].to_str().unwrap());
        assert_eq!(problem["title"], claviger_api::find_code(&code).unwrap().title);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        code
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Client<'_> {
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.house.client.request(method, self.house.url(path));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PUT", path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    pub(crate) async fn set(&self, name: &str, value: &str) -> Answer {
        self.put(&format!("/v1/environments/default/secrets/{name}"), &json!({ "value": value })).await
    }

    pub(crate) async fn emit(&self, name: &str, data: Value) -> Answer {
        self.post("/v1/environments/default/events", &json!({ "name": name, "data": data })).await
    }

    /// Opens an event stream; the query begins with its question mark.
    pub(crate) async fn subscribe(&self, query: &str) -> Frames {
        let request = self.request("GET", &format!("/v1/environments/default/subscribe{query}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Frames { response, buffer: String::new() }
    }
}

/// A stream of server-sent events.
pub(crate) struct Frames {
    response: reqwest::Response,
    buffer: String,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct SseFrame {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Frames {
    /// The next frame, comments left out; `None` at a clean end.
    pub(crate) async fn next(&mut self) -> Option<SseFrame> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.map(str::to_owned)
                };
                let Some(kind) = field("event") else { continue };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(SseFrame { id: field("id").unwrap(), kind, data });
            }
            let chunk = self.response.chunk().await.expect("the stream does not break off")?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

/// A worker, as another program would write one.
pub(crate) struct Worker {
    socket: Socket,
}

/// The end of a worker's connection: the close code and its reason.
pub(crate) type End = (u16, String);

impl Worker {
    /// Connects.
    ///
    /// # Errors
    /// The HTTP status and body of a refusal.
    pub(crate) async fn connect(house: &House, headers: &[(&'static str, &str)]) -> Result<Worker, (u16, String)> {
        let mut request = format!("ws://{}/v1/worker", house.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, response)) => {
                assert_eq!(response.headers()["sec-websocket-protocol"], "claviger.worker.v1");
                Ok(Worker { socket })
            }
            Err(WsError::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body.to_vec()).unwrap()))
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub(crate) async fn with_key(house: &House, key: &str) -> Worker {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", &*authorization), ("sec-websocket-protocol", "claviger.worker.v1")];
        Worker::connect(house, &headers).await.unwrap()
    }

    /// Connects under a new runtime key and registers functions.
    pub(crate) async fn serving(house: &House, functions: Value) -> Worker {
        let mut worker = Worker::with_key(house, &house.key(Role::Runtime).await).await;
        worker.say(&hello(functions)).await;
        assert_eq!(worker.hear().await["type"], "registered");
        worker
    }

    pub(crate) async fn say(&mut self, frame: &Value) {
        self.say_text(&frame.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn hear(&mut self) -> Value {
        self.hear_or_end().await.unwrap_or_else(|end| panic!("closed: {end:?}"))
    }

    /// The next frame of a type.
    pub(crate) async fn hear_type(&mut self, kind: &str) -> Value {
        let frame = self.hear().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    pub(crate) async fn hear_or_end(&mut self) -> Result<Value, End> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err((frame.code.into(), frame.reason.to_string())),
                Some(Ok(_)) => {}
                ended => panic!("no close frame: {ended:?}"),
            }
        }
    }

    /// The frame `error` and the close code that end the connection.
    pub(crate) async fn hear_refusal(&mut self) -> (String, u16) {
        let error = self.hear_type("error").await;
        assert!(error.get("run").is_none());
        let (code, _) = self.hear_or_end().await.unwrap_err();
        (error["code"].as_str().unwrap().to_owned(), code)
    }
}

pub(crate) fn hello(functions: Value) -> Value {
    json!({"type": "hello", "protocol": 1, "sdk": "test/1", "worker": "w", "credit": 8, "functions": functions})
}

/// A frame about the run of a job.
pub(crate) fn about(job: &Value, kind: &str, members: Value) -> Value {
    let mut frame = json!({"type": kind, "run": job["run"], "fence": job["fence"], "outcomes": []});
    frame.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    frame
}
