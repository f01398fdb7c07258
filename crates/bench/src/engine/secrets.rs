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
    load::drive,
    plan::Plan,
    table::{Against, Table, widths},
};

/// Secrets of each writer.
const NAMES: usize = 500;

/// Sets a secret.
pub(super) async fn set(engine: &Engine, name: &str, value: &str) -> Result<()> {
    let value = SecretValue::new(value.as_bytes().to_vec());
    let set = SetSecret { value, description: None, short: Short::Refuse, expected: None };
    engine.vault().set(&admin(), &scope()?, &name.parse()?, set).await?;
    Ok(())
}

pub(super) async fn measure(engine: &Arc<Engine>, plan: &Plan, table: &mut Table) -> Result<()> {
    for width in widths() {
        let name = format!("engine: secret sets, {width} writers");
        if plan.wants(&name) {
            let engine = engine.clone();
            let work = move |lane: usize, turn: usize| {
                let engine = engine.clone();
                async move { set(&engine, &format!("W{lane}_{}", turn % NAMES), "a value of thirty-two characters").await }
            };
            table.note(&name, Against::Commits, drive(width, plan.time, work).await?);
        }
    }
    let name = "engine: metadata reads, 1 reader";
    if plan.wants(name) {
        set(engine, "READ", "a value of thirty-two characters").await?;
        let engine = engine.clone();
        let work = move |_, _| {
            let engine = engine.clone();
            async move {
                engine.vault().describe(&admin(), &scope()?, &"READ".parse()?).await?;
                Ok(())
            }
        };
        table.note(name, Against::Nothing, drive(1, plan.time, work).await?);
    }
    Ok(())
}
