//! Schema versions of the ledger's file.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{Error, Result, clock};

/// Every migration, in order; the first is version 1. Once released, one never changes.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_streams.sql")];

/// `PRAGMA application_id` of our files: the letters `Clav`.
const APPLICATION_ID: i64 = 0x436C_6176;

/// Brings the file to the newest version, each step in a transaction of its own. Refuses files of
/// others, of a newer version, or whose history is not ours.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    check_owner(connection)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations \
         (version INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, applied_at INTEGER NOT NULL) STRICT",
    )?;
    let newest: i64 =
        connection.query_row("SELECT coalesce(max(version), 0) FROM schema_migrations", [], |row| row.get(0))?;
    if newest > number(MIGRATIONS.len()) {
        return Err(Error::Damaged { what: "the database is from a newer version" });
    }
    for (at, sql) in MIGRATIONS.iter().enumerate() {
        step(connection, number(at + 1), sql)?;
    }
    Ok(())
}

fn check_owner(connection: &Connection) -> Result<()> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let foreign = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name <> 'schema_migrations')";
    let has_tables: bool = connection.query_row(foreign, [], |row| row.get(0))?;
    if id == APPLICATION_ID || (id == 0 && !has_tables) {
        return Ok(());
    }
    Err(Error::Damaged { what: "the database is not a ledger" })
}

fn step(connection: &mut Connection, version: i64, sql: &str) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied: Option<i64> = transaction
        .query_row("SELECT checksum FROM schema_migrations WHERE version = ?1", [version], |row| row.get(0))
        .optional()?;
    match applied {
        Some(sum) if sum == checksum(sql) => Ok(()),
        Some(_) => Err(Error::Damaged { what: "the database was made by a different version" }),
        None => apply(transaction, version, sql),
    }
}

fn apply(transaction: Transaction<'_>, version: i64, sql: &str) -> Result<()> {
    transaction.execute_batch(sql)?;
    transaction.execute(
        "INSERT INTO schema_migrations (version, checksum, applied_at) VALUES (?1, ?2, ?3)",
        params![version, checksum(sql), clock::now().0],
    )?;
    transaction.commit()?;
    Ok(())
}

/// FNV-1a, 64 bits: notices an edited migration, which is all it is for.
fn checksum(sql: &str) -> i64 {
    let sum =
        sql.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    sum.cast_signed()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
