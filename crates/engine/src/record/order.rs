//! Records that were put back.
//!
//! A signature says where a record belongs, not when: a copy of an old record, stored again, would verify. So it covers one
//! more fact, the revision that the append's guard demanded as its subject's last. The guard saw to it that there was none
//! between that one and the record, and erasing only takes records away; a kept record between the two shows that the later
//! one was put there by somebody else.
//!
//! What this cannot show is a record whose successors were taken away. A server that runs knows better by itself; to one
//! that starts, the store looks as it did before they were written.

use claviger_core::Revision;
use claviger_store::{Expected, Filter, Ledger, Record, Stream};

use super::SIGNED;
use crate::Error;

/// Length of the revision in a record.
pub(super) const BYTES: usize = 8;

/// Stands for an append without a guard. No revision is as large.
const UNGUARDED: u64 = u64::MAX;

const WHAT: &str = "it is an older record that was put back";

/// The revision before a record, as far as its guard tells.
pub(super) fn encode(expected: Expected) -> [u8; BYTES] {
    match expected {
        Expected::Any => UNGUARDED,
        Expected::Absent => 0,
        Expected::At(revision) => revision.0,
    }
    .to_be_bytes()
}

/// The revision that a verified record follows on its subject, zero for none; `None` for a record that was appended without
/// a guard.
pub(crate) fn before(record: &Record) -> Option<Revision> {
    let (revision, _) = record.bytes.get(SIGNED..)?.split_first_chunk()?;
    Some(Revision(u64::from_be_bytes(*revision))).filter(|revision| revision.0 != UNGUARDED)
}

/// Checks a verified, guarded record against another of its subject that is known to have been stored before it.
///
/// # Errors
/// [`Error::Corrupt`] when it was written before that one.
pub(crate) fn check_follows(stream: Stream, record: &Record, known: Revision) -> Result<(), Error> {
    // Those between may have been erased.
    let follows = before(record).is_some_and(|before| before >= known && before < record.revision);
    if follows { Ok(()) } else { Err(corrupt(stream, record)) }
}

/// Checks a verified, guarded record against all of its subject that is kept.
///
/// # Errors
/// [`Error::Corrupt`] when it was written before one that is stored before it, and what the store says.
pub(crate) async fn check_place(ledger: &dyn Ledger, stream: Stream, record: &Record) -> Result<(), Error> {
    let before = before(record).filter(|before| *before < record.revision).ok_or(corrupt(stream, record))?;
    let following = ledger.read(stream, &Filter::Exact(record.subject.clone()), before, 1).await?;
    // A later one stands there when the record itself was erased meanwhile.
    match following.first() {
        Some(between) if between.revision < record.revision => Err(corrupt(stream, record)),
        _ => Ok(()),
    }
}

fn corrupt(stream: Stream, record: &Record) -> Error {
    Error::Corrupt { stream: stream.name(), revision: record.revision, what: WHAT }
}
