//! What looks like a nats-server of another version, to clients that only look.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Result;
use parking_lot::Mutex;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Says that it is a nats-server of some version, lets everybody in, and writes down what they want of it. It does nothing.
pub struct StandIn {
    address: SocketAddr,
    heard: Heard,
    task: JoinHandle<()>,
}

type Heard = Arc<Mutex<Vec<String>>>;

impl StandIn {
    /// One that says that it is of this version, such as `2.11.9`.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn start(version: &str) -> Result<StandIn> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, heard) = (listener.local_addr()?, Heard::default());
        let info = json!({
            "server_id": "STANDIN", "server_name": "stand-in", "version": version, "proto": 1, "headers": true,
            "max_payload": 1_048_576, "jetstream": true, "host": "127.0.0.1", "port": address.port(),
        });
        let hello = format!("INFO {info}\r\n");
        let task = tokio::spawn(accept(listener, hello, heard.clone()));
        Ok(StandIn { address, heard, task })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The operations that clients asked for, in the order in which they came: `CONNECT`, `PING`, `PUB` and so on.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, hello: String, heard: Heard) {
    while let Ok((client, _)) = listener.accept().await {
        let (hello, heard) = (hello.clone(), heard.clone());
        // However it ends, the client is gone then.
        tokio::spawn(async move { serve(client, &hello, &heard).await.ok() });
    }
}

async fn serve(client: TcpStream, hello: &str, heard: &Heard) -> Result<()> {
    let mut client = BufReader::new(client);
    client.write_all(hello.as_bytes()).await?;
    let mut line = String::new();
    while client.read_line(&mut line).await? > 0 {
        let operation = line.split_whitespace().next().unwrap_or_default().to_owned();
        if operation == "PING" {
            client.write_all(b"PONG\r\n").await?;
        }
        heard.lock().push(operation);
        line.clear();
    }
    Ok(())
}
