//! Rewriting every record at once, for a store that changes its keys.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{
    connect,
    ledger::SqliteLedger,
    read,
    sql::{Sql, to_sql},
    writer::Writer,
};
use crate::{Error, MAX_RECORD_BYTES, Record, Result, Stream, Subject};

/// How long to wait for reads of older images of pages. Nobody else is expected to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of a stream's table while its records are copied.
const FORMER: &str = "former";

/// What a record becomes. Its revision, its time and its message id stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The subject.
    pub subject: Subject,
    /// The bytes; at most [`MAX_RECORD_BYTES`].
    pub bytes: Vec<u8>,
}

impl SqliteLedger {
    /// How many records there are, in all streams.
    ///
    /// # Errors
    /// [`Error::Unavailable`] and [`Error::Damaged`].
    pub async fn count(&self) -> Result<u64> {
        self.read_long(|connection| {
            let mut all = 0;
            for stream in Stream::ALL {
                let count: i64 = connection.query_row(&Sql::of(stream).count, [], |row| row.get(0))?;
                all += count.unsigned_abs();
            }
            Ok(all)
        })
        .await
    }

    /// Replaces every record by what `rewrite` makes of it, stream by stream in the order of [`Stream::ALL`], each in the
    /// order of revisions. One transaction: when this returns, all are replaced, durably, and after an error or a crash
    /// none is. Meant for a ledger that nothing else uses: appends wait, tails are told nothing. Not on the trait, since a
    /// replicated ledger could not promise it.
    ///
    /// The records are copied into new pages, and the former ones are overwritten with zeros. They are gone from the files
    /// after [`scrub`](SqliteLedger::scrub). Until then there has to be room for three times what is stored.
    ///
    /// # Errors
    /// What `rewrite` answers, [`Error::TooLarge`], [`Error::Full`], [`Error::ReadOnly`], [`Error::Damaged`] and
    /// [`Error::Unavailable`].
    pub async fn rewrite<E: From<Error> + Send + 'static>(
        &self,
        mut rewrite: impl FnMut(Stream, &Record) -> std::result::Result<Rewritten, E> + Send + 'static,
    ) -> std::result::Result<(), E> {
        self.with_writer(move |writer| writer.rewrite(&mut rewrite)).await?
    }

    /// Brings every page to its newest image and empties the log, so that nothing which was erased or rewritten is in the
    /// files any more. What the file system or the disk below keep of overwritten blocks is out of reach.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while something reads an older state, [`Error::Full`] and [`Error::ReadOnly`].
    pub async fn scrub(&self) -> Result<()> {
        let is_done = self.with_writer(|writer| connect::truncate_log(&writer.connection, PATIENCE)).await??;
        if is_done { Ok(()) } else { Err(Error::Unavailable { source: None }) }
    }
}

impl Writer {
    fn rewrite<E: From<Error>>(
        &mut self,
        rewrite: &mut impl FnMut(Stream, &Record) -> std::result::Result<Rewritten, E>,
    ) -> std::result::Result<(), E> {
        let outcome = rewrite_all(&self.connection, rewrite);
        if outcome.is_err() {
            self.roll_back();
        }
        self.state.heads.clear();
        for stream in Stream::ALL {
            self.shared.live(stream).forget();
        }
        outcome
    }
}

fn rewrite_all<E: From<Error>>(
    connection: &Connection,
    rewrite: &mut impl FnMut(Stream, &Record) -> std::result::Result<Rewritten, E>,
) -> std::result::Result<(), E> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for stream in Stream::ALL {
        set_aside(connection, stream)?;
        copy(connection, stream, rewrite)?;
        // Its pages become free ones, full of zeros.
        execute(connection, &format!("DROP TABLE {FORMER}"))?;
    }
    Ok(execute(connection, "COMMIT")?)
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    Ok(connection.execute_batch(sql)?)
}

/// Renames a stream's table and makes an empty one with the same indexes in its place.
fn set_aside(connection: &Connection, stream: Stream) -> Result<()> {
    let table = stream.name();
    let mut statement = connection.prepare(
        "SELECT type = 'index', name, sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY 1",
    )?;
    let definition = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let definitions: Vec<(bool, String, String)> =
        statement.query_map([table], definition)?.collect::<rusqlite::Result<_>>()?;
    for (_, index, _) in definitions.iter().filter(|(is_index, ..)| *is_index) {
        execute(connection, &format!("DROP INDEX {index}"))?;
    }
    execute(connection, &format!("ALTER TABLE {table} RENAME TO {FORMER}"))?;
    definitions.iter().try_for_each(|(_, _, sql)| execute(connection, sql))
}

fn copy<E: From<Error>>(
    connection: &Connection,
    stream: Stream,
    rewrite: &mut impl FnMut(Stream, &Record) -> std::result::Result<Rewritten, E>,
) -> std::result::Result<(), E> {
    let sqlite = |error: rusqlite::Error| Error::from(error);
    let columns = "revision, stored_at, subject, bytes, message_id";
    let mut former =
        connection.prepare(&format!("SELECT {columns} FROM {FORMER} ORDER BY revision")).map_err(sqlite)?;
    let mut insert = connection.prepare(&Sql::of(stream).insert).map_err(sqlite)?;
    let mut rows = former.query([]).map_err(sqlite)?;
    while let Some(row) = rows.next().map_err(sqlite)? {
        let record = read::record(row)?;
        let message_id: Option<String> = row.get(4).map_err(sqlite)?;
        let Rewritten { subject, bytes } = rewrite(stream, &record)?;
        let length = bytes.len();
        if length > MAX_RECORD_BYTES {
            return Err(Error::TooLarge { length, limit: MAX_RECORD_BYTES }.into());
        }
        let place = (to_sql(record.revision), record.stored_at.0);
        insert.execute(params![place.0, place.1, subject.as_str(), message_id, bytes]).map_err(sqlite)?;
    }
    Ok(())
}
