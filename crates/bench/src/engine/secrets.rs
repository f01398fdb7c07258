//! Setting secrets and reading their metadata.

use std::sync::Arc;

use anyhow::Result;
use claviger_core::SecretValue;
use claviger_engine::{
    Engine,
    vault::{SetSecret, Short},
};

use super::{admin, scope};
use crate::{
    base::{Base, WIDTHS},
    load::drive,
    plan::Plan,
    table::Table,
};

/// Secrets of each writer. So many that none is set more often than its versions are kept.
const NAMES: usize = 2_000;

/// Sets a secret.
pub(super) async fn set(engine: &Engine, name: &str, value: &str) -> Result<()> {
    let value = SecretValue::new(value.as_bytes().to_vec());
    let set = SetSecret { value, description: None, short: Short::Refuse, expected: None };
    engine.vault().set(&admin(), &scope()?, &name.parse()?, set).await?;
    Ok(())
}

const READS: &str = "engine: metadata reads, 1 at a time";

fn sets(width: usize) -> String {
    format!("engine: secret sets, {width} writers")
}

/// One secret each: every set erases a version.
fn rotations() -> String {
    format!("{}, one secret each", sets(64))
}

pub(super) fn rows() -> Vec<String> {
    WIDTHS.into_iter().map(sets).chain([rotations(), READS.to_owned()]).collect()
}

pub(super) async fn measure(engine: &Arc<Engine>, plan: &Plan, table: &mut Table) -> Result<()> {
    for width in WIDTHS {
        measure_sets(engine, plan, table, (sets(width), width, NAMES)).await?;
    }
    measure_sets(engine, plan, table, (rotations(), 64, 1)).await?;
    if plan.wants(READS) {
        set(engine, "READ", "a value of thirty-two characters").await?;
        let engine = engine.clone();
        let work = move |_, _| {
            let engine = engine.clone();
            async move {
                engine.vault().describe(&admin(), &scope()?, &"READ".parse()?).await?;
                Ok(())
            }
        };
        table.note(READS, &[], drive(1, plan.time, work).await?);
    }
    Ok(())
}

async fn measure_sets(
    engine: &Arc<Engine>,
    plan: &Plan,
    table: &mut Table,
    (name, width, names): (String, usize, usize),
) -> Result<()> {
    if !plan.wants(&name) {
        return Ok(());
    }
    let engine = engine.clone();
    let work = move |lane: usize, turn: usize| {
        let engine = engine.clone();
        let name = format!("OF_{names}_{width}_{lane}_{}", turn % names);
        async move { set(&engine, &name, "a value of thirty-two characters").await }
    };
    table.note(&name, &[Base::Commits], drive(width, plan.time, work).await?);
    Ok(())
}
