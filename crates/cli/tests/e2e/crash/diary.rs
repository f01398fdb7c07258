//! What one client knows of a secret that it alone changes. Every answer is judged against it.

use std::collections::HashSet;

use super::random::Random;

/// What was done to a secret. Values are numbered in the order in which they were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Set(u64),
    Delete,
}

/// An acknowledged change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) deed: Deed,
    pub(super) revision: u64,
    pub(super) version: u64,
}

/// Something to ask the server for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) deed: Deed,
    /// For compare-and-set; zero for "not set".
    pub(super) expected: Option<u64>,
}

/// Whether a secret may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Deletable,
}

/// The history of one secret.
#[derive(Debug)]
pub(super) struct Diary {
    pub(super) name: String,
    fate: Fate,
    pub(super) acknowledged: Vec<Change>,
    /// What was asked for since, without an answer: each was done or not, in this order.
    unsure: Vec<Deed>,
    /// The current revision as a conflict told it.
    told: Option<u64>,
    values: u64,
}

impl Diary {
    pub(super) fn new(name: String, fate: Fate) -> Diary {
        Diary { name, fate, acknowledged: Vec::new(), unsure: Vec::new(), told: None, values: 0 }
    }

    fn revision(&self) -> u64 {
        self.acknowledged.last().map_or(0, |change| change.revision)
    }

    fn version(&self) -> u64 {
        self.acknowledged.last().map_or(0, |change| change.version)
    }

    fn deed(&self) -> Deed {
        self.acknowledged.last().map_or(Deed::Delete, |change| change.deed)
    }

    fn unsure_sets(&self) -> u64 {
        self.unsure.iter().filter(|deed| **deed != Deed::Delete).count() as u64
    }

    /// The number of the last acknowledged value.
    pub(super) fn value(&self) -> u64 {
        match self.deed() {
            Deed::Set(value) => value,
            Deed::Delete => 0,
        }
    }

    /// What to do next. After a conflict: the same again, on what the conflict told.
    pub(super) fn next(&mut self, random: &mut Random) -> Asked {
        let here = if self.deed() == Deed::Delete { 0 } else { self.revision() };
        let may_delete = self.fate == Fate::Deletable && here > 0 && self.told.is_none();
        if may_delete && random.one_in(8) {
            return Asked { deed: Deed::Delete, expected: random.one_in(2).then_some(here) };
        }
        self.values += 1;
        let expected = self.told.or(random.one_in(2).then_some(here));
        Asked { deed: Deed::Set(self.values), expected }
    }

    /// There was no answer.
    pub(super) fn unanswered(&mut self, asked: Asked) {
        self.told = None;
        self.unsure.push(asked.deed);
    }

    /// The server says that it did it.
    pub(super) fn done(&mut self, asked: Asked, revision: u64, version: u64) {
        let known = self.told.unwrap_or(0).max(self.revision());
        assert!(revision > known, "revision {revision} for {asked:?} is not new: {self:?}");
        let first = self.version() + u64::from(asked.deed != Deed::Delete);
        let versions = first..=first + self.unsure_sets();
        assert!(versions.contains(&version), "version {version} for {asked:?} is not of {versions:?}: {self:?}");
        self.told = None;
        self.unsure.clear();
        self.acknowledged.push(Change { deed: asked.deed, revision, version });
    }

    /// The server says that the revision is another one. Only a change without an answer can be the reason.
    pub(super) fn conflicted(&mut self, asked: Asked, current: u64) {
        assert!(asked.expected.is_some(), "a conflict without an expectation: {asked:?} {self:?}");
        assert!(!self.unsure.is_empty(), "what was acknowledged is gone: {asked:?} found {current}: {self:?}");
        assert!(self.told.is_none(), "the revision that a conflict told is not the current one: {current}: {self:?}");
        self.saw_revision(current);
        self.told = Some(current);
    }

    /// The server says that there is nothing to delete.
    pub(super) fn missing(&mut self, asked: Asked) {
        assert!(self.may_be_deleted(), "what was acknowledged is gone: {asked:?}: {self:?}");
        self.told = Some(0);
    }

    /// What somebody who looks sees: revision and version, nothing when it is not set.
    pub(super) fn seen(&self, found: Option<(u64, u64)>) {
        let Some((revision, version)) = found else {
            return assert!(self.may_be_deleted(), "what was acknowledged is gone: {self:?}");
        };
        self.saw_revision(revision);
        let versions = self.version()..=self.version() + self.unsure_sets();
        assert!(versions.contains(&version), "version {version} is not of {versions:?}: {self:?}");
        if self.unsure.is_empty() {
            assert_eq!((revision, self.deed() != Deed::Delete), (self.revision(), true), "{self:?}");
        }
    }

    /// A current revision, zero for none.
    fn saw_revision(&self, current: u64) {
        match current {
            0 => assert!(self.may_be_deleted(), "what was acknowledged is gone: {self:?}"),
            _ => assert!(current >= self.revision(), "revision {current} is an older one: {self:?}"),
        }
    }

    /// Whether it may be unset now.
    pub(super) fn may_be_deleted(&self) -> bool {
        self.deed() == Deed::Delete || self.unsure.contains(&Deed::Delete)
    }

    /// The numbers of the values that it may have now.
    pub(super) fn possible_values(&self) -> HashSet<u64> {
        let value = |deed: &Deed| match deed {
            Deed::Set(value) => Some(*value),
            Deed::Delete => None,
        };
        [self.deed()].iter().chain(&self.unsure).filter_map(value).collect()
    }
}
