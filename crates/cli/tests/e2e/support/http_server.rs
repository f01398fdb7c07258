//! A small HTTP/1.1 server on a free port: one request per connection.

use std::{collections::BTreeMap, future::Future, io, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it arrived. Names of headers are in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct HttpServer {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl HttpServer {
    pub(crate) async fn start<H, F>(handler: H) -> HttpServer
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let handler = handler.clone();
                // A peer that goes away is its own business.
                tokio::spawn(async move { answer(stream, &*handler).await.ok() });
            }
        });
        HttpServer { url, task }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Response {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Response {
        Response { status, content_type: "application/json", body: body.to_string().into_bytes() }
    }
}

async fn answer<F: Future<Output = Response>>(
    mut stream: TcpStream,
    handler: &impl Fn(Request) -> F,
) -> io::Result<()> {
    let request = read(&mut stream).await?;
    let response = handler(request).await;
    let head = format!(
        "HTTP/1.1 {} -\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        response.status,
        response.content_type,
        response.body.len()
    );
    stream.write_all(&[head.as_bytes(), &response.body].concat()).await?;
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut stream = BufReader::new(stream);
    let first = read_line(&mut stream).await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(&mut stream).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Request { method, path, headers, body })
}

async fn read_line(stream: &mut BufReader<&mut TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
