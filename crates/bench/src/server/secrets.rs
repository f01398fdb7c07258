//! Setting secrets, reading their metadata, emitting events.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use super::{ENVIRONMENT, process::Server};
use crate::{
    base::WIDTHS,
    http::Connections,
    load::drive,
    plan::Plan,
    table::{Against, Table},
};

/// Secrets of each writer. So many that hardly one is set more often than its versions are kept.
const NAMES: usize = 2_000;

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
pub(super) async fn set(connections: &Connections, lane: usize, name: &str) -> Result<()> {
    let body = json!({ "value": format!("value-of-{name}-0123456789") });
    connections.put(lane, &format!("{ENVIRONMENT}/secrets/{name}"), &body).await?;
    Ok(())
}

pub(super) async fn measure(server: &Server, plan: &Plan, table: &mut Table) -> Result<()> {
    for width in WIDTHS.into_iter().filter(|width| plan.wants(&sets(*width))) {
        let connections = Arc::new(Connections::open(server.address, &server.admin_key, width).await?);
        let work = move |lane: usize, turn: usize| {
            let connections = connections.clone();
            async move { set(&connections, lane, &format!("OF_{width}_{lane}_{}", turn % NAMES)).await }
        };
        table.note(&sets(width), Against::Both(width), drive(width, plan.time, work).await?);
    }
    for width in WIDTHS.into_iter().filter(|width| plan.wants(&reads(*width))) {
        let connections = Arc::new(Connections::open(server.address, &server.admin_key, width).await?);
        set(&connections, 0, "READ").await?;
        let work = move |lane: usize, _| {
            let connections = connections.clone();
            async move { connections.get(lane, &format!("{ENVIRONMENT}/secrets/READ")).await.map(drop) }
        };
        table.note(&reads(width), Against::Hello(width), drive(width, plan.time, work).await?);
    }
    Ok(())
}
