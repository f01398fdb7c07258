//! A small HTTP client: connections that are kept, one request at a time on each.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, sync::Mutex};

/// Longer answers are not expected.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A connection, and the API key for its requests.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    address: SocketAddr,
    key: String,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr, key: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // How it ends shows in the requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, address, key: key.to_owned() })
    }

    /// Sends a request. The answer must say that it succeeded.
    pub(crate) async fn request(&mut self, method: Method, path: &str, body: String) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Body::from(body))?).await?;
        ensure!(response.status().is_success(), "{path} was answered with {}", response.status());
        Ok(response)
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn exchange(&mut self, method: Method, path: &str, body: String) -> Result<Bytes> {
        let response = self.request(method, path, body).await?;
        Ok(axum::body::to_bytes(Body::new(response.into_body()), MOST_BYTES).await?)
    }
}

/// Connections for lanes of work.
pub(crate) struct Connections(Vec<Mutex<Connection>>);

impl Connections {
    /// Opens `count` of them.
    pub(crate) async fn open(address: SocketAddr, key: &str, count: usize) -> Result<Connections> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Mutex::new(Connection::open(address, key).await?));
        }
        Ok(Connections(connections))
    }

    async fn exchange(&self, lane: usize, method: Method, path: &str, body: String) -> Result<Bytes> {
        let connection = self.0.get(lane).context("a lane without a connection")?;
        connection.lock().await.exchange(method, path, body).await
    }

    /// The answer to a GET.
    pub(crate) async fn get(&self, lane: usize, path: &str) -> Result<Bytes> {
        self.exchange(lane, Method::GET, path, String::new()).await
    }

    /// The answer to a PUT.
    pub(crate) async fn put(&self, lane: usize, path: &str, body: &Value) -> Result<Bytes> {
        self.exchange(lane, Method::PUT, path, body.to_string()).await
    }

    /// The answer to a POST.
    pub(crate) async fn post(&self, lane: usize, path: &str, body: &Value) -> Result<Value> {
        Ok(serde_json::from_slice(&self.exchange(lane, Method::POST, path, body.to_string()).await?)?)
    }
}
