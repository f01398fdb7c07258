//! The engine alone, in this process: what is left for the server to lose.

mod opening;
mod runs;
mod secrets;
mod worker;

use std::{path::Path, sync::Arc};

use anyhow::{Result, ensure};
use claviger_core::{Caller, EnvironmentName, Revision, Scope};
use claviger_crypto::MasterKey;
use claviger_engine::{Engine, Names, Parts, WallClock, audit::Fact};
use claviger_store::{MemoryQueue, SqliteIndex, SqliteLedger, SqliteOptions};

pub(crate) use self::opening::fill;
use self::{opening::Opening, runs::Runs};
use crate::{plan::Plan, table::Table};

/// The master key of every store here.
pub(crate) const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Opens an engine on the files of a directory, as a server does.
pub(crate) async fn open(directory: &Path) -> Result<Engine> {
    let ledger = SqliteLedger::open(SqliteOptions::new(directory.join("claviger.db")))?;
    let index = SqliteIndex::open(directory.join("index.db"), claviger_store::Ledger::incarnation(&ledger))?;
    let parts = Parts {
        ledger: Arc::new(ledger),
        queue: Arc::new(MemoryQueue::new()),
        index: Arc::new(index),
        master: MasterKey::from_hex(&mut MASTER_KEY.as_bytes().to_vec())?,
        clock: Arc::new(WallClock),
        names: Names::Plain,
    };
    Ok(Engine::open(parts).await?)
}

fn environment() -> Result<EnvironmentName> {
    Ok("default".parse()?)
}

fn scope() -> Result<Scope> {
    Ok(Scope::environment(environment()?))
}

fn admin() -> Caller {
    claviger_engine::access::system_caller()
}

/// The engine's rows.
pub(crate) struct Rows {
    engine: Arc<Engine>,
    runs: Runs,
    opening: Option<Opening>,
}

impl Rows {
    /// Opens what is measured, if anything is.
    pub(crate) async fn prepare(plan: &Plan, directory: &Path) -> Result<Option<Rows>> {
        let opening = opening::row(plan);
        if !plan.wants_any(&[secrets::rows(), runs::rows(), vec![opening.clone()]].concat()) {
            return Ok(None);
        }
        let path = directory.join("engine");
        std::fs::create_dir(&path)?;
        let engine = Arc::new(open(&path).await?);
        let runs = Runs::prepare(&engine).await?;
        let opening = if plan.wants(&opening) { Some(Opening::prepare(plan, directory).await?) } else { None };
        Ok(Some(Rows { engine, runs, opening }))
    }

    /// One round.
    pub(crate) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        secrets::measure(&self.engine, plan, table).await?;
        self.runs.measure(&self.engine, plan, table).await?;
        match &self.opening {
            Some(opening) => opening.measure(plan, table),
            None => Ok(()),
        }
    }

    /// Checks the audit.
    pub(crate) async fn finish(self) -> Result<()> {
        let (recorded, made) = (audited(&self.engine).await?, self.runs.delivered());
        ensure!(recorded == made, "the audit holds {recorded} deliveries, but {made} were made");
        eprintln!("engine: the audit holds every one of {made} deliveries");
        self.engine.close().await;
        Ok(())
    }
}

/// Deliveries that the audit holds.
async fn audited(engine: &Engine) -> Result<usize> {
    let (mut count, mut after) = (0, Revision::ZERO);
    loop {
        let page = engine.audit().list(&admin(), &environment()?, after, 1_000).await?;
        count += page.items.iter().filter(|entry| matches!(entry.fact, Fact::Delivered { .. })).count();
        let Some(next) = page.next else { return Ok(count) };
        after = Revision(next.parse()?);
    }
}
