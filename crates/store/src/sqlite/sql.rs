//! The statements of each stream.

use std::sync::LazyLock;

use claviger_core::Revision;

use crate::Stream;

/// The statements on one stream's table. Columns of a record are always `revision, stored_at,
/// subject, bytes`: the bytes come last, so that skipping a record does not read them.
pub(super) struct Sql {
    pub(super) insert: String,
    pub(super) by_message_id: String,
    pub(super) last_revision: String,
    pub(super) largest_revision: String,
    pub(super) erase: String,
    pub(super) purge: String,
    pub(super) last: String,
    pub(super) history: String,
    pub(super) read_all: String,
    pub(super) read_exact: String,
    pub(super) read_under: String,
    pub(super) subjects: String,
    pub(super) oldest: String,
    pub(super) count: String,
    pub(super) crowded: String,
    pub(super) surplus: String,
}

impl Sql {
    /// The statements for this stream.
    pub(super) fn of(stream: Stream) -> &'static Sql {
        static ALL: LazyLock<[Sql; Stream::ALL.len()]> = LazyLock::new(|| Stream::ALL.map(Sql::new));
        &ALL[stream as usize]
    }

    fn new(stream: Stream) -> Sql {
        let table = stream.name();
        let record = format!("SELECT revision, stored_at, subject, bytes FROM {table} WHERE");
        Sql {
            insert: format!(
                "INSERT INTO {table} (revision, stored_at, subject, message_id, bytes) VALUES (?1, ?2, ?3, ?4, ?5)"
            ),
            by_message_id: format!("SELECT revision FROM {table} WHERE message_id = ?1"),
            last_revision: format!("SELECT revision FROM {table} WHERE subject = ?1 ORDER BY revision DESC LIMIT 1"),
            largest_revision: format!("SELECT coalesce(max(revision), 0) FROM {table}"),
            erase: format!("DELETE FROM {table} WHERE revision = ?1 RETURNING revision, subject"),
            purge: format!("DELETE FROM {table} WHERE subject = ?1 RETURNING revision, subject"),
            last: format!("{record} subject = ?1 ORDER BY revision DESC LIMIT 1"),
            history: format!("{record} subject = ?1 ORDER BY revision"),
            read_all: format!("{record} revision > ?1 ORDER BY revision LIMIT ?2"),
            read_exact: format!("{record} revision > ?1 AND subject = ?3 ORDER BY revision LIMIT ?2"),
            // The plus keeps SQLite from collecting and sorting a whole range of subjects.
            read_under: format!(
                "{record} revision > ?1 AND +subject >= ?3 AND +subject < ?4 ORDER BY revision LIMIT ?2"
            ),
            subjects: format!("SELECT DISTINCT subject FROM {table} WHERE subject >= ?1 AND subject < ?2 ORDER BY 1"),
            oldest: format!("SELECT revision, stored_at FROM {table} ORDER BY revision LIMIT ?1"),
            count: format!("SELECT count(*) FROM {table}"),
            crowded: format!("SELECT subject FROM {table} GROUP BY subject HAVING count(*) > ?1"),
            surplus: format!(
                "SELECT revision FROM {table} WHERE subject = ?1 ORDER BY revision DESC LIMIT -1 OFFSET ?2"
            ),
        }
    }
}

/// The stream's smallest resumable and last persisted revision.
pub(super) const BOUNDS: &str = "SELECT first, last FROM streams WHERE name = ?1";

/// Persists them.
pub(super) const SET_BOUNDS: &str = "UPDATE streams SET first = ?2, last = ?3 WHERE name = ?1";

/// A revision as SQLite stores it. Larger ones than it can store do not exist.
pub(super) fn to_sql(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// A revision as it was stored.
pub(super) fn from_sql(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or(0))
}
