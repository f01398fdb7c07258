//! Events: emitting them, and following them.
//!
//! There is one feed per stream that events come from: what callers emit (`events`), and what the records of changes
//! say (`secrets`, `access`). Each is read and decoded once, whatever the number of subscribers; nothing is written
//! twice, so no change is without its event. The public rules are in `spec/events.md`.

mod cursor;
mod decode;
mod emit;
mod event;
mod feed;
mod follow;
pub(crate) mod json;
mod lanes;
mod own;
mod recent;
mod ring;
mod span;
mod subscription;
mod system;

pub use cursor::{Cursor, Positions};
pub use emit::{Emitted, MAX_EVENT_ID, NewEvent};
pub(crate) use event::revision_in;
pub use event::{Event, Source};
pub(crate) use feed::Feed;
pub use json::{MAX_EVENT_BYTES, MAX_EVENT_DEPTH};
pub use recent::{Before, RecentEvents};
pub use subscription::{Frame, GapReason, Subscription};

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use claviger_core::{Caller, EnvironmentName, EventName, Pattern, Permission, Revision, Scope, SpaceName};
use claviger_store::{Record, Stream};
use tokio::time::timeout;

use self::{
    cursor::STREAMS,
    decode::Decoder,
    emit::Emitter,
    follow::Followed,
    lanes::{Lane, Lanes},
    subscription::{Beginning, Interest},
};
use crate::{Error, access::Access, shared::Shared};

/// Most patterns of one subscription.
pub const MAX_PATTERNS: usize = 64;

/// Most spaces of one subscription.
pub const MAX_SPACES: usize = 64;

/// How long a subscription waits to learn where a stream ends.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Stores events, and delivers them. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    access: Arc<Access>,
    decoder: Decoder,
    emitter: Arc<Emitter>,
    followed: Arc<[Followed]>,
}

impl Events {
    /// Begins to follow the streams.
    pub(crate) async fn open(shared: Shared, access: Arc<Access>) -> Result<Events, Error> {
        let decoder = Decoder::new(shared);
        let mut followed = Vec::with_capacity(STREAMS.len());
        for (stream, _) in STREAMS {
            followed.push(Followed::start(decoder.clone(), stream).await?);
        }
        let emitter = Arc::new(Emitter::new(decoder.clone()));
        Ok(Events { access, decoder, emitter, followed: followed.into() })
    }

    /// Stores an event. Emitting again with the same id into the same environment or space stores nothing and gets the first
    /// answer.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::SpaceNotFound`], [`Error::ReservedEventName`], [`Error::Invalid`] for an id or data
    /// outside the rules, [`Error::BodyTooLarge`], and what the store says.
    pub async fn emit(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        event: NewEvent,
    ) -> Result<Emitted, Error> {
        let scope = Scope { environment: environment.clone(), space: event.space.clone() };
        self.access.authorize_in(caller, Permission::EventEmit, &scope).await?;
        self.emitter.emit(scope, event).await
    }

    /// Stores an event that a run sends, where the run is, under the id that follows from the run and the step. The run's
    /// space may be gone by now.
    pub(crate) async fn emit_from_run(
        &self,
        scope: &Scope,
        id: &str,
        name: &EventName,
        data: Vec<u8>,
    ) -> Result<Emitted, Error> {
        let event = NewEvent { id: Some(id.to_owned()), name: name.clone(), data, space: scope.space.clone() };
        self.emitter.emit(scope.clone(), event).await
    }

    /// Delivers the events of an environment that fit one of the patterns: those after the cursor, or without one those
    /// from now on. With spaces only those of these spaces; without, those of the environment and all its spaces, or of the
    /// spaces that the caller is narrowed to.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller may not subscribe, or not to one of the patterns, [`Error::Invalid`] for none or
    /// too many patterns or spaces, [`Error::SpaceNotFound`], and what the store says.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        patterns: Vec<Pattern>,
        after: Option<Cursor>,
        spaces: Option<Vec<SpaceName>>,
    ) -> Result<Subscription, Error> {
        self.authorize_patterns(caller, environment, &patterns).await?;
        let spaces = self.check_spaces(caller, environment, spaces).await?;
        let ledger = &self.decoder.shared.ledger;
        let mut beginning = Beginning::new(ledger.incarnation(), after);
        let mut lanes = Vec::new();
        for stream in span::streams_of(&patterns) {
            let position = beginning.position(stream, self.end(stream, beginning.asked(stream)).await?);
            let only = (stream != Stream::Access).then(|| environment.clone());
            lanes.push(Lane::new(self.followed(stream)?, position, only));
        }
        let interest = Interest {
            access: self.access.clone(),
            caller: caller.clone(),
            environment: environment.clone(),
            patterns,
            spaces,
        };
        Ok(Subscription::new(interest, Lanes::new(lanes), beginning))
    }

    /// Where a stream ends. Where other servers write too, one of them may have acknowledged what has not come here yet, so
    /// the store is asked unless the position that was asked for is known here.
    async fn end(&self, stream: Stream, asked: Option<Revision>) -> Result<Revision, Error> {
        let ledger = &self.decoder.shared.ledger;
        let last = ledger.bounds(stream).await?.last;
        if !ledger.is_shared() || asked.is_some_and(|asked| asked <= last) {
            return Ok(last);
        }
        timeout(END_WITHIN, ledger.barrier(stream)).await.map_err(|_| Error::TimedOut)?.map_err(Error::from)
    }

    /// Every event there is after the positions, from the beginning for a stream without one. A position ahead of its
    /// stream, as after a loss of data, stands for the stream's end.
    pub(crate) async fn feed(&self, after: Positions) -> Result<Feed, Error> {
        let mut lanes = Vec::with_capacity(self.followed.len());
        for followed in &*self.followed {
            let asked = after.get(&followed.stream).copied().unwrap_or(Revision::ZERO);
            let last = self.decoder.shared.ledger.bounds(followed.stream).await?.last;
            lanes.push(Lane::new(followed.clone(), asked.min(last), None));
        }
        Ok(Feed::new(Lanes::new(lanes)))
    }

    /// The event that a record of a stream is, if it is one and can be read.
    pub(crate) fn event_of(&self, stream: Stream, record: &Record) -> Option<Arc<Event>> {
        self.decoder.decode(stream, record).map(|decoded| decoded.event.clone())
    }

    /// The streams that events of a pattern come from.
    pub(crate) fn streams_of(pattern: &Pattern) -> Vec<Stream> {
        span::streams_of(std::slice::from_ref(pattern))
    }

    /// Whether this process emitted it. Answers so once, and not for ever: it is a hint at who will deal with it first.
    pub(crate) fn is_own(&self, event: &Event) -> bool {
        self.emitter.own.take(&event.scope(), &event.id)
    }

    /// Records that should be events and could not be read, in this process.
    #[must_use]
    pub fn unreadable_total(&self) -> u64 {
        self.decoder.unreadable.load(Ordering::Relaxed)
    }

    async fn authorize_patterns(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        patterns: &[Pattern],
    ) -> Result<(), Error> {
        self.access.authorize(caller, Permission::EventSubscribe, environment).await?;
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(Error::invalid(format!("a subscription has 1 to {MAX_PATTERNS} patterns")));
        }
        let Some(refused) = patterns.iter().find(|pattern| !caller.may_subscribe(pattern)) else { return Ok(()) };
        let bound = format!("the pattern `{refused}` is outside the patterns of this API key");
        Err(self.access.refuse(caller, Permission::EventSubscribe, Some(environment), Some(bound)).await)
    }

    /// The spaces to which a caller subscribes that asks for these.
    async fn check_spaces(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        spaces: Option<Vec<SpaceName>>,
    ) -> Result<Option<Vec<SpaceName>>, Error> {
        let Some(spaces) = spaces else { return Ok(caller.bounds.spaces.clone()) };
        if spaces.is_empty() || spaces.len() > MAX_SPACES {
            return Err(Error::invalid(format!("a subscription names 1 to {MAX_SPACES} spaces, or none at all")));
        }
        for space in &spaces {
            let scope = Scope { environment: environment.clone(), space: Some(space.clone()) };
            self.access.check_space(caller, &scope).await?;
        }
        Ok(Some(spaces))
    }

    fn followed(&self, stream: Stream) -> Result<Followed, Error> {
        let followed = self.followed.iter().find(|followed| followed.stream == stream);
        followed.cloned().ok_or(Error::Bug { what: "a stream that is not followed" })
    }
}
