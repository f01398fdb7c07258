//! A server's monitoring endpoint.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What it answers to `GET path`; an error unless the status is 200.
pub(crate) async fn get(port: u16, path: &str) -> Result<Value> {
    let answer = timeout(PATIENCE, exchange(port, path)).await.context("the monitor does not answer")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("the monitor's answer has no head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        bail!("the monitor answers {status}: {}", body.trim());
    }
    Ok(serde_json::from_str(body)?)
}

async fn exchange(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
