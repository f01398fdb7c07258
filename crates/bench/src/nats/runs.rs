//! Runs with one process and more: a worker on each, and events emitted to them by turns.

use std::time::Duration;

use anyhow::Result;
use claviger::WorkerHandle;

use super::Mode;
use crate::{
    base::{Base, WIDTHS},
    plan::Plan,
    server::{
        process::Server,
        runs::{Emitter, set_secrets},
        worker,
    },
    table::{Measured, Table},
};

/// As long as each lane does one thing.
const A_MOMENT: Duration = Duration::from_millis(1);

fn processes(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

fn row(mode: Mode, width: usize, count: usize) -> String {
    format!("{mode}: runs, {width} in flight, {}", processes(count))
}

fn start_row(mode: Mode, width: usize, count: usize) -> String {
    format!("{mode}: event to worker, {width} in flight, {}", processes(count))
}

/// The rows with so many processes.
pub(super) fn rows(mode: Mode, count: usize) -> Vec<String> {
    WIDTHS.into_iter().map(|width| row(mode, width, count)).collect()
}

/// The workers.
#[derive(Default)]
pub(super) struct Runs {
    emitter: Emitter,
    workers: Vec<WorkerHandle>,
}

impl Runs {
    /// Connects a worker to each process that has none yet, and measures what they do together.
    pub(super) async fn measure(
        &mut self,
        mode: Mode,
        servers: &[Server],
        plan: &Plan,
        table: &mut Table,
    ) -> Result<()> {
        let count = servers.len();
        if !plan.wants_any(&rows(mode, count)) {
            return Ok(());
        }
        if self.workers.is_empty() {
            set_secrets(&servers[0]).await?;
        }
        for server in servers.iter().skip(self.workers.len()) {
            self.workers.push(worker::start(server, self.emitter.clocks.clone()).await?);
        }
        // An event to each process, so that it is not measured how they get to know each other.
        self.emitter.measure(servers, worker::EVENT, count, A_MOMENT).await?;
        self.emitter.clocks.take_starts();
        for width in WIDTHS {
            let name = row(mode, width, count);
            if !plan.wants(&name) {
                continue;
            }
            let measured = self.emitter.measure(servers, worker::EVENT, width, plan.time).await?;
            table.note(&name, &[Base::Puts(mode, width)], measured);
            let starts = self.emitter.clocks.take_starts();
            table.note(&start_row(mode, width, count), &[], Measured::time(starts));
        }
        Ok(())
    }

    /// Stops the workers. How many jobs they started: every job is a delivery.
    pub(super) async fn finish(self) -> Result<usize> {
        for worker in self.workers {
            worker.stop().await?;
        }
        Ok(self.emitter.clocks.jobs())
    }
}
