//! Runs of a function with three steps and five declared secrets.

use std::sync::Arc;

use anyhow::Result;
use claviger_engine::Engine;

use super::{
    secrets::set,
    worker::{SECRETS, Worker},
};
use crate::{
    base::{Base, WIDTHS},
    load::drive,
    plan::Plan,
    table::{Measured, Table},
};

fn row(width: usize) -> String {
    format!("engine: runs, {width} in flight")
}

pub(super) fn rows() -> Vec<String> {
    WIDTHS.into_iter().map(row).collect()
}

/// A function, its secrets and its worker.
pub(super) struct Runs {
    worker: Arc<Worker>,
}

impl Runs {
    /// Sets the secrets and connects the worker.
    pub(super) async fn prepare(engine: &Arc<Engine>) -> Result<Runs> {
        for name in SECRETS {
            set(engine, name, &format!("value-of-{name}-0123456789")).await?;
        }
        Ok(Runs { worker: Arc::new(Worker::connect(engine).await?) })
    }

    pub(super) async fn measure(&self, engine: &Arc<Engine>, plan: &Plan, table: &mut Table) -> Result<()> {
        for width in WIDTHS {
            let name = row(width);
            if !plan.wants(&name) {
                continue;
            }
            let (worker, engine) = (self.worker.clone(), engine.clone());
            let measured = drive(width, plan.time, move |_, _| worker.run(&engine)).await?;
            table.note(&name, &[Base::Commits], measured);
            let name = format!("engine: event to worker, {width} in flight");
            table.note(&name, &[], Measured::time(self.worker.take_starts()));
        }
        Ok(())
    }

    /// Deliveries that were made.
    pub(super) fn delivered(&self) -> usize {
        self.worker.jobs()
    }
}
