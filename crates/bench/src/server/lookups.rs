//! Look-ups of a listener, one at a time on each connection, with few and many secrets in the environment.
//!
//! The worker is a bare WebSocket client: what an SDK keeps for the event is asked for again and again here. Each connection
//! holds one job for as long as it measures.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{ENVIRONMENT, check_deliveries, process::Server};
use crate::{
    base::{Base, WIDTHS},
    engine::fill,
    http::Connections,
    load::drive,
    plan::Plan,
    table::Table,
};

/// Different secrets that a job looks up, the same number whatever the environment has.
const DIFFERENT: usize = 10;

fn sizes(plan: &Plan) -> [usize; 3] {
    [10, 1_000, plan.secrets]
}

fn row(secrets: usize, width: usize) -> String {
    format!("look-ups, {secrets} secrets, {width} connections")
}

pub(super) fn rows(plan: &Plan) -> Vec<String> {
    sizes(plan).into_iter().flat_map(|secrets| WIDTHS.map(|width| row(secrets, width))).collect()
}

/// A store of each size.
pub(super) struct Lookups {
    stores: Vec<Store>,
}

struct Store {
    secrets: usize,
    data: PathBuf,
    /// Values that were handed over.
    received: Arc<AtomicUsize>,
}

impl Lookups {
    /// Fills the stores that are measured.
    pub(super) async fn prepare(plan: &Plan, directory: &Path) -> Result<Lookups> {
        let mut stores = Vec::new();
        for secrets in sizes(plan) {
            if WIDTHS.iter().any(|width| plan.wants(&row(secrets, *width))) {
                let data = directory.join(format!("server-look-ups-{secrets}"));
                fill(&data, secrets).await?;
                std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
                stores.push(Store { secrets, data, received: Arc::default() });
            }
        }
        Ok(Lookups { stores })
    }

    pub(super) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        for store in &self.stores {
            let server = Server::start(plan, &store.data)?;
            for width in WIDTHS.into_iter().filter(|width| plan.wants(&row(store.secrets, *width))) {
                let listeners = Arc::new(Listeners::start(&server, store, width).await?);
                let lanes = listeners.clone();
                let work = move |lane: usize, turn: usize| {
                    let listeners = lanes.clone();
                    async move { listeners.look_up(lane, turn).await }
                };
                let measured = drive(width, plan.time, work).await?;
                listeners.end().await?;
                table.note(&row(store.secrets, width), &[Base::Hello(width), Base::Commits], measured);
            }
            let received = store.received.load(Ordering::Relaxed);
            check_deliveries(&server, &format!("look-ups among {} secrets", store.secrets), received).await?;
        }
        Ok(())
    }
}

/// Connections that each hold a job.
struct Listeners {
    lanes: Vec<Mutex<Listener>>,
    secrets: usize,
    received: Arc<AtomicUsize>,
}

impl Listeners {
    async fn start(server: &Server, store: &Store, width: usize) -> Result<Listeners> {
        let connections = Connections::open(server.address(), &server.keys.admin, 1).await?;
        let mut lanes = Vec::with_capacity(width);
        for lane in 0..width {
            let event = format!("look.up.{width}.{lane}");
            let mut listener = Listener::connect(server, &event).await?;
            connections.post(0, &format!("{ENVIRONMENT}/events"), &json!({ "name": event })).await?;
            listener.take_job().await?;
            lanes.push(Mutex::new(listener));
        }
        Ok(Listeners { lanes, secrets: store.secrets, received: store.received.clone() })
    }

    async fn look_up(&self, lane: usize, turn: usize) -> Result<()> {
        // From all over the environment.
        let number = (turn % DIFFERENT) * (self.secrets / DIFFERENT);
        self.lanes[lane].lock().await.look_up(turn, &format!("SECRET_{number}")).await?;
        self.received.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        for lane in &self.lanes {
            lane.lock().await.complete().await?;
        }
        Ok(())
    }
}

/// A worker with one listener and one job.
struct Listener {
    socket: WebSocketStream<TcpStream>,
    run: Value,
    fence: Value,
}

impl Listener {
    async fn connect(server: &Server, event: &str) -> Result<Listener> {
        let stream = TcpStream::connect(server.address()).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{}/v1/worker", server.address()).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", server.keys.runtime))?);
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("claviger.worker.v1"));
        let (socket, _) = client_async(request, stream).await?;
        let mut listener = Listener { socket, run: Value::Null, fence: Value::Null };
        let function = json!({ "id": event, "triggers": [{ "event": event }], "secrets": [], "lookups": true });
        let hello = json!({ "type": "hello", "protocol": 1, "sdk": "bench", "worker": "bench",
            "environment": "default", "credit": 1, "functions": [function] });
        listener.send(&hello).await?;
        listener.receive("registered").await?;
        Ok(listener)
    }

    async fn take_job(&mut self) -> Result<()> {
        let job = self.receive("job").await?;
        (self.run, self.fence) = (job["run"].clone(), job["fence"].clone());
        Ok(())
    }

    async fn look_up(&mut self, turn: usize, name: &str) -> Result<()> {
        let lookup =
            json!({ "type": "lookup", "run": self.run, "fence": self.fence, "id": turn.to_string(), "name": name });
        self.send(&lookup).await?;
        let secret = self.receive("secret").await?;
        ensure!(secret["value"].is_string(), "`{name}` was not found");
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        self.send(&json!({ "type": "complete", "run": self.run, "fence": self.fence, "outcomes": [] })).await?;
        self.receive("ack").await.map(drop)
    }

    async fn send(&mut self, frame: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame, which has to be of this type.
    async fn receive(&mut self, expected: &str) -> Result<Value> {
        loop {
            let message = self.socket.next().await.context("the server closed the connection")??;
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            match frame["type"].as_str() {
                Some(kind) if kind == expected => return Ok(frame),
                Some("heartbeat") => {}
                // Nothing that the server says here holds a value but the frame that was asked for.
                Some(kind) => bail!("`{kind}` instead of `{expected}`: {}", frame["detail"]),
                None => bail!("a frame without a type"),
            }
        }
    }
}
