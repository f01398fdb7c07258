//! What connections read.

use std::sync::Arc;

use claviger_core::{Revision, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};

use super::sql::{Sql, from_sql, to_sql};
use crate::{
    Error, Filter, Record, Result, Stream, Subject,
    tail::{PAGE_BYTES, PAGE_RECORDS, Page},
};

/// The subject's last record.
pub(super) fn last(connection: &Connection, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
    let mut statement = connection.prepare_cached(&Sql::of(stream).last)?;
    statement.query_row([subject.as_str()], |row| Ok(record(row))).optional()?.transpose()
}

/// The subject's records, oldest first.
pub(super) fn history(connection: &Connection, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
    collect(connection.prepare_cached(&Sql::of(stream).history)?, [subject.as_str()], |_| true)
}

/// The subjects that pass, sorted.
pub(super) fn subjects(connection: &Connection, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
    let (from, to) = range(filter);
    let mut statement = connection.prepare_cached(&Sql::of(stream).subjects)?;
    let mut rows = statement.query(params![from, to])?;
    let mut subjects = Vec::new();
    while let Some(row) = rows.next()? {
        subjects.push(self::subject(row, 0)?);
    }
    Ok(subjects)
}

/// At most `limit` records after `after`.
pub(super) fn read(connection: &Connection, stream: Stream, filter: &Filter, span: Span) -> Result<Vec<Record>> {
    read_while(connection, stream, filter, span, |_| true)
}

/// One page of a tail. `last` is the stream's last revision, as known before this read.
pub(super) fn page(
    connection: &Connection,
    stream: Stream,
    filter: &Filter,
    span: Span,
    last: Revision,
) -> Result<Page> {
    let mut bytes = 0;
    let records = read_while(connection, stream, filter, span, |record| {
        bytes += record.bytes.len();
        bytes < PAGE_BYTES
    })?;
    let is_whole = records.len() < span.limit && bytes < PAGE_BYTES;
    let returned = records.last().map_or(span.after, |record| record.revision);
    // The read may have seen later records than `last`; none between them is missing, for a read sees
    // one state of the whole stream.
    let seen = if is_whole { returned.max(last) } else { returned };
    Ok(Page { records, seen })
}

/// Where a read begins and how much it wants.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) after: Revision,
    pub(super) limit: usize,
}

impl Span {
    /// A page's worth.
    pub(super) fn page(after: Revision) -> Span {
        Span { after, limit: PAGE_RECORDS }
    }
}

/// Reads until `goes_on` says no, the record for which it does included.
fn read_while(
    connection: &Connection,
    stream: Stream,
    filter: &Filter,
    span: Span,
    goes_on: impl FnMut(&Record) -> bool,
) -> Result<Vec<Record>> {
    let sql = Sql::of(stream);
    let (after, limit) = (to_sql(span.after), i64::try_from(span.limit).unwrap_or(i64::MAX));
    match filter {
        Filter::All => collect(connection.prepare_cached(&sql.read_all)?, params![after, limit], goes_on),
        Filter::Exact(subject) => {
            let statement = connection.prepare_cached(&sql.read_exact)?;
            collect(statement, params![after, limit, subject.as_str()], goes_on)
        }
        Filter::Under(_) => {
            let (from, to) = range(filter);
            collect(connection.prepare_cached(&sql.read_under)?, params![after, limit, from, to], goes_on)
        }
    }
}

fn collect(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    mut goes_on: impl FnMut(&Record) -> bool,
) -> Result<Vec<Record>> {
    let mut rows = statement.query(params)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = record(row)?;
        let is_last = !goes_on(&record);
        records.push(record);
        if is_last {
            break;
        }
    }
    Ok(records)
}

/// The subjects that pass, as a range of texts: from the first, up to but without the second.
fn range(filter: &Filter) -> (String, String) {
    match filter {
        // Every byte of a subject is smaller.
        Filter::All => (String::new(), "\u{7f}".to_owned()),
        // A dot is the byte before a slash, and the smallest byte after a subject's end is larger than zero.
        Filter::Exact(subject) => (subject.to_string(), format!("{subject}\0")),
        Filter::Under(prefix) => (format!("{prefix}."), format!("{prefix}/")),
    }
}

/// The record in the first four columns.
pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    let bytes = row.get_ref(3)?.as_blob().map_err(|_| Error::Damaged { what: "a record has no bytes" })?;
    Ok(Record {
        subject: subject(row, 2)?,
        revision: from_sql(row.get(0)?),
        stored_at: Timestamp(row.get(1)?),
        bytes: Arc::from(bytes),
    })
}

/// The subject in this column.
pub(super) fn subject(row: &Row<'_>, column: usize) -> Result<Subject> {
    let text = row.get_ref(column)?.as_str().ok();
    text.and_then(Subject::parse).ok_or(Error::Damaged { what: "a stored subject is not one" })
}
