//! Events on their way in.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use claviger_core::{EnvironmentName, EventName, Revision, Scope, SpaceName, Timestamp};
use claviger_crypto::Binding;
use claviger_store::{Append, Expected, Filter, Record, Stream, Subject};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{decode::Decoder, json, own::Own};
use crate::{
    Error,
    folded::last_since,
    record::event::{Envelope, StoredEvent, event_message_id, event_subject, guarded_event_subject},
};

/// Longest event id, in characters.
pub const MAX_EVENT_ID: usize = 200;

/// An event to emit.
#[derive(Clone)]
pub struct NewEvent {
    /// Makes emitting it again into the same environment or space harmless: one to 200 visible ASCII characters, no `.` or
    /// `..` alone, not the form of a system event's id. Without one the event gets a UUID.
    pub id: Option<String>,
    /// Its name.
    pub name: EventName,
    /// Its data: JSON text, at most [`MAX_EVENT_BYTES`](super::MAX_EVENT_BYTES).
    pub data: Vec<u8>,
    /// The space it happens in; `None` for the environment itself.
    pub space: Option<SpaceName>,
}

/// An event that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: EventName,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its space; `None` for the environment itself.
    pub space: Option<SpaceName>,
    /// When it was emitted first.
    pub at: Timestamp,
    /// Its place in the event stream.
    pub revision: Revision,
}

/// Stores events.
pub(super) struct Emitter {
    decoder: Decoder,
    /// The highest revision that any emit of this process was answered with.
    highest: AtomicU64,
    /// What this process emitted, where others do too.
    pub(super) own: Own,
}

impl Emitter {
    pub(super) fn new(decoder: Decoder) -> Emitter {
        Emitter { decoder, highest: AtomicU64::new(0), own: Own::default() }
    }

    /// Stores an event in a scope, which is where it says that it happens.
    pub(super) async fn emit(&self, scope: Scope, event: NewEvent) -> Result<Emitted, Error> {
        if event.name.is_system() {
            return Err(Error::ReservedEventName);
        }
        let data = json::compact(&event.data)?;
        let may_be_known = event.id.is_some();
        let id = match event.id {
            Some(id) => checked_id(id)?,
            None => Uuid::now_v7().to_string().into(),
        };
        let at = self.decoder.shared.now();
        let mut emitted = Emitted {
            id,
            name: event.name,
            environment: scope.environment.clone(),
            space: scope.space.clone(),
            at,
            revision: Revision::ZERO,
        };
        // Where other servers write too, a message id is known for a while only: the subject guards the id as well.
        let is_guarded = may_be_known && self.decoder.shared.ledger.is_shared();
        let (subject, expected) = match is_guarded {
            true => (guarded_event_subject(&scope, &emitted.name, &emitted.id), Expected::Absent),
            false => (event_subject(&scope.environment, &emitted.name), Expected::Any),
        };
        let mut append = self.append_of(&emitted, &data, (subject.clone(), expected))?;
        append.message_id = Some(event_message_id(&scope, &emitted.id));
        let highest = self.highest.load(Ordering::Relaxed);
        if self.decoder.shared.ledger.is_shared() {
            // Before it is stored: the dispatcher may see it before we have the answer.
            self.own.note(&scope, &emitted.id);
        }
        emitted.revision = match self.decoder.shared.append(append).await {
            Err(Error::Store(claviger_store::Error::Conflict { last })) if is_guarded => {
                let known = last_since(&*self.decoder.shared.ledger, Stream::Events, &subject, last).await?;
                let known = known.ok_or(Error::Bug { what: "a conflict with a record that is not there" })?;
                return self.answer_as(&known, emitted);
            }
            stored => stored?,
        };
        self.highest.fetch_max(emitted.revision.0, Ordering::Relaxed);
        // A new record comes after all that were there before; which those are, only a server that is alone knows.
        if may_be_known && (is_guarded || emitted.revision.0 <= highest) {
            return self.first(emitted).await;
        }
        Ok(emitted)
    }

    fn append_of(
        &self,
        emitted: &Emitted,
        data: &RawValue,
        (subject, expected): (Subject, Expected),
    ) -> Result<Append, Error> {
        let shared = &self.decoder.shared;
        let binding = Binding::Event { environment: emitted.environment.as_str(), event_id: &emitted.id };
        let seal = |json: &str| -> Result<Arc<[u8]>, Error> {
            let envelope = shared.keyring.seal(&binding, json.as_bytes());
            envelope.map(Arc::from).map_err(|_| Error::Bug { what: "an environment without a data key" })
        };
        let view = match shared.live.redact_json(data.get()) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(masked) => Some(Envelope(seal(&masked)?)),
        };
        let stored = StoredEvent {
            id: emitted.id.clone(),
            name: emitted.name.to_string(),
            environment: emitted.environment.to_string(),
            space: emitted.space.as_ref().map(ToString::to_string),
            at: emitted.at.0,
            data: seal(data.get())?,
            view,
        };
        Ok(shared.sign(Stream::Events, subject, &stored, expected))
    }

    /// The answer that the first emit of this id got.
    async fn first(&self, again: Emitted) -> Result<Emitted, Error> {
        let before = Revision(again.revision.0 - 1);
        let records = self.decoder.shared.ledger.read(Stream::Events, &Filter::All, before, 1).await?;
        let Some(record) = records.first().filter(|record| record.revision == again.revision) else { return Ok(again) };
        self.answer_as(record, again)
    }

    fn answer_as(&self, first: &Record, again: Emitted) -> Result<Emitted, Error> {
        let event = self.decoder.read_emitted(first)?.event;
        Ok(Emitted { name: event.name.clone(), at: event.at, revision: first.revision, ..again })
    }
}

fn checked_id(id: String) -> Result<Arc<str>, Error> {
    if id.is_empty() || id.len() > MAX_EVENT_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(format!("an event id has 1 to {MAX_EVENT_ID} visible ASCII characters")));
    }
    // No URL can carry these as a segment of its path.
    if id == "." || id == ".." {
        return Err(Error::invalid("an event id cannot be `.` or `..`"));
    }
    // Run ids follow from event ids: an event with a system event's id could take the run of that event away.
    let of_system = [Stream::Secrets, Stream::Access].iter().any(|stream| {
        let revision = id.strip_prefix(stream.name()).and_then(|rest| rest.strip_prefix('-'));
        revision.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if of_system {
        return Err(Error::invalid("event ids of this form are those of system events"));
    }
    Ok(id.into())
}

/// Without the data, which is nobody's business in a log.
impl std::fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEvent")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_visible_ascii_and_not_those_of_system_events() {
        for good in ["1", "order-1", "secrets-", "secrets-1a", "secrets1", "a.b/c?d#e%2f", &"x".repeat(200)] {
            assert_eq!(&*checked_id(good.to_owned()).unwrap(), good);
        }
        for bad in ["", " ", "a b", "a\n", "é", "a\u{7f}", ".", "..", "secrets-1", "access-0042", &"x".repeat(201)] {
            assert_eq!(checked_id(bad.to_owned()).unwrap_err().code(), "invalid_request", "{bad}");
        }
    }
}
