//! The little of the protocol of NATS that an operator's hand needs.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the answer is sent. A connection of its own hears no other.
const INBOX: &str = "_INBOX.testbed";

/// The answer of JetStream to one request, such as `STREAM.INFO.name`; an error when it says no. `null` is no body.
pub(crate) async fn ask(port: u16, request: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = timeout(PATIENCE, exchange(port, request, &body)).await;
    let answer: Value = serde_json::from_slice(&answer.with_context(|| format!("no answer to `{request}`"))??)?;
    match &answer["error"] {
        Value::Null => Ok(answer),
        error => bail!("`{request}` is refused: {error}"),
    }
}

async fn exchange(port: u16, request: &str, body: &str) -> Result<Vec<u8>> {
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {INBOX} 1\r\n");
    let question = format!("PUB $JS.API.{request} {INBOX} {}\r\n{body}\r\n", body.len());
    stream.write_all((hello + &question).as_bytes()).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            bail!("the server has closed the connection");
        }
        if let Some(length) = line.strip_prefix("MSG ").and_then(|message| message.split_whitespace().next_back()) {
            let mut answer = vec![0; length.parse()?];
            stream.read_exact(&mut answer).await?;
            return Ok(answer);
        }
        if line.starts_with("-ERR") {
            bail!("the server says {line}");
        }
    }
}
