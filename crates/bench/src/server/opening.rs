//! Starting a server on many secrets, and what they cost it in memory.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{ENVIRONMENT, process::Server};
use crate::{
    engine::fill,
    http::Connections,
    memory,
    plan::Plan,
    table::{Measured, Table},
};

/// How often it is started in a round.
const TIMES: usize = 5;
const MEMORY: &str = "memory per secret";
const MEMORY_READ: &str = "memory per secret, each read once";

fn start_row(plan: &Plan) -> String {
    format!("start with {} secrets, until ready", plan.secrets)
}

pub(super) fn rows(plan: &Plan) -> Vec<String> {
    vec![start_row(plan), MEMORY.to_owned(), MEMORY_READ.to_owned()]
}

/// Two data directories: one with many secrets, one with a single one.
pub(super) struct Opening {
    full: PathBuf,
    single: PathBuf,
}

/// How much memory a server has in use.
struct Used {
    started: u64,
    read: u64,
}

impl Opening {
    /// Fills them.
    pub(super) async fn prepare(plan: &Plan, directory: &Path) -> Result<Opening> {
        let [full, single] = ["server-full", "server-single"].map(|name| directory.join(name));
        fill(&full, plan.secrets).await?;
        fill(&single, 1).await?;
        for path in [&full, &single] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            // The first start makes the API keys.
            drop(Server::start(plan, path)?);
        }
        Ok(Opening { full, single })
    }

    pub(super) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        let times = (0..TIMES).map(|_| Ok(Server::start(plan, &self.full)?.took())).collect::<Result<_>>()?;
        table.note(&start_row(plan), &[], Measured::time(times));
        let (full, single) = (used(plan, &self.full, plan.secrets).await?, used(plan, &self.single, 1).await?);
        let per_secret = |full: u64, single: u64| Measured::Bytes((full as f64 - single as f64) / plan.secrets as f64);
        table.note(MEMORY, &[], per_secret(full.started, single.started));
        table.note(MEMORY_READ, &[], per_secret(full.read, single.read));
        Ok(())
    }
}

/// The same number of requests, whatever the number of secrets.
async fn used(plan: &Plan, data: &Path, secrets: usize) -> Result<Used> {
    let server = Server::start(plan, data)?;
    let connections = Connections::open(server.address(), &server.keys.admin, 1).await?;
    connections.get(0, &format!("{ENVIRONMENT}/secrets?limit=1")).await?;
    let started = memory::resident(server.id())?;
    for number in 0..plan.secrets {
        connections.get(0, &format!("{ENVIRONMENT}/secrets/SECRET_{}", number % secrets)).await?;
    }
    Ok(Used { started, read: memory::resident(server.id())? })
}
