//! Events to many subscribers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::body::Body;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{ENVIRONMENT, process::Server};
use crate::{
    http::{Connection, Connections},
    plan::Plan,
    table::{Measured, Table},
};

/// Its row.
pub(super) const ROW: &str = "event to each of 100 subscribers";
const SUBSCRIBERS: usize = 100;

/// From the request that emits an event to its arrival at each subscriber, one event at a time.
pub(super) async fn measure(server: &Server, plan: &Plan, table: &mut Table) -> Result<()> {
    if !plan.wants(ROW) {
        return Ok(());
    }
    let (arrived, mut arrivals) = unbounded_channel();
    let subscribe = |_| subscribe(server, arrived.clone());
    let tasks: Vec<_> = stream::iter(0..SUBSCRIBERS).map(subscribe).buffer_unordered(16).try_collect().await?;
    let connections = Connections::open(server.address(), &server.keys.admin, 1).await?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < plan.time {
        let emitted = Instant::now();
        let body = json!({ "name": "bench.tick", "data": { "at": times.len() } });
        connections.post(0, &format!("{ENVIRONMENT}/events"), &body).await?;
        for _ in 0..SUBSCRIBERS {
            let at: Instant = arrivals.recv().await.context("the subscribers are gone")?;
            times.push(at.saturating_duration_since(emitted));
        }
        // An idle moment, so that each event is alone.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    table.note(ROW, &[], Measured::time(times));
    Ok(())
}

/// Subscribes, waits until the server says that it listens, and goes on in a task.
async fn subscribe(server: &Server, arrived: UnboundedSender<Instant>) -> Result<tokio::task::JoinHandle<()>> {
    let mut connection = Connection::open(server.address(), &server.keys.admin).await?;
    let path = format!("{ENVIRONMENT}/subscribe?pattern=bench.tick");
    let response = connection.request(Method::GET, &path, String::new()).await?;
    let mut frames = Body::new(response.into_body()).into_data_stream();
    let ready = frames.next().await.context("the subscription ended")??;
    anyhow::ensure!(contains(&ready, b"event: ready"), "the subscription did not begin with `ready`");
    Ok(tokio::spawn(async move {
        while let Some(Ok(bytes)) = frames.next().await {
            let events = count(&bytes, b"event: event");
            if (0..events).any(|_| arrived.send(Instant::now()).is_err()) {
                return;
            }
        }
        // The connection lives as long as its answer is read.
        drop(connection);
    }))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    count(bytes, wanted) > 0
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}
