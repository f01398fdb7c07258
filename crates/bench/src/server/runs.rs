//! Runs of functions with three steps and five declared secrets, from the request that emits an event to the answer that
//! its run is stored as completed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use claviger::WorkerHandle;
use serde_json::{Value, json};

use super::{
    ENVIRONMENT,
    node::{self, NodeWorker},
    process::Server,
    secrets::set,
    worker::{self, Clocks, SECRETS},
};
use crate::{
    base::{Base, WIDTHS},
    http::Connections,
    load::drive,
    plan::Plan,
    table::{Measured, Table},
};

/// The kinds of workers.
const KINDS: [(&str, &str); 2] = [("Rust", worker::EVENT), ("Node", node::EVENT)];

fn row(kind: &str, width: usize) -> String {
    format!("runs on {kind}, {width} in flight")
}

fn start_row(width: usize) -> String {
    format!("event to worker (Rust), {width} in flight")
}

pub(super) fn rows() -> Vec<String> {
    KINDS.into_iter().flat_map(|(kind, _)| WIDTHS.map(|width| row(kind, width))).collect()
}

/// Emits events to the servers of a store, by turns, and waits for their runs.
#[derive(Clone, Default)]
pub(crate) struct Emitter {
    pub(crate) clocks: Arc<Clocks>,
    number: Arc<AtomicU64>,
}

impl Emitter {
    /// Runs of what this event starts, so many in flight.
    pub(crate) async fn measure(
        &self,
        servers: &[Server],
        event: &'static str,
        width: usize,
        time: Duration,
    ) -> Result<Measured> {
        let mut connections = Vec::with_capacity(servers.len());
        for server in servers {
            connections.push(Connections::open(server.address(), &server.keys.admin, width).await?);
        }
        let (connections, emitter) = (Arc::new(connections), self.clone());
        let work = move |lane: usize, _| {
            let (connections, clocks) = (connections.clone(), emitter.clocks.clone());
            let number = emitter.number.fetch_add(1, Ordering::Relaxed);
            async move {
                let turn = usize::try_from(number)? % connections.len();
                clocks.emit(number);
                run(&connections[turn], lane, event, number).await
            }
        };
        drive(width, time, work).await
    }
}

/// Sets the secrets that every function here declares.
pub(crate) async fn set_secrets(server: &Server) -> Result<()> {
    let connections = Connections::open(server.address(), &server.keys.admin, 1).await?;
    for name in SECRETS {
        set(&connections, 0, name).await?;
    }
    Ok(())
}

/// The workers.
pub(super) struct Runs {
    emitter: Emitter,
    rust: WorkerHandle,
    node: Option<NodeWorker>,
}

impl Runs {
    /// Sets the secrets and starts the workers.
    pub(super) async fn prepare(server: &Server) -> Result<Runs> {
        set_secrets(server).await?;
        let emitter = Emitter::default();
        let rust = worker::start(server, emitter.clocks.clone()).await?;
        Ok(Runs { emitter, rust, node: NodeWorker::start(server)? })
    }

    pub(super) async fn measure(&self, server: &Server, plan: &Plan, table: &mut Table) -> Result<()> {
        let servers = std::slice::from_ref(server);
        for (kind, event) in KINDS {
            let is_there = event != node::EVENT || self.node.is_some();
            for width in WIDTHS.into_iter().filter(|width| is_there && plan.wants(&row(kind, *width))) {
                let measured = self.emitter.measure(servers, event, width, plan.time).await?;
                table.note(&row(kind, width), &[Base::Commits], measured);
                let starts = self.emitter.clocks.take_starts();
                if event == worker::EVENT {
                    table.note(&start_row(width), &[], Measured::time(starts));
                }
            }
        }
        Ok(())
    }

    /// Stops the workers. How many jobs they started: every job is a delivery.
    pub(super) async fn finish(self) -> Result<usize> {
        self.rust.stop().await?;
        let of_node = self.node.map_or(Ok(0), NodeWorker::finish)?;
        Ok(self.emitter.clocks.jobs() + of_node)
    }
}

/// Emits an event and waits until its run is stored as completed.
async fn run(connections: &Connections, lane: usize, event: &str, number: u64) -> Result<()> {
    let body = json!({ "name": event, "data": { "number": number, "amount": 1200, "currency": "EUR" } });
    let emitted = connections.post(lane, &format!("{ENVIRONMENT}/events"), &body).await?;
    let (id, revision) = (emitted["id"].as_str().context("an event without an id")?, &emitted["revision"]);
    let path = format!("{ENVIRONMENT}/events/{id}/runs?revision={revision}&waitMs=30000");
    let runs: Value = serde_json::from_slice(&connections.get(lane, &path).await?)?;
    let status = &runs["runs"][0]["status"];
    ensure!(status == "completed", "the run of event {id} is {status}");
    Ok(())
}
