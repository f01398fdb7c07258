//! What the numbers are compared with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use rusqlite::Connection;

use crate::{
    child::Hello,
    http::Connections,
    load::drive,
    nats::Mode,
    plan::Plan,
    table::{Measured, Table},
};

/// How many are in flight at a time.
pub(crate) const WIDTHS: [usize; 3] = [1, 16, 64];

/// Bytes of what a raw commit or put stores: about those of a journal record.
pub(crate) const ROW_BYTES: usize = 300;

/// Something to compare with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// SQLite, one small row per transaction.
    Commits,
    /// A route that answers `hello`, with so many connections.
    Hello(usize),
    /// A key-value bucket of NATS, with so many writers.
    Puts(Mode, usize),
    /// The same bucket, with so many readers.
    Gets(Mode, usize),
}

impl Base {
    /// The name of its row.
    pub(crate) fn name(self) -> String {
        match self {
            Base::Commits => "base: raw SQLite commits, one row each".to_owned(),
            Base::Hello(width) => format!("base: axum hello, {width} connections"),
            Base::Puts(mode, width) => format!("base: {mode}: raw puts, {width} writers"),
            Base::Gets(mode, width) => format!("base: {mode}: raw gets, {width} at a time"),
        }
    }

    /// Whether it is a store, without Claviger.
    pub(crate) fn is_store(self) -> bool {
        !matches!(self, Base::Hello(_))
    }
}

/// The bases that need no NATS, ready to be measured.
pub(crate) struct Bases {
    database: PathBuf,
    hello: Hello,
}

impl Bases {
    /// Starts the trivial server, in a process of its own.
    pub(crate) fn prepare(directory: &Path) -> Result<Bases> {
        Ok(Bases { database: directory.join("raw.db"), hello: Hello::start()? })
    }

    /// Measures them.
    pub(crate) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        let (path, time) = (self.database.clone(), plan.time);
        let commits = tokio::task::spawn_blocking(move || commits(&path, time)).await??;
        table.note(&Base::Commits.name(), &[], commits);
        for width in WIDTHS {
            let connections = Arc::new(Connections::open(self.hello.address(), "", width).await?);
            let hello = move |lane: usize, _| {
                let connections = connections.clone();
                async move { connections.get(lane, "/").await.map(drop) }
            };
            table.note(&Base::Hello(width).name(), &[], drive(width, plan.time, hello).await?);
        }
        Ok(())
    }
}

/// One connection with the ledger's settings.
fn commits(path: &Path, time: Duration) -> Result<Measured> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (bytes BLOB) STRICT",
    )?;
    let mut insert = connection.prepare("INSERT INTO t VALUES (?1)")?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let before = Instant::now();
        insert.execute([[0_u8; ROW_BYTES]])?;
        times.push(before.elapsed());
    }
    Ok(Measured::work(times, start.elapsed()))
}
