//! One secret, as if everything happened one after the other.

use std::{collections::HashMap, fmt};

use crate::{Action, Operation, Outcome};

/// How a secret stands between two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The revision of the last change.
    pub(super) at: At,
    /// The highest version given out.
    pub(super) version: u64,
    /// Whether it has a value.
    pub(super) is_set: bool,
}

/// A revision, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum At {
    /// This one.
    Exactly(u64),
    /// Nobody has been told, but no less than this: it came after another.
    NoLessThan(u64),
}

impl At {
    /// The least revision that the next change may have.
    pub(super) fn next(self) -> u64 {
        let (At::Exactly(revision) | At::NoLessThan(revision)) = self;
        revision + 1
    }

    fn may_be(self, revision: u64) -> bool {
        match self {
            At::Exactly(exactly) => exactly == revision,
            At::NoLessThan(least) => least <= revision,
        }
    }
}

impl State {
    /// Before the first operation.
    pub(super) const NEVER_SET: State = State { at: At::Exactly(0), version: 0, is_set: false };

    /// The state after an operation that was answered, if the answer fits here.
    pub(super) fn answered(self, operation: &Operation) -> Option<State> {
        match (operation.action, operation.outcome) {
            (Action::Set { expected }, Outcome::Set { revision, version, created }) => {
                let before = self.expecting(expected)?;
                let fits = created != before.is_set && version == before.version + 1 && revision >= before.at.next();
                fits.then_some(State { at: At::Exactly(revision), version, is_set: true })
            }
            (Action::Delete { expected }, Outcome::Deleted { revision, version }) => {
                let before = self.expecting(expected)?;
                let fits = before.is_set && version == before.version && revision >= before.at.next();
                fits.then_some(State { at: At::Exactly(revision), version, is_set: false })
            }
            (Action::Set { expected } | Action::Delete { expected }, Outcome::Conflict { current }) => {
                if expected == Some(current) || expected.is_none() { None } else { self.standing_at(current) }
            }
            (Action::Delete { expected: None | Some(0) } | Action::Read(_), Outcome::NotSet) => self.standing_at(0),
            (Action::Read(_), Outcome::Found { revision, version }) if version == self.version => {
                self.standing_at(revision).filter(|state| state.is_set)
            }
            _ => None,
        }
    }

    /// The state after a change without an answer took effect, if it can here.
    pub(super) fn changed(self, action: Action, told: &Told) -> Option<State> {
        match action {
            Action::Set { expected } => {
                let before = self.expecting(expected)?;
                let version = before.version + 1;
                let at = match told.revision_of(version) {
                    Some(revision) if revision < before.at.next() => return None,
                    Some(revision) => At::Exactly(revision),
                    None => At::NoLessThan(before.at.next()),
                };
                Some(State { at, version, is_set: true })
            }
            Action::Delete { expected } => {
                let before = self.expecting(expected).filter(|before| before.is_set)?;
                Some(State { at: At::NoLessThan(before.at.next()), is_set: false, ..before })
            }
            Action::Read(_) => None,
        }
    }

    /// Whether an answer cannot fit here nor anywhere later: versions and revisions only grow.
    pub(super) fn is_past(self, operation: &Operation) -> bool {
        match operation.outcome {
            Outcome::Set { revision, version, .. } => version <= self.version || revision < self.at.next(),
            Outcome::Deleted { revision, version } => {
                version < self.version || (version == self.version && !self.is_set) || revision < self.at.next()
            }
            Outcome::Found { version, .. } => version < self.version || (version == self.version && !self.is_set),
            _ => false,
        }
    }

    fn expecting(self, expected: Option<u64>) -> Option<State> {
        expected.map_or(Some(self), |revision| self.standing_at(revision))
    }

    /// The state, if its current revision may be this; zero for "not set".
    fn standing_at(self, revision: u64) -> Option<State> {
        match revision {
            0 => (!self.is_set).then_some(self),
            _ => (self.is_set && self.at.may_be(revision)).then_some(State { at: At::Exactly(revision), ..self }),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = if self.is_set { "set" } else { "not set" };
        match self.at {
            At::Exactly(0) => f.write_str("never set"),
            At::Exactly(revision) => write!(f, "{is_set}, revision {revision}, version {}", self.version),
            At::NoLessThan(least) => write!(f, "{is_set}, revision {least} or later, version {}", self.version),
        }
    }
}

/// Which version has which revision, as anybody was told: a version is added once, so there is no choice.
#[derive(Debug, Default)]
pub(super) struct Told {
    revisions: HashMap<u64, u64>,
    versions: HashMap<u64, u64>,
}

impl Told {
    /// Collects it. Where answers contradict each other no order will fit, whichever counts here.
    pub(super) fn by<'a>(operations: impl Iterator<Item = &'a Operation>) -> Told {
        let mut told = Told::default();
        for operation in operations {
            match (operation.action, operation.outcome) {
                (_, Outcome::Found { revision, version }) => told.note(version, revision),
                (Action::Set { expected }, Outcome::Set { revision, version, .. }) => {
                    told.note(version, revision);
                    told.note(version.saturating_sub(1), expected.unwrap_or(0));
                }
                (Action::Delete { expected }, Outcome::Deleted { version, .. }) => {
                    told.note(version, expected.unwrap_or(0));
                }
                _ => {}
            }
        }
        told
    }

    fn note(&mut self, version: u64, revision: u64) {
        if revision > 0 {
            self.revisions.entry(version).or_insert(revision);
            self.versions.entry(revision).or_insert(version);
        }
    }

    fn revision_of(&self, version: u64) -> Option<u64> {
        self.revisions.get(&version).copied()
    }

    /// Whether the revision is known to be that of some version.
    pub(super) fn has_version_of(&self, revision: u64) -> bool {
        self.versions.contains_key(&revision)
    }
}
