//! Connections and their settings.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::options::{Durability, SqliteOptions};
use crate::Result;

/// How long to wait for a lock of SQLite's. Only opening and closing can meet one.
const BUSY_AFTER: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared: all that there are.
const PREPARED: usize = 128;

/// Bytes that the log should not exceed for long: it is cut to that when it starts anew.
pub(super) const LOG_BYTES: u32 = 64 * 1024 * 1024;

/// The connection that writes.
pub(super) fn writer(options: &SqliteOptions) -> Result<Connection> {
    let connection = open(&options.path, OpenFlags::SQLITE_OPEN_READ_WRITE, options.vfs.as_deref())?;
    protect(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", options.checkpoint_pages)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(connection)
}

/// A connection that only reads. The one that writes must be open.
pub(super) fn reader(path: &Path, vfs: Option<&str>) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, vfs)?;
    protect(&connection)?;
    // Opens the log now rather than with the first read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// The writing connection of an index, which can be rebuilt: a commit need not reach the disk, but
/// what reaches it is whole.
pub(super) fn index_writer(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, None)?;
    protect(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(connection)
}

fn open(path: &Path, access: OpenFlags, vfs: Option<&str>) -> Result<Connection> {
    // Every connection is used by one thread at a time, so SQLite needs no mutex of its own.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_AFTER)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Plans do not depend on what is bound. Otherwise a query beside a partial index is prepared again for
    // every value, which takes longer than to run it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn protect(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Copies the log into the database and cuts it to nothing, so that no older image of a page is left.
/// False when a read still needs an older image.
pub(super) fn truncate_log(connection: &Connection, patience: Duration) -> Result<bool> {
    connection.busy_timeout(patience)?;
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_AFTER)?;
    Ok(checkpoint? == 0)
}
