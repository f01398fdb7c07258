//! A standing interest in events.

use std::{collections::VecDeque, fmt, sync::Arc};

use claviger_core::{Caller, EnvironmentName, Incarnation, Pattern, Reach, Revision, SpaceName};
use claviger_store::Stream;

use super::{
    cursor::Cursor,
    event::{Audience, Decoded, Event},
    lanes::{Batch, Lanes},
    ring::Item,
};
use crate::access::Access;

/// What a subscription delivers.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The subscription stands. Always first.
    Ready {
        /// Where it begins.
        cursor: Cursor,
    },
    /// An event that fits.
    Event {
        /// The event, with secret values masked in its data.
        event: Arc<Event>,
        /// The position right after it.
        cursor: Cursor,
    },
    /// Events may be missing here: whoever keeps state made from events should read it afresh now. What is missing
    /// on the stream is before the revision it has at this moment; no other gap is reported up to there.
    Gap {
        /// Why.
        reason: GapReason,
        /// The stream.
        stream: &'static str,
        /// Up to where the subscriber had read it.
        asked: Revision,
        /// The first revision after the gap.
        first: Revision,
        /// The position after the gap.
        cursor: Cursor,
    },
}

/// Why events may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// They are no longer kept.
    Retention,
    /// The cursor is from another life of the store: before a restore, or of another installation.
    Incarnation,
    /// The cursor is ahead of the stream, as after a loss of data.
    Ahead,
}

impl GapReason {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::Retention => "retention",
            GapReason::Incarnation => "incarnation",
            GapReason::Ahead => "ahead",
        }
    }
}

/// Which events a subscription delivers.
pub(super) struct Interest {
    pub(super) access: Arc<Access>,
    pub(super) caller: Caller,
    pub(super) environment: EnvironmentName,
    pub(super) patterns: Vec<Pattern>,
    /// The spaces whose events are wanted; `None` for those of the environment and all its spaces.
    pub(super) spaces: Option<Vec<SpaceName>>,
}

impl Interest {
    fn wants(&self, decoded: &Decoded) -> bool {
        let event = &decoded.event;
        let is_here = event.environment == self.environment;
        let reaches_all = self.caller.reach == Reach::All;
        let is_visible = match decoded.audience {
            Audience::Environment => is_here,
            Audience::EnvironmentAndAll => is_here || reaches_all,
            Audience::All => reaches_all,
        };
        let is_of_spaces = match &self.spaces {
            None => true,
            Some(spaces) => event.space.as_ref().is_some_and(|space| spaces.contains(space)),
        };
        is_visible && is_of_spaces && self.patterns.iter().any(|pattern| pattern.matches(event.name.as_str()))
    }
}

/// Finds where a subscription begins.
pub(super) struct Beginning {
    incarnation: Incarnation,
    asked: Option<Cursor>,
    gaps: Vec<(GapReason, Stream, Revision, Revision)>,
}

impl Beginning {
    pub(super) fn new(incarnation: Incarnation, asked: Option<Cursor>) -> Beginning {
        Beginning { incarnation, asked, gaps: Vec::new() }
    }

    /// The position in a stream that was asked for, if it may be one of this life of the store.
    pub(super) fn asked(&self, stream: Stream) -> Option<Revision> {
        let cursor = self.asked.as_ref().filter(|cursor| cursor.incarnation == self.incarnation)?;
        cursor.positions.get(&stream).copied()
    }

    /// The position to read a stream from, which ends at `last` at this moment.
    pub(super) fn position(&mut self, stream: Stream, last: Revision) -> Revision {
        let Some(cursor) = &self.asked else { return last };
        let asked = cursor.positions.get(&stream).copied();
        let (reason, asked) = match asked {
            _ if cursor.incarnation != self.incarnation => (GapReason::Incarnation, asked.unwrap_or_default()),
            Some(asked) if asked > last => (GapReason::Ahead, asked),
            Some(asked) => return asked,
            None => return last,
        };
        self.gaps.push((reason, stream, asked, last.next()));
        last
    }

    /// The frames that come first. Before the last gap is told, the cursor stays the one that was asked for: a subscriber
    /// that comes back with it is told again.
    fn frames(self, here: Cursor) -> VecDeque<Frame> {
        let asked = self.asked.filter(|_| !self.gaps.is_empty()).unwrap_or(here.clone());
        let mut frames = VecDeque::from([Frame::Ready { cursor: asked.clone() }]);
        for (at, &(reason, stream, from, first)) in self.gaps.iter().enumerate() {
            let is_last = at + 1 == self.gaps.len();
            let cursor = if is_last { here.clone() } else { asked.clone() };
            frames.push_back(Frame::Gap { reason, stream: stream.name(), asked: from, first, cursor });
        }
        frames
    }
}

/// Delivers events as they come, at the pace at which it is asked: nothing but one batch waits in it. Obtained from
/// [`Events::subscribe`](super::Events::subscribe).
pub struct Subscription {
    interest: Interest,
    incarnation: Incarnation,
    lanes: Lanes,
    /// Frames that come before everything else.
    opening: VecDeque<Frame>,
    /// What was taken from a lane and not yet looked at.
    batch: VecDeque<Item>,
    /// The lane that the batch is from.
    lane: usize,
    /// By lane: the gaps up to here have been told.
    told: Vec<Revision>,
}

impl Subscription {
    pub(super) fn new(interest: Interest, lanes: Lanes, beginning: Beginning) -> Subscription {
        let here = Cursor { incarnation: beginning.incarnation, positions: lanes.positions() };
        let told = vec![Revision::ZERO; here.positions.len()];
        let incarnation = beginning.incarnation;
        let opening = beginning.frames(here);
        Subscription { interest, incarnation, lanes, opening, batch: VecDeque::new(), lane: 0, told }
    }

    /// The next frame. Waits for it; nothing is lost when the future is dropped. `None` when the engine stops, or
    /// instead of an event when the caller's API key is no longer accepted, or nobody can tell at the moment.
    pub async fn next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.opening.pop_front() {
            return Some(frame);
        }
        loop {
            while let Some(item) = self.batch.front() {
                let is_wanted = item.event.as_ref().is_some_and(|decoded| self.interest.wants(decoded));
                if is_wanted && !self.may_deliver().await {
                    return None;
                }
                // Taken only now: whoever drops the future before loses nothing.
                let Some(item) = self.batch.pop_front() else { break };
                self.lanes.advance(self.lane, item.revision);
                if let Some(decoded) = item.event.filter(|_| is_wanted) {
                    return Some(Frame::Event { event: decoded.shown.clone(), cursor: self.cursor() });
                }
            }
            let (lane, batch) = self.lanes.next().await?;
            self.lane = lane;
            match batch {
                Batch::Items(items) => self.batch = items,
                Batch::Nothing { through } => self.lanes.advance(lane, through),
                Batch::Hole { first } => {
                    if let Some(frame) = self.pass_hole(first) {
                        return Some(frame);
                    }
                }
            }
        }
    }

    /// The present position: everything up to here was delivered or does not fit. Later than the cursor of the last
    /// frame when other events came since, so a subscriber that saves it now and then is not overtaken by retention.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { incarnation: self.incarnation, positions: self.lanes.positions() }
    }

    /// Whether the caller's API key is still accepted, as far as this server knows.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.interest.access.is_accepted(&self.interest.caller)
    }

    /// Is over when the caller's API key is no longer accepted: an idle subscription should be ended then.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let (access, caller) = (self.interest.access.clone(), self.interest.caller.clone());
        async move { access.ended(&caller).await }
    }

    /// Whether the caller may be given anything at this moment.
    async fn may_deliver(&self) -> bool {
        self.is_accepted() && self.interest.access.confirm(&self.interest.caller).await.is_ok()
    }

    /// Goes on behind a hole, and reports it unless the reader knows already that there are some up to here.
    fn pass_hole(&mut self, first: Revision) -> Option<Frame> {
        let lane = self.lane;
        let asked = self.lanes.position(lane);
        self.lanes.advance(lane, Revision(first.0 - 1));
        if first <= self.told[lane] {
            return None;
        }
        self.told[lane] = self.lanes.head(lane);
        let stream = self.lanes.stream_name(lane);
        Some(Frame::Gap { reason: GapReason::Retention, stream, asked, first, cursor: self.cursor() })
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("cursor", &self.cursor().to_string()).finish_non_exhaustive()
    }
}
