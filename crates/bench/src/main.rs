//! How fast Claviger is, next to what the machine can do: the numbers of `docs/benchmarks.md`.
//!
//! Every row is measured several times, in rounds that also measure the bases it is compared with: a route that answers
//! `hello`, SQLite that commits one small row at a time, and a key-value bucket of NATS. A table of medians is printed in the end. The run fails
//! unless the audit holds exactly one entry for every delivery that was made.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod base;
mod child;
mod engine;
mod http;
mod load;
mod memory;
mod nats;
mod plan;
mod server;
mod table;

use anyhow::{Result, anyhow};

use crate::{plan::Plan, table::Table};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some((task, rest)) = child::task(&arguments) {
        return runtime.block_on(child::run(task, rest));
    }
    let Some(plan) = Plan::parse(&arguments)? else {
        println!("{}", plan::HELP);
        return Ok(());
    };
    runtime.block_on(measure(&plan))
}

async fn measure(plan: &Plan) -> Result<()> {
    let mut table = Table::default();
    let directory = plan.directory()?;
    // What the nats-servers keep goes to the same disk.
    tempfile::env::override_temp_dir(directory.path()).map_err(|_| anyhow!("the directory is another already"))?;
    let bases = base::Bases::prepare(directory.path())?;
    let engine = engine::Rows::prepare(plan, directory.path()).await?;
    let server = server::Rows::prepare(plan, directory.path()).await?;
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}, load average {}", plan.rounds, load_average());
        bases.measure(plan, &mut table).await?;
        if let Some(engine) = &engine {
            engine.measure(plan, &mut table).await?;
        }
        if let Some(server) = &server {
            server.measure(plan, &mut table).await?;
        }
        nats::measure(plan, &mut table).await?;
        table.end_round();
    }
    if let Some(engine) = engine {
        engine.finish().await?;
    }
    if let Some(server) = server {
        server.finish().await?;
    }
    print!("{}", table.show());
    Ok(())
}

/// How busy the machine is, by its own account.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
