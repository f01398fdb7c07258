//! Setting secrets and reading their metadata, with one process.

use anyhow::Result;

use super::Mode;
use crate::{
    base::{Base, WIDTHS},
    plan::Plan,
    server::{
        process::Server,
        secrets::{Consistency, measure_reads, measure_sets},
    },
    table::Table,
};

fn sets(mode: Mode, width: usize) -> String {
    format!("{mode}: secret sets, {width} writers")
}

fn reads(mode: Mode, width: usize, consistency: Consistency) -> String {
    let kind = if consistency == Consistency::Strong { "strong metadata reads" } else { "metadata reads" };
    format!("{mode}: {kind}, {width} at a time")
}

/// The reads of a mode.
fn kinds(mode: Mode) -> &'static [Consistency] {
    if mode == Mode::Durable { &[Consistency::Default, Consistency::Strong] } else { &[] }
}

pub(super) fn rows(mode: Mode) -> Vec<String> {
    let reads = kinds(mode).iter().flat_map(|kind| WIDTHS.map(|width| reads(mode, width, *kind)));
    WIDTHS.into_iter().map(|width| sets(mode, width)).chain(reads).collect()
}

pub(super) async fn measure(mode: Mode, server: &Server, plan: &Plan, table: &mut Table) -> Result<()> {
    for width in WIDTHS {
        let name = sets(mode, width);
        if plan.wants(&name) {
            let against = [Base::Hello(width), Base::Puts(mode, width)];
            table.note(&name, &against, measure_sets(server, width, plan.time).await?);
        }
    }
    for kind in kinds(mode) {
        for width in WIDTHS {
            let name = reads(mode, width, *kind);
            if plan.wants(&name) {
                let against = [Base::Hello(width), Base::Gets(mode, width)];
                table.note(&name, &against, measure_reads(server, width, plan.time, *kind).await?);
            }
        }
    }
    Ok(())
}
