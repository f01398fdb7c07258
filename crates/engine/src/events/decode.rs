//! What event a record is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use claviger_core::{Scope, Timestamp};
use claviger_crypto::Binding;
use claviger_store::{Record, Stream};
use serde_json::value::RawValue;

use super::{
    event::{Audience, Decoded, Event, Source},
    system,
};
use crate::{
    Error,
    record::{
        access::AccessRecord,
        event::{StoredEvent, event_subject, guarded_event_subject},
        secret::StoredSecret,
        verify,
    },
    shared::Shared,
};

/// Reads records. Cheap to clone.
#[derive(Clone)]
pub(super) struct Decoder {
    pub(super) shared: Shared,
    pub(super) unreadable: Arc<AtomicU64>,
}

impl Decoder {
    pub(super) fn new(shared: Shared) -> Decoder {
        Decoder { shared, unreadable: Arc::default() }
    }

    /// The event that a record is; `None` if it is none. A record that cannot be read is logged and counted and is no
    /// event: it must not keep those after it from being delivered.
    pub(super) fn decode(&self, stream: Stream, record: &Record) -> Option<Arc<Decoded>> {
        match self.read(stream, record) {
            Ok(decoded) => decoded.map(Arc::new),
            Err(error) => {
                self.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "a record that should be an event cannot be read");
                None
            }
        }
    }

    fn read(&self, stream: Stream, record: &Record) -> Result<Option<Decoded>, Error> {
        let keyring = &self.shared.keyring;
        match stream {
            Stream::Events => self.read_emitted(record).map(Some),
            Stream::Secrets => Ok(system::of_secret(&StoredSecret::read(keyring, record)?)),
            Stream::Access => Ok(Some(system::of_access(&AccessRecord::read(keyring, record)?, record.revision))),
            _ => Ok(None),
        }
    }

    /// Reads a record of the event stream.
    pub(super) fn read_emitted(&self, record: &Record) -> Result<Decoded, Error> {
        let corrupt = |what| Error::Corrupt { stream: Stream::Events.name(), revision: record.revision, what };
        let stored: StoredEvent = verify(&self.shared.keyring, Stream::Events, record)?;
        let (scope, name) = stored.place().ok_or(corrupt("it is no event"))?;
        let is_its_place = event_subject(&scope.environment, &name) == record.subject
            || guarded_event_subject(&scope, &name, &stored.id) == record.subject;
        if !is_its_place {
            return Err(corrupt("it stands in the place of another event"));
        }
        let Scope { environment, space } = scope;
        let binding = Binding::Event { environment: environment.as_str(), event_id: &stored.id };
        let open = |envelope: &[u8]| -> Result<Arc<RawValue>, Error> {
            let opened = self.shared.keyring.open_sealed(&binding, envelope);
            let opened = opened.map_err(|_| corrupt("its data does not open"))?;
            let json: Box<RawValue> =
                serde_json::from_slice(opened.expose()).map_err(|_| corrupt("its data is not JSON"))?;
            Ok(Arc::from(json))
        };
        let data = open(&stored.data)?;
        let view = stored.view.as_ref().map(|view| open(&view.0)).transpose()?;
        let event = Event {
            id: stored.id.clone(),
            name,
            environment: environment.clone(),
            space,
            at: Timestamp(stored.at),
            source: Source::Event,
            stream: Stream::Events,
            revision: record.revision,
            data,
        };
        Ok(Decoded::new(event, view, Audience::Environment))
    }
}
