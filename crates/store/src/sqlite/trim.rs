//! Retention.

use std::time::Duration;

use claviger_core::{Revision, Timestamp};
use rusqlite::Connection;

use super::{
    apply::Removal,
    ledger::SqliteLedger,
    read,
    sql::{Sql, from_sql},
};
use crate::{Result, Stream, Subject};

/// Records dropped in one transaction: few, so that appends hardly wait.
const BATCH: usize = 256;

/// Drops what the streams' retention allows, in small transactions.
pub(super) async fn trim(ledger: &SqliteLedger, now: Timestamp) -> Result<()> {
    for stream in Stream::ALL {
        let retention = stream.retention();
        if let Some(max_age) = retention.max_age {
            trim_old(ledger, stream, now, max_age).await?;
        }
        if let Some(keep) = retention.last_per_subject {
            trim_crowded(ledger, stream, keep).await?;
        }
    }
    Ok(())
}

async fn trim_old(ledger: &SqliteLedger, stream: Stream, now: Timestamp, max_age: Duration) -> Result<()> {
    loop {
        let drops = ledger.read_long(move |connection| old(connection, stream, now, max_age)).await?;
        if drops.is_empty() {
            return Ok(());
        }
        ledger.remove(stream, Removal::Drop(drops)).await?;
    }
}

async fn trim_crowded(ledger: &SqliteLedger, stream: Stream, keep: u32) -> Result<()> {
    for subject in ledger.read_long(move |connection| crowded(connection, stream, keep)).await? {
        let drops = ledger.read_long(move |connection| surplus(connection, stream, &subject, keep)).await?;
        for batch in drops.chunks(BATCH) {
            ledger.remove(stream, Removal::Drop(batch.to_vec())).await?;
        }
    }
    Ok(())
}

/// The oldest records, as far as they are too old.
fn old(connection: &Connection, stream: Stream, now: Timestamp, max_age: Duration) -> Result<Vec<Revision>> {
    let mut statement = connection.prepare_cached(&Sql::of(stream).oldest)?;
    let mut rows = statement.query([i64::try_from(BATCH).unwrap_or(i64::MAX)])?;
    let mut drops = Vec::new();
    while let Some(row) = rows.next()? {
        if now.since(Timestamp(row.get(1)?)) <= max_age {
            break;
        }
        drops.push(from_sql(row.get(0)?));
    }
    Ok(drops)
}

/// The subjects with more records than are kept. Reads the index only.
fn crowded(connection: &Connection, stream: Stream, keep: u32) -> Result<Vec<Subject>> {
    let mut statement = connection.prepare_cached(&Sql::of(stream).crowded)?;
    let mut rows = statement.query([keep])?;
    let mut subjects = Vec::new();
    while let Some(row) = rows.next()? {
        subjects.push(read::subject(row, 0)?);
    }
    Ok(subjects)
}

/// The subject's records beyond the ones that are kept.
fn surplus(connection: &Connection, stream: Stream, subject: &Subject, keep: u32) -> Result<Vec<Revision>> {
    let mut statement = connection.prepare_cached(&Sql::of(stream).surplus)?;
    let revisions = statement.query_map((subject.as_str(), keep), |row| row.get(0).map(from_sql))?;
    Ok(revisions.collect::<rusqlite::Result<_>>()?)
}
