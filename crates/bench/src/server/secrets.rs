//! Setting secrets, reading their metadata.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use serde_json::json;

use super::{ENVIRONMENT, process::Server};
use crate::{
    base::{Base, WIDTHS},
    http::Connections,
    load::drive,
    plan::Plan,
    table::{Measured, Table},
};

/// Secrets of each writer. So many that hardly one is set more often than its versions are kept.
pub(crate) const NAMES: usize = 2_000;

/// How fresh an answer has to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// As this server knows it.
    Default,
    /// Whatever any server acknowledged before.
    Strong,
}

fn sets(width: usize) -> String {
    format!("secret sets, {width} writers")
}

fn reads(width: usize) -> String {
    format!("metadata reads, {width} at a time")
}

pub(super) fn rows() -> Vec<String> {
    WIDTHS.into_iter().flat_map(|width| [sets(width), reads(width)]).collect()
}

/// Sets a secret.
pub(crate) async fn set(connections: &Connections, lane: usize, name: &str) -> Result<()> {
    let body = json!({ "value": format!("value-of-{name}-0123456789") });
    connections.put(lane, &format!("{ENVIRONMENT}/secrets/{name}"), &body).await?;
    Ok(())
}

/// Secrets set by so many writers.
pub(crate) async fn measure_sets(server: &Server, width: usize, time: Duration) -> Result<Measured> {
    let connections = Arc::new(Connections::open(server.address(), &server.keys.admin, width).await?);
    let work = move |lane: usize, turn: usize| {
        let connections = connections.clone();
        async move { set(&connections, lane, &format!("OF_{width}_{lane}_{}", turn % NAMES)).await }
    };
    drive(width, time, work).await
}

/// One secret's metadata, read by so many readers.
pub(crate) async fn measure_reads(
    server: &Server,
    width: usize,
    time: Duration,
    consistency: Consistency,
) -> Result<Measured> {
    let connections = Arc::new(Connections::open(server.address(), &server.keys.admin, width).await?);
    set(&connections, 0, "READ").await?;
    let query = if consistency == Consistency::Strong { "?consistency=strong" } else { "" };
    let path: Arc<str> = format!("{ENVIRONMENT}/secrets/READ{query}").into();
    let work = move |lane: usize, _| {
        let (connections, path) = (connections.clone(), path.clone());
        async move { connections.get(lane, &path).await.map(drop) }
    };
    drive(width, time, work).await
}

pub(super) async fn measure(server: &Server, plan: &Plan, table: &mut Table) -> Result<()> {
    for width in WIDTHS.into_iter().filter(|width| plan.wants(&sets(*width))) {
        let against = [Base::Hello(width), Base::Commits];
        table.note(&sets(width), &against, measure_sets(server, width, plan.time).await?);
    }
    for width in WIDTHS.into_iter().filter(|width| plan.wants(&reads(*width))) {
        let measured = measure_reads(server, width, plan.time, Consistency::Default).await?;
        table.note(&reads(width), &[Base::Hello(width)], measured);
    }
    Ok(())
}
