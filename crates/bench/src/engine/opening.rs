//! Opening a store with many secrets, in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{admin, open, scope, secrets::set};
use crate::{
    child,
    plan::Plan,
    table::{Against, Measured, Table},
};

/// How often it is opened in a round.
const TIMES: usize = 5;
/// Writers that fill it.
const WRITERS: usize = 256;

/// Two stores: one with many secrets, one with none.
pub(super) struct Opening {
    full: PathBuf,
    empty: PathBuf,
    secrets: usize,
}

pub(super) fn is_wanted(plan: &Plan) -> bool {
    plan.wants(&open_row(plan.secrets)) || plan.wants(MEMORY)
}

fn open_row(secrets: usize) -> String {
    format!("engine: open with {secrets} secrets")
}

const MEMORY: &str = "engine: memory per secret";

impl Opening {
    /// Fills the stores.
    pub(super) async fn prepare(plan: &Plan, directory: &Path) -> Result<Opening> {
        let [full, empty] = ["full", "empty"].map(|name| directory.join(name));
        for (path, secrets) in [(&full, plan.secrets), (&empty, 0)] {
            std::fs::create_dir(path)?;
            let engine = open(path).await?;
            let set = |number: usize| {
                let engine = &engine;
                async move { set(engine, &format!("SECRET_{number}"), "a value of thirty-two characters").await }
            };
            stream::iter(0..secrets).map(set).buffer_unordered(WRITERS).try_collect::<Vec<()>>().await?;
            // The list waits until everything is folded.
            engine.vault().list(&admin(), &scope()?, None, 1).await?;
            engine.close().await;
        }
        Ok(Opening { full, empty, secrets: plan.secrets })
    }

    pub(super) fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        if !is_wanted(plan) {
            return Ok(());
        }
        let full = (0..TIMES).map(|_| child::opened(&self.full)).collect::<Result<Vec<_>>>()?;
        let empty = child::opened(&self.empty)?;
        let times = full.iter().map(|(time, _)| *time).collect();
        table.note(&open_row(self.secrets), Against::Nothing, Measured::time(times));
        let more = full.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).saturating_sub(empty.1);
        table.note(MEMORY, Against::Nothing, Measured::Bytes(more as f64 / self.secrets as f64));
        Ok(())
    }
}
