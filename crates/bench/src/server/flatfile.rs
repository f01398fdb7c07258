//! The listing that the clients of Flatfile ask for at each event: every name of the environment, with its value.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{check_deliveries, process::Server};
use crate::{
    base::{Base, WIDTHS},
    engine::fill,
    http::Connections,
    load::drive,
    plan::Plan,
    table::Table,
};

/// Names in the environment.
const NAMES: usize = 100;

fn row(width: usize) -> String {
    format!("Flatfile listing of {NAMES} names, {width} connections")
}

pub(super) fn rows() -> Vec<String> {
    WIDTHS.map(row).into()
}

/// A store with so many names.
pub(super) struct Listing {
    data: PathBuf,
    /// Listings that were received, in all rounds.
    received: Arc<AtomicUsize>,
}

impl Listing {
    /// Fills it.
    pub(super) async fn prepare(directory: &Path) -> Result<Listing> {
        let data = directory.join("server-flatfile");
        fill(&data, NAMES).await?;
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Listing { data, received: Arc::default() })
    }

    pub(super) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        let server = Server::start(plan, &self.data)?;
        let path: Arc<str> = listing(&server).await?.into();
        self.received.fetch_add(1, Ordering::Relaxed);
        for width in WIDTHS.into_iter().filter(|width| plan.wants(&row(*width))) {
            let connections = Arc::new(Connections::open(server.address(), &server.keys.runtime, width).await?);
            let (path, received) = (path.clone(), self.received.clone());
            let work = move |lane: usize, _| {
                let (connections, path, received) = (connections.clone(), path.clone(), received.clone());
                async move {
                    connections.get(lane, &path).await?;
                    received.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            };
            table.note(&row(width), &[Base::Hello(width), Base::Commits], drive(width, plan.time, work).await?);
        }
        check_deliveries(&server, "Flatfile listings", self.received.load(Ordering::Relaxed)).await
    }
}

/// The path of the listing, which holds all names.
async fn listing(server: &Server) -> Result<String> {
    let connections = Connections::open(server.address(), &server.keys.runtime, 1).await?;
    let environments: Value = serde_json::from_slice(&connections.get(0, "/flatfile/v1/environments").await?)?;
    let id = environments["data"][0]["id"].as_str().context("no environment")?;
    let path = format!("/flatfile/v1/secrets?environmentId={id}");
    let rows: Value = serde_json::from_slice(&connections.get(0, &path).await?)?;
    let count = rows["data"].as_array().map_or(0, Vec::len);
    ensure!(count == NAMES, "the listing has {count} names");
    Ok(path)
}
