//! Opening a store with many secrets, in a process of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{admin, open, scope, secrets::set};
use crate::{
    child,
    plan::Plan,
    table::{Measured, Table},
};

/// How often it is opened in a round.
const TIMES: usize = 5;
/// Writers that fill it.
const WRITERS: usize = 256;

/// Makes a store with so many secrets, everything derived from them included.
pub(crate) async fn fill(directory: &Path, secrets: usize) -> Result<()> {
    std::fs::create_dir(directory)?;
    let engine = open(directory).await?;
    let set = |number: usize| {
        let engine = &engine;
        async move { set(engine, &format!("SECRET_{number}"), "a value of thirty-two characters").await }
    };
    stream::iter(0..secrets).map(set).buffer_unordered(WRITERS).try_collect::<Vec<()>>().await?;
    // A list waits until everything is folded.
    engine.vault().list(&admin(), &scope()?, None, 1).await?;
    engine.close().await;
    Ok(())
}

pub(super) fn row(plan: &Plan) -> String {
    format!("engine: open with {} secrets", plan.secrets)
}

/// A store with many secrets.
pub(super) struct Opening {
    path: PathBuf,
}

impl Opening {
    /// Fills it.
    pub(super) async fn prepare(plan: &Plan, directory: &Path) -> Result<Opening> {
        let path = directory.join("engine-full");
        fill(&path, plan.secrets).await?;
        Ok(Opening { path })
    }

    pub(super) fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        let times = (0..TIMES).map(|_| child::opened(&self.path)).collect::<Result<_>>()?;
        table.note(&row(plan), &[], Measured::time(times));
        Ok(())
    }
}
