//! The index, in a file of its own that may be deleted at any time.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    connect,
    lock::{beside, private_file},
    pool::Pool,
    sql::{from_sql, to_sql},
};
use crate::{Entry, Error, Index, Op, Result, Stream};

/// The version of the tables below. A file of another version is made anew.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE life (incarnation INTEGER NOT NULL) STRICT;
    CREATE TABLE folds (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE reflected (
        fold INTEGER NOT NULL REFERENCES folds (id) ON DELETE CASCADE,
        stream TEXT NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (fold, stream)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE entries (
        fold INTEGER NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (fold, key)
    ) STRICT, WITHOUT ROWID;
";

const FOLD: &str = "(SELECT id FROM folds WHERE name = ?1)";

/// Connections for reads.
const READERS: usize = 3;

/// An index in a SQLite file beside the ledger's. Not locked: whoever holds the ledger holds it.
///
/// When a call finds damage ([`Error::Damaged`]), the file is deleted, so that the next
/// [`open`](SqliteIndex::open) begins anew.
pub struct SqliteIndex {
    shared: Arc<Shared>,
}

/// Dropped in this order: the connection that goes last has to be one that may empty the log.
struct Shared {
    readers: Pool,
    writer: Mutex<Connection>,
    path: PathBuf,
}

impl Shared {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.noticing(self.readers.read(read))
    }

    fn change(&self, change: impl FnOnce(&Transaction<'_>) -> Result<()>) -> Result<()> {
        let mut connection = self.writer.lock();
        let changed = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::from)
            .and_then(|transaction| change(&transaction).and_then(|()| Ok(transaction.commit()?)));
        self.noticing(changed)
    }

    fn noticing<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(Error::Damaged { .. }) = &result {
            // The next to open it tries again.
            let _best_effort = delete(&self.path);
        }
        result
    }
}

impl SqliteIndex {
    /// Opens the file, or makes it. One that is damaged, from another version, or about another life
    /// of the ledger is deleted and made anew, empty. Blocks on the disk for some milliseconds.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Full`] and [`Error::Unavailable`].
    pub fn open(path: impl Into<PathBuf>, incarnation: Incarnation) -> Result<SqliteIndex> {
        let path = path.into();
        match SqliteIndex::open_whole(&path, incarnation) {
            Err(Error::Damaged { .. }) => {
                delete(&path)?;
                SqliteIndex::open_whole(&path, incarnation)
            }
            opened => opened,
        }
    }

    /// Which life of the ledger a file is about, if it reflects anything of it. Blocks like [`open`](SqliteIndex::open).
    ///
    /// # Errors
    /// As [`open`](SqliteIndex::open). A file that would be made anew for another reason, or is not there, is about none.
    pub fn life(path: impl AsRef<Path>) -> Result<Option<Incarnation>> {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(None);
        }
        match connect::index_writer(path).and_then(|connection| life(&connection)) {
            Err(Error::Damaged { .. }) => Ok(None),
            life => life,
        }
    }

    fn open_whole(path: &Path, incarnation: Incarnation) -> Result<SqliteIndex> {
        drop(private_file(path)?);
        let mut connection = connect::index_writer(path)?;
        prepare(&mut connection, incarnation)?;
        let readers = Pool::open(path, None, READERS)?;
        let shared = Shared { readers, writer: Mutex::new(connection), path: path.to_owned() };
        Ok(SqliteIndex { shared: Arc::new(shared) })
    }

    async fn change(&self, change: impl FnOnce(&Transaction<'_>) -> Result<()> + Send + 'static) -> Result<()> {
        let shared = self.shared.clone();
        blocking(move || shared.change(change)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Unavailable { source: Some(Arc::new(error)) }),
    }
}

fn delete(path: &Path) -> Result<()> {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the tables of a new file, and checks those of an old one.
fn prepare(connection: &mut Connection, incarnation: Incarnation) -> Result<()> {
    let incarnation = incarnation.0.cast_signed();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_new: bool =
        transaction.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
    if is_new {
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO life VALUES (?1)", [incarnation])?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        return Ok(transaction.commit()?);
    }
    if version != VERSION {
        return Err(Error::Damaged { what: "the index is of another version" });
    }
    if transaction.query_row("SELECT incarnation FROM life", [], |row| row.get::<_, i64>(0))? != incarnation {
        return Err(Error::Damaged { what: "the index is about another life of the ledger" });
    }
    Ok(())
}

fn life(connection: &Connection) -> Result<Option<Incarnation>> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        return Ok(None);
    }
    let query = "SELECT incarnation FROM life WHERE EXISTS (SELECT 1 FROM reflected WHERE revision > 0)";
    let life = connection.query_row(query, [], |row| row.get::<_, i64>(0)).optional()?;
    Ok(life.map(|life| Incarnation(life.cast_unsigned())))
}

fn write(transaction: &Transaction<'_>, fold: &str, ops: Vec<Op>, reflected: BTreeMap<Stream, Revision>) -> Result<()> {
    transaction.prepare_cached("INSERT INTO folds (name) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([fold])?;
    let id: i64 =
        transaction.prepare_cached("SELECT id FROM folds WHERE name = ?1")?.query_row([fold], |row| row.get(0))?;
    let mut put =
        transaction.prepare_cached("INSERT OR REPLACE INTO entries (fold, key, value) VALUES (?1, ?2, ?3)")?;
    let mut delete = transaction.prepare_cached("DELETE FROM entries WHERE fold = ?1 AND key = ?2")?;
    for op in ops {
        match op {
            Op::Put { key, value } => put.execute(params![id, key.as_bytes(), value])?,
            Op::Delete { key } => delete.execute(params![id, key.as_bytes()])?,
        };
    }
    let mut note =
        transaction.prepare_cached("INSERT OR REPLACE INTO reflected (fold, stream, revision) VALUES (?1, ?2, ?3)")?;
    for (stream, revision) in reflected {
        note.execute(params![id, stream.name(), to_sql(revision)])?;
    }
    Ok(())
}

fn clear(transaction: &Transaction<'_>, fold: &str) -> Result<()> {
    transaction.prepare_cached(&format!("DELETE FROM entries WHERE fold = {FOLD}"))?.execute([fold])?;
    transaction.prepare_cached("DELETE FROM folds WHERE name = ?1")?.execute([fold])?;
    Ok(())
}

fn reflected(connection: &Connection, fold: &str) -> Result<BTreeMap<Stream, Revision>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT stream, revision FROM reflected WHERE fold = {FOLD}"))?;
    let mut rows = statement.query([fold])?;
    let mut reflected = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().unwrap_or_default();
        let stream = Stream::ALL.into_iter().find(|stream| stream.name() == name);
        let stream = stream.ok_or(Error::Damaged { what: "the index names an unknown stream" })?;
        reflected.insert(stream, from_sql(row.get(1)?));
    }
    Ok(reflected)
}

fn get(connection: &Connection, fold: &str, key: &str) -> Result<Option<Vec<u8>>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT value FROM entries WHERE fold = {FOLD} AND key = ?2"))?;
    Ok(statement.query_row(params![fold, key.as_bytes()], |row| row.get(0)).optional()?)
}

/// Which keys a scan wants.
struct Range {
    prefix: String,
    after: String,
    limit: usize,
}

fn scan(connection: &Connection, fold: &str, range: &Range) -> Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT key, value FROM entries WHERE fold = {FOLD} AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4"
    ))?;
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![fold, range.from(), range.to(), limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let key = String::from_utf8(row.get(0)?).map_err(|_| Error::Damaged { what: "a key is not text" })?;
        entries.push(Entry { key, value: row.get(1)? });
    }
    Ok(entries)
}

impl Range {
    /// The smallest wanted key.
    fn from(&self) -> Vec<u8> {
        if self.after.is_empty() || self.after < self.prefix {
            return self.prefix.as_bytes().to_vec();
        }
        [self.after.as_bytes(), b"\0"].concat()
    }

    /// The smallest key beyond those that begin with the prefix. No byte of a text is 255, so the last
    /// one can always be increased.
    fn to(&self) -> Vec<u8> {
        match self.prefix.as_bytes().split_last() {
            Some((last, rest)) => [rest, &[last + 1]].concat(),
            None => vec![u8::MAX],
        }
    }
}

#[async_trait]
impl Index for SqliteIndex {
    async fn write(&self, fold: &str, ops: Vec<Op>, reflected: BTreeMap<Stream, Revision>) -> Result<()> {
        let fold = fold.to_owned();
        self.change(move |transaction| write(transaction, &fold, ops, reflected)).await
    }

    async fn reflected(&self, fold: &str) -> Result<BTreeMap<Stream, Revision>> {
        self.shared.read(|connection| reflected(connection, fold))
    }

    async fn get(&self, fold: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.shared.read(|connection| get(connection, fold, key))
    }

    async fn scan(&self, fold: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>> {
        let (shared, fold) = (self.shared.clone(), fold.to_owned());
        let range = Range { prefix: prefix.to_owned(), after: after.to_owned(), limit };
        blocking(move || shared.read(|connection| scan(connection, &fold, &range))).await
    }

    async fn clear(&self, fold: &str) -> Result<()> {
        let fold = fold.to_owned();
        self.change(move |transaction| clear(transaction, &fold)).await
    }
}
