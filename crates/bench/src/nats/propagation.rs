//! How soon another process serves what one has acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::body::Bytes;
use serde_json::{Value, json};

use super::Mode;
use crate::{
    http::Connections,
    plan::Plan,
    server::{ENVIRONMENT, process::Server, secrets::measure_sets},
    table::{Measured, Table},
};

/// Others who set secrets meanwhile.
const OTHERS: [usize; 2] = [0, 16];

fn row(mode: Mode, others: usize) -> String {
    let beside = if others == 0 { String::new() } else { format!(", beside {others} writers") };
    format!("{mode}: set on one process to read on another{beside}")
}

pub(super) fn rows(mode: Mode) -> Vec<String> {
    OTHERS.into_iter().map(|others| row(mode, others)).collect()
}

/// Sets on the first process, reads on the second.
pub(super) async fn measure(mode: Mode, servers: &[Server], plan: &Plan, table: &mut Table) -> Result<()> {
    let [writer, reader, ..] = servers else { return Ok(()) };
    if !plan.wants_any(&rows(mode)) {
        return Ok(());
    }
    let followed = Followed::prepare(writer, reader).await?;
    for others in OTHERS {
        let name = row(mode, others);
        if !plan.wants(&name) {
            continue;
        }
        let times = if others == 0 {
            followed.follow(plan.time).await?
        } else {
            tokio::try_join!(followed.follow(plan.time), measure_sets(writer, others, plan.time))?.0
        };
        table.note(&name, &[], Measured::time(times));
    }
    Ok(())
}

/// A secret that both processes know.
struct Followed {
    path: String,
    writing: Connections,
    reading: Connections,
}

impl Followed {
    async fn prepare(writer: &Server, reader: &Server) -> Result<Followed> {
        let writing = Connections::open(writer.address(), &writer.keys.admin, 1).await?;
        let reading = Connections::open(reader.address(), &reader.keys.admin, 1).await?;
        let followed = Followed { path: format!("{ENVIRONMENT}/secrets/FOLLOWED"), writing, reading };
        followed.set().await?;
        followed.reading.get(0, &format!("{}?consistency=strong", followed.path)).await?;
        Ok(followed)
    }

    /// Sets it again and again: from each acknowledgment to the first answer of the other process that has the new
    /// version. It is asked without a pause, so an answer is the least that can be measured.
    async fn follow(&self, time: Duration) -> Result<Vec<Duration>> {
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            let set = self.set().await?;
            let acknowledged = Instant::now();
            while version(&self.reading.get(0, &self.path).await?)? < set {}
            times.push(acknowledged.elapsed());
        }
        Ok(times)
    }

    async fn set(&self) -> Result<u64> {
        version(&self.writing.put(0, &self.path, &json!({ "value": "a value of thirty-two characters" })).await?)
    }
}

fn version(answer: &Bytes) -> Result<u64> {
    let answer: Value = serde_json::from_slice(answer)?;
    answer["version"].as_u64().context("a secret without a version")
}
