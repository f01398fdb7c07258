//! What a stream's leader says about its bounds.

use async_nats::jetstream::stream::Info;
use claviger_core::{Revision, Timestamp};

use super::{
    api::Which,
    connection::NatsConnection,
    names::{Control, Names},
    notes,
};
use crate::{Bounds, Filter, Result, Stream, clock};

/// A stream's bounds, and a sequence up to which there is nothing that they do not count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey {
    pub(super) bounds: Bounds,
    pub(super) sequence: Revision,
    /// The newest record, and when it was stored.
    pub(super) newest: Option<(Revision, Timestamp)>,
}

/// Finds out the bounds.
///
/// The last sequence is that of a record, kept or erased, or of a control record, and of these the newest is kept.
/// So when there is no message with that sequence, it was a record's, unless somebody has written another control
/// record since it was asked for: then it is asked for again.
pub(super) async fn survey(connection: &NatsConnection, stream: Stream, names: &Names) -> Result<Survey> {
    loop {
        let info = connection.info(&names.stream).await.map_err(|fault| connection.explain(fault))?;
        let sequence = Revision(info.state.last_sequence);
        let controls = Controls::read(connection, names).await?;
        let newest = connection.get(&names.stream, &Which::LastOf(names.filter(&Filter::All))).await?;
        let witness = newest.map(|kept| (kept.revision, kept.stored_at));
        let newest = witness.map_or(Revision::ZERO, |(revision, _)| revision);
        if newest < sequence && controls.newest > sequence {
            continue;
        }
        let last = if newest < sequence && !controls.ends_at(sequence) { sequence } else { newest };
        let bounds = Bounds { first: controls.first.max(first_by_age(stream, &info)), last: last.max(controls.last) };
        return Ok(Survey { bounds, sequence: sequence.max(newest), newest: witness });
    }
}

/// What the control records say.
struct Controls {
    first: Revision,
    last: Revision,
    revisions: Vec<Revision>,
    newest: Revision,
}

impl Controls {
    async fn read(connection: &NatsConnection, names: &Names) -> Result<Controls> {
        let mut controls =
            Controls { first: Revision(1), last: Revision::ZERO, revisions: Vec::new(), newest: Revision::ZERO };
        let incarnation = Which::LastOf(names.control(Control::Incarnation));
        let incarnation = connection.get(&names.stream, &incarnation).await?;
        controls.revisions.extend(incarnation.map(|kept| kept.revision));
        for control in [Control::Barrier, Control::Trimmed] {
            if let Some((note, revision)) = notes::read(connection, names, control).await? {
                controls.first = controls.first.max(note.first);
                controls.last = controls.last.max(note.last);
                controls.revisions.push(revision);
            }
        }
        controls.newest = controls.revisions.iter().copied().max().unwrap_or_default();
        Ok(controls)
    }

    fn ends_at(&self, sequence: Revision) -> bool {
        self.revisions.contains(&sequence)
    }
}

/// The smallest revision from which JetStream dropped nothing for its age. Before the stream is that old, whatever is
/// missing at its beginning was erased.
fn first_by_age(stream: Stream, info: &Info) -> Revision {
    let created = info.created.unix_timestamp().saturating_mul(1000);
    match stream.retention().max_age {
        Some(_) if clock::now().since(Timestamp(created)) > info.config.max_age => Revision(info.state.first_sequence),
        _ => Revision(1),
    }
}
