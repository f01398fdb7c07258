//! Control records: what they say, the barrier, and the note about what was dropped.

use bytes::Bytes;
use claviger_core::Revision;
use tokio::time::timeout;

use super::{
    api::Which,
    connection::{ANSWER_WITHIN, NatsConnection},
    fault::Fault,
    names::{Control, Names},
    shared::Shared,
    write::{KeptBefore, Write},
};
use crate::{Bounds, Error, Expected, Result, Stream};

/// What the writer of a control record knew of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The smallest revision from which retention has dropped nothing.
    pub(super) first: Revision,
    /// The last revision of a record, erased ones included.
    pub(super) last: Revision,
}

impl Note {
    /// Reads one. `None` when it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Note> {
        let mut numbers = std::str::from_utf8(bytes).ok()?.split(' ').map(str::parse);
        let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Note { first: Revision(first), last: Revision(last) })
    }

    fn bytes(self) -> Bytes {
        format!("{} {}", self.first.0, self.last.0).into()
    }
}

impl From<Bounds> for Note {
    fn from(Bounds { first, last }: Bounds) -> Note {
        Note { first, last }
    }
}

/// The newest note of this kind, and its sequence.
pub(super) async fn read(
    connection: &NatsConnection,
    names: &Names,
    control: Control,
) -> Result<Option<(Note, Revision)>> {
    let which = Which::LastOf(names.control(control));
    let Some(kept) = connection.get(&names.stream, &which).await? else { return Ok(None) };
    let note = Note::read(&kept.bytes).ok_or(Error::Damaged { what: "a control record is not one" })?;
    Ok(Some((note, kept.revision)))
}

/// Appends a barrier and waits until this process has seen the stream up to it. Gives the revision of the
/// last record that tails have been shown by then.
pub(super) async fn barrier(shared: &Shared, stream: Stream) -> Result<Revision> {
    shared.check(stream)?;
    let feed = shared.feed(stream);
    let placed = place_barrier(shared, stream).await?;
    feed.placed(placed);
    let mut passed = feed.passed();
    let seen = timeout(ANSWER_WITHIN * 3, passed.wait_for(|passed| *passed >= placed)).await;
    match seen {
        Ok(Ok(_)) => Ok(feed.live.position().bounds.last),
        Ok(Err(_)) => Err(Error::closed()),
        Err(_) => Err(shared.connection.explain(Fault::Silent)),
    }
}

/// Appends a barrier. Gives its sequence.
pub(super) async fn place_barrier(shared: &Shared, stream: Stream) -> Result<Revision> {
    let note = shared.feed(stream).bounds().into();
    write(shared, stream, Control::Barrier, note, Expected::Any).run(&shared.connection).await
}

/// Notes that retention drops what is before `first`, before it does.
pub(super) async fn note_trimmed(shared: &Shared, stream: Stream, first: Revision) -> Result<()> {
    loop {
        let before = read(&shared.connection, shared.names(stream), Control::Trimmed).await?;
        let (known, expected) = match before {
            Some((note, revision)) => (note.first, Expected::At(revision)),
            None => (Revision::ZERO, Expected::Absent),
        };
        if known < first {
            let note = Note { first, last: shared.feed(stream).bounds().last };
            let trimmed = write(shared, stream, Control::Trimmed, note, expected);
            match trimmed.run(&shared.connection).await {
                Ok(_) => {}
                // Another server noted something meanwhile.
                Err(Error::Conflict { .. }) => continue,
                Err(error) => return Err(error),
            }
        }
        shared.feed(stream).trimmed(first.max(known));
        return Ok(());
    }
}

fn write(shared: &Shared, stream: Stream, control: Control, note: Note, expected: Expected) -> Write {
    let names = shared.names(stream);
    Write {
        stream: names.stream.clone(),
        subject: names.control(control),
        bytes: note.bytes(),
        expected,
        message_id: shared.connection.fresh_id(),
        kept: KeptBefore::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back() {
        let note = Note { first: Revision(7), last: Revision(u64::MAX) };
        assert_eq!(Note::read(&note.bytes()), Some(note));
        for text in ["", "1", "1 ", "-1 2", "one two"] {
            assert_eq!(Note::read(text.as_bytes()), None);
        }
    }
}
