//! What a transaction of the writer does.

use claviger_core::{Revision, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    heads::Heads,
    read,
    sql::{SET_BOUNDS, Sql, from_sql, to_sql},
};
use crate::{Append, Bounds, Error, Expected, MAX_RECORD_BYTES, Record, Result, Stream, Subject};

/// One result per entry of a batch.
pub(super) type Results = Vec<Result<Revision>>;

/// Something to do within a transaction.
pub(super) enum Task {
    /// Appends a batch.
    Append(Vec<Append>),
    /// Takes records out of a stream.
    Remove(Stream, Removal),
}

impl Task {
    /// How many records it is about, roughly.
    pub(super) fn entries(&self) -> usize {
        match self {
            Task::Append(batch) => batch.len(),
            Task::Remove(_, Removal::Drop(revisions)) => revisions.len(),
            Task::Remove(..) => 1,
        }
    }

    /// How many bytes it stores.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Task::Append(batch) => batch.iter().map(|append| append.bytes.len()).sum(),
            Task::Remove(..) => 0,
        }
    }
}

/// Which records to take out.
pub(super) enum Removal {
    /// This one, made unrecoverable.
    Erase(Revision),
    /// The subject's, made unrecoverable.
    Purge(Subject),
    /// These, dropped by retention.
    Drop(Vec<Revision>),
}

/// What the tails have to know, in the order in which it happened.
pub(super) enum Change {
    Stored(Stream, Record),
    Removed(Stream, Revision),
}

/// What the writer knows of the streams.
pub(super) struct State {
    pub(super) heads: Heads,
    pub(super) bounds: [Bounds; Stream::ALL.len()],
}

/// An open transaction. An error of [`run`](Transaction::run) itself means that the whole
/// transaction has to be rolled back.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    pub(super) changes: Vec<Change>,
}

impl Transaction<'_> {
    /// Does the task; the results are those of its entries, if it has any.
    pub(super) fn run(&mut self, task: Task) -> Result<Results> {
        match task {
            Task::Append(batch) => self.append_all(batch),
            Task::Remove(stream, removal) => self.remove(stream, removal).map(|()| Results::new()),
        }
    }

    fn append_all(&mut self, batch: Vec<Append>) -> Result<Results> {
        let mut results = Results::with_capacity(batch.len());
        for append in batch {
            let is_orphan = append.follows && matches!(results.last(), Some(Err(_)));
            results.push(if is_orphan { Err(Error::Skipped) } else { self.append(append)? });
        }
        Ok(results)
    }

    fn append(&mut self, append: Append) -> Result<Result<Revision>> {
        let length = append.bytes.len();
        if length > MAX_RECORD_BYTES {
            return Ok(Err(Error::TooLarge { length, limit: MAX_RECORD_BYTES }));
        }
        if let Some(revision) = self.find_message(&append)? {
            return Ok(Ok(revision));
        }
        let key = (append.stream, append.subject);
        let wanted = match append.expected {
            Expected::Any => None,
            Expected::Absent => Some(Revision::ZERO),
            Expected::At(revision) => Some(revision),
        };
        if let Some(wanted) = wanted {
            let last = self.last_revision(&key)?;
            if last != wanted {
                return Ok(Err(Error::Conflict { last }));
            }
        }
        self.insert(key, append.message_id, append.bytes).map(Ok)
    }

    fn find_message(&self, append: &Append) -> Result<Option<Revision>> {
        let Some(id) = &append.message_id else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(&Sql::of(append.stream).by_message_id)?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?.map(from_sql))
    }

    fn last_revision(&mut self, key: &(Stream, Subject)) -> Result<Revision> {
        if let Some(last) = self.state.heads.get(key) {
            return Ok(last);
        }
        let mut statement = self.connection.prepare_cached(&Sql::of(key.0).last_revision)?;
        let stored = statement.query_row([key.1.as_str()], |row| row.get(0)).optional()?;
        let last = stored.map_or(Revision::ZERO, from_sql);
        self.state.heads.set(key.clone(), last);
        Ok(last)
    }

    fn insert(&mut self, key: (Stream, Subject), message_id: Option<String>, bytes: Vec<u8>) -> Result<Revision> {
        let (stream, subject) = &key;
        let last = &mut self.state.bounds[*stream as usize].last;
        let revision = last.next();
        let mut statement = self.connection.prepare_cached(&Sql::of(*stream).insert)?;
        statement.execute(params![to_sql(revision), self.now.0, subject.as_str(), message_id, bytes])?;
        *last = revision;
        let record = Record { subject: subject.clone(), revision, stored_at: self.now, bytes: bytes.into() };
        self.changes.push(Change::Stored(*stream, record));
        self.state.heads.set(key, revision);
        Ok(revision)
    }

    fn remove(&mut self, stream: Stream, removal: Removal) -> Result<()> {
        let sql = Sql::of(stream);
        match removal {
            Removal::Erase(revision) => self.delete(stream, &sql.erase, to_sql(revision))?,
            Removal::Purge(subject) => self.delete(stream, &sql.purge, subject.as_str())?,
            Removal::Drop(revisions) => {
                for revision in revisions {
                    self.delete(stream, &sql.erase, to_sql(revision))?;
                    let first = &mut self.state.bounds[stream as usize].first;
                    *first = revision.next().max(*first);
                }
            }
        }
        self.persist_bounds(stream)
    }

    fn delete(&mut self, stream: Stream, sql: &str, which: impl rusqlite::ToSql) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([which])?;
        while let Some(row) = rows.next()? {
            self.changes.push(Change::Removed(stream, from_sql(row.get(0)?)));
            self.state.heads.forget(&(stream, read::subject(row, 1)?));
        }
        Ok(())
    }

    fn persist_bounds(&self, stream: Stream) -> Result<()> {
        let Bounds { first, last } = self.state.bounds[stream as usize];
        let mut statement = self.connection.prepare_cached(SET_BOUNDS)?;
        statement.execute(params![stream.name(), to_sql(first), to_sql(last)])?;
        Ok(())
    }
}
