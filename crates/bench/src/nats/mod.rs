//! Claviger on NATS, over HTTP and with real workers, next to what NATS can do by itself.
//!
//! Every round and mode has nats-servers of its own and new streams, so that no round finds what an earlier one left, and
//! nothing else runs on the machine while a mode is measured.

mod mode;
mod nodes;
mod propagation;
mod raw;
mod runs;
mod secrets;

use anyhow::Result;

pub(crate) use self::mode::Mode;
use self::{mode::Cluster, nodes::Nodes, runs::Runs};
use crate::{plan::Plan, server::check_deliveries, table::Table};

/// Most processes of Claviger on one store.
const MOST: usize = 3;

/// One round.
pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> Result<()> {
    for mode in plan.modes.iter().copied().filter(|mode| plan.wants_any(&rows(*mode))) {
        if let Err(error) = claviger_testbed::binary() {
            eprintln!("{error}: the rows of NATS are left out");
            return Ok(());
        }
        plan.check_server()?;
        measure_mode(mode, plan, table).await?;
    }
    Ok(())
}

async fn measure_mode(mode: Mode, plan: &Plan, table: &mut Table) -> Result<()> {
    let cluster = Cluster::start(mode).await?;
    raw::measure(mode, &cluster, plan, table).await?;
    let mut nodes = Nodes::start(plan, mode, &cluster).await?;
    secrets::measure(mode, nodes.first(), plan, table).await?;
    let mut runs = Runs::default();
    for count in (1..=MOST).filter(|count| plan.wants_any(&rows_with(mode, *count))) {
        nodes.grow(plan, count)?;
        if count == 2 {
            propagation::measure(mode, nodes.all(), plan, table).await?;
        }
        runs.measure(mode, nodes.all(), plan, table).await?;
    }
    let made = runs.finish().await?;
    check_deliveries(nodes.first(), &mode.to_string(), made).await
}

fn rows(mode: Mode) -> Vec<String> {
    (1..=MOST).flat_map(|count| rows_with(mode, count)).chain(secrets::rows(mode)).chain(raw::rows(mode)).collect()
}

/// The rows that need so many processes.
fn rows_with(mode: Mode, count: usize) -> Vec<String> {
    match (mode, count) {
        (Mode::Durable, 2) => [propagation::rows(mode), runs::rows(mode, count)].concat(),
        (Mode::Durable, _) => runs::rows(mode, count),
        _ => Vec::new(),
    }
}
