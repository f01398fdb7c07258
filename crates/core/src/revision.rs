//! Positions in a stream.

use std::fmt;

/// The stream-wide, ever-increasing sequence number of a record. The first record has revision 1;
/// [`Revision::ZERO`] means "before everything". A revision is never used twice, not even after
/// its record was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The position before the first record.
    pub const ZERO: Revision = Revision(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far the streams had come that events are made from. Events of revisions beyond are later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventPosition {
    /// In the stream of emitted events.
    pub events: Revision,
    /// In the stream of secrets.
    pub secrets: Revision,
    /// In the stream of API keys and environments.
    pub access: Revision,
}

/// Names one life of a store: drawn at creation, drawn anew after a restore. A cursor from another
/// incarnation cannot be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
