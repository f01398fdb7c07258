//! Events, as subscribers and functions see them.

use std::{fmt, sync::Arc};

use claviger_core::{EnvironmentName, EventName, EventPosition, Revision, Scope, SpaceName, Timestamp};
use claviger_store::Stream;
use serde_json::value::RawValue;

/// An immutable fact with a name.
#[derive(Clone)]
pub struct Event {
    /// Unique in its environment or space. For system events `<stream>-<revision>`.
    pub id: Arc<str>,
    /// Its dotted name.
    pub name: EventName,
    /// Where it happened. An event about an API key for all environments belongs to `default`.
    pub environment: EnvironmentName,
    /// The space it happened in; `None` for the environment itself.
    pub space: Option<SpaceName>,
    /// When it happened, by the engine's clock.
    pub at: Timestamp,
    /// Who made it.
    pub source: Source,
    /// Which stream holds its record.
    pub stream: Stream,
    /// The revision of its record in that stream.
    pub revision: Revision,
    /// Its data: JSON text on one line.
    pub data: Arc<RawValue>,
}

/// Who made an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A caller emitted it.
    Event,
    /// The engine, from the record of a change.
    System,
}

impl Source {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Event => "event",
            Source::System => "system",
        }
    }
}

impl Event {
    /// The environment or space it happened in.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope { environment: self.environment.clone(), space: self.space.clone() }
    }

    /// Whether it came after the streams had come so far.
    pub(crate) fn is_after(&self, position: &EventPosition) -> bool {
        self.revision > revision_in(position, self.stream)
    }
}

/// The part of a position that is about one stream.
pub(crate) fn revision_in(position: &EventPosition, stream: Stream) -> Revision {
    match stream {
        Stream::Secrets => position.secrets,
        Stream::Access => position.access,
        _ => position.events,
    }
}

/// Without the data, which is nobody's business in a log.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("environment", &self.environment)
            .field("space", &self.space)
            .field("at", &self.at)
            .field("stream", &self.stream)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// An event, what people see of it, and which of them.
pub(super) struct Decoded {
    /// What was emitted: for functions.
    pub(super) event: Arc<Event>,
    /// The same with secret values masked: for subscribers. The very same when there was nothing to mask.
    pub(super) shown: Arc<Event>,
    /// To whom.
    pub(super) audience: Audience,
}

/// Which callers an event is for, before patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Those who reach its environment.
    Environment,
    /// The same, and those who reach all environments wherever they subscribe.
    EnvironmentAndAll,
    /// Only those who reach all environments, wherever they subscribe.
    All,
}

impl Decoded {
    /// An event; `view` is the data that people see instead, if there was something to mask.
    pub(super) fn new(event: Event, view: Option<Arc<RawValue>>, audience: Audience) -> Decoded {
        let event = Arc::new(event);
        let shown = match view {
            Some(data) => Arc::new(Event { data, ..Event::clone(&event) }),
            None => event.clone(),
        };
        Decoded { event, shown, audience }
    }

    /// What it takes in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.event.data.get().len() + self.shown.data.get().len()
    }
}
