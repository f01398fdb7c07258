//! Every space, in memory.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use claviger_core::{EnvironmentName, Revision, Scope, SpaceName};
use claviger_store::{Record, Stream, Subject};

use crate::{
    Error,
    record::space::{KIND, StoredSpace, space_subject},
};

type ByName = HashMap<EnvironmentName, BTreeMap<SpaceName, Arc<KnownSpace>>>;

/// What the records of spaces say, whatever their order of arrival.
#[derive(Default)]
pub(super) struct KnownSpaces {
    live: ByName,
    /// What comes next has to follow their last record. No list walks over them, and they have no metadata.
    deleted: ByName,
    /// All of both, in the order in which they were heard of first.
    heard_of: Vec<Scope>,
    /// The last damaged record of a subject, until a newer one is known that is not.
    damaged: HashMap<Subject, Revision>,
}

/// A space as its last record says.
pub(crate) struct KnownSpace {
    /// The revision of that record.
    pub(crate) last: Revision,
    pub(crate) stored: StoredSpace,
}

impl KnownSpaces {
    /// Applies a record. An older one than the last applied of its subject changes nothing.
    pub(super) fn apply(&mut self, stored: StoredSpace, revision: Revision) {
        if !self.damaged.is_empty() {
            let subject = stored.subject();
            self.damaged.retain(|damaged, at| *damaged != subject || *at > revision);
        }
        match self.get(&stored.environment, &stored.name) {
            Some(known) if known.last >= revision => {}
            Some(_) => self.keep(stored, revision),
            None => {
                let (environment, space) = (stored.environment.clone(), Some(stored.name.clone()));
                self.heard_of.push(Scope { environment, space });
                self.keep(stored, revision);
            }
        }
    }

    fn keep(&mut self, stored: StoredSpace, revision: Revision) {
        let (now, before) = match stored.is_live() {
            true => (&mut self.live, &mut self.deleted),
            false => (&mut self.deleted, &mut self.live),
        };
        if let Some(spaces) = before.get_mut(&stored.environment) {
            spaces.remove(&stored.name);
        }
        let spaces = now.entry(stored.environment.clone()).or_default();
        spaces.insert(stored.name.clone(), Arc::new(KnownSpace { last: revision, stored }));
    }

    /// Every space that was ever heard of, after the first so many: once each, deleted ones too.
    pub(super) fn heard_of(&self, after: usize) -> &[Scope] {
        self.heard_of.get(after..).unwrap_or_default()
    }

    /// Notes that a record is damaged. It may have been the space's deletion, or have said anything else.
    pub(super) fn distrust(&mut self, record: &Record) {
        let is_newer = |known: &&Arc<KnownSpace>| known.last > record.revision;
        // Seldom, so that no space is kept by its subject for this.
        let all = self.live.values().chain(self.deleted.values()).flat_map(BTreeMap::values);
        let mut newer = all.filter(is_newer);
        if newer.all(|known| known.stored.subject() != record.subject) {
            let at = self.damaged.entry(record.subject.clone()).or_default();
            *at = record.revision.max(*at);
        }
    }

    /// The revision of the last record of a space, damaged ones included; zero for none.
    pub(super) fn last(&self, environment: &EnvironmentName, name: &SpaceName) -> Revision {
        let known = self.get(environment, name).map_or(Revision::ZERO, |known| known.last);
        self.damaged_at(environment, name).unwrap_or_default().max(known)
    }

    /// The space as it is, or as it was when it was deleted.
    pub(super) fn find(
        &self,
        environment: &EnvironmentName,
        name: &SpaceName,
    ) -> Result<Option<&Arc<KnownSpace>>, Error> {
        let known = self.get(environment, name);
        match self.damaged_at(environment, name) {
            Some(damaged) if known.is_none_or(|known| known.last < damaged) => Err(corrupt(damaged)),
            _ => Ok(known),
        }
    }

    /// The first spaces of an environment that there are and that pass, after a name, in the order of their names' bytes.
    pub(super) fn list(
        &self,
        environment: &EnvironmentName,
        after: Option<&SpaceName>,
        limit: usize,
        passes: impl Fn(&SpaceName) -> bool,
    ) -> Result<Vec<Arc<KnownSpace>>, Error> {
        self.check_intact(environment)?;
        let Some(spaces) = self.live.get(environment) else { return Ok(Vec::new()) };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let following = spaces.range::<SpaceName, _>((after, Bound::Unbounded));
        let passing = following.filter(|(name, _)| passes(name));
        Ok(passing.take(limit).map(|(_, known)| known.clone()).collect())
    }

    fn get(&self, environment: &EnvironmentName, name: &SpaceName) -> Option<&Arc<KnownSpace>> {
        let mut all = [&self.live, &self.deleted].into_iter();
        all.find_map(|spaces| spaces.get(environment)?.get(name))
    }

    fn damaged_at(&self, environment: &EnvironmentName, name: &SpaceName) -> Option<Revision> {
        // Nearly always, and then there is no subject to be made.
        if self.damaged.is_empty() {
            return None;
        }
        self.damaged.get(&space_subject(environment, name)).copied()
    }

    /// A damaged space is an error, not a gap in the list. Where names are sealed, a subject of which nothing opens does
    /// not tell its environment either.
    fn check_intact(&self, environment: &EnvironmentName) -> Result<(), Error> {
        let is_of = |subject: &Subject| {
            let of = subject.tokens().nth(1).unwrap_or_default();
            of == environment.as_str() || of.parse::<EnvironmentName>().is_err()
        };
        let damaged = self.damaged.iter().find(|(subject, _)| is_of(subject));
        damaged.map_or(Ok(()), |(_, revision)| Err(corrupt(*revision)))
    }
}

/// Whether a record stands where those of spaces do.
pub(super) fn is_of_space(record: &Record) -> bool {
    record.subject.tokens().next() == Some(KIND)
}

fn corrupt(revision: Revision) -> Error {
    Error::Corrupt { stream: Stream::Access.name(), revision, what: "the space has a record that does not verify" }
}

#[cfg(test)]
mod tests {
    use claviger_core::Timestamp;
    use serde_json::value::RawValue;

    use super::*;
    use crate::record::space::SpaceAction;

    fn environment() -> EnvironmentName {
        "default".parse().unwrap()
    }

    fn name(text: &str) -> SpaceName {
        text.parse().unwrap()
    }

    fn stored(text: &str, action: SpaceAction) -> StoredSpace {
        StoredSpace {
            environment: environment(),
            name: name(text),
            action,
            metadata: RawValue::from_string("{}".to_owned()).unwrap().into(),
            created_at: Timestamp(0),
            created_by: "key".into(),
            updated_at: Timestamp(0),
            updated_by: "key".into(),
        }
    }

    fn damaged(subject: Subject, revision: u64) -> Record {
        Record { subject, revision: Revision(revision), stored_at: Timestamp(0), bytes: Vec::new().into() }
    }

    fn is_live(spaces: &KnownSpaces, text: &str) -> Option<bool> {
        let found = spaces.find(&environment(), &name(text)).ok()?;
        Some(found.is_some_and(|known| known.stored.is_live()))
    }

    #[test]
    fn the_last_record_counts_whatever_comes_first() {
        let mut spaces = KnownSpaces::default();
        spaces.apply(stored("a", SpaceAction::Deleted), Revision(2));
        spaces.apply(stored("a", SpaceAction::Created), Revision(1));
        assert_eq!(is_live(&spaces, "a"), Some(false));
        spaces.apply(stored("a", SpaceAction::Created), Revision(3));
        spaces.apply(stored("a", SpaceAction::Deleted), Revision(2));
        assert_eq!(is_live(&spaces, "a"), Some(true));
        assert_eq!(spaces.last(&environment(), &name("a")), Revision(3));
    }

    #[test]
    fn each_space_is_heard_of_once_and_a_deleted_one_is_in_no_list_to_walk_over() {
        let mut spaces = KnownSpaces::default();
        spaces.apply(stored("b", SpaceAction::Created), Revision(1));
        spaces.apply(stored("a", SpaceAction::Deleted), Revision(3));
        spaces.apply(stored("a", SpaceAction::Created), Revision(2));
        spaces.apply(stored("b", SpaceAction::Deleted), Revision(4));
        let names = |after| {
            let heard_of = spaces.heard_of(after).iter();
            heard_of.map(|scope| scope.space.as_ref().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            (names(0), names(1), names(2), names(9)),
            (vec!["b".into(), "a".into()], vec!["a".into()], vec![], vec![])
        );
        assert!(spaces.live[&environment()].is_empty());
        assert_eq!(spaces.deleted[&environment()].len(), 2);
        spaces.apply(stored("b", SpaceAction::Created), Revision(5));
        assert_eq!((spaces.heard_of(0).len(), spaces.deleted[&environment()].len()), (2, 1));
        assert_eq!(is_live(&spaces, "b"), Some(true));
    }

    #[test]
    fn a_list_goes_on_after_a_name_and_has_neither_deleted_nor_other_spaces() {
        let mut spaces = KnownSpaces::default();
        for (at, text) in (1..).zip(["c", "a", "e", "b", "d"]) {
            spaces.apply(stored(text, SpaceAction::Created), Revision(at));
        }
        spaces.apply(stored("c", SpaceAction::Deleted), Revision(6));
        let list = |after: Option<&str>, limit| -> Vec<String> {
            let after = after.map(name);
            let listed = spaces.list(&environment(), after.as_ref(), limit, |name| name.as_str() != "d").unwrap();
            listed.iter().map(|known| known.stored.name.to_string()).collect()
        };
        assert_eq!(list(None, 9), ["a", "b", "e"]);
        assert_eq!(list(None, 2), ["a", "b"]);
        assert_eq!(list(Some("a"), 9), ["b", "e"]);
        assert_eq!(list(Some("bb"), 9), ["e"]);
        assert!(spaces.list(&"prod".parse().unwrap(), None, 9, |_| true).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_record_counts_until_a_newer_one_is_known() {
        let mut spaces = KnownSpaces::default();
        let subject = space_subject(&environment(), &name("a"));
        spaces.apply(stored("a", SpaceAction::Created), Revision(1));
        spaces.apply(stored("b", SpaceAction::Created), Revision(2));
        spaces.distrust(&damaged(subject.clone(), 3));
        assert_eq!((is_live(&spaces, "a"), is_live(&spaces, "b")), (None, Some(true)));
        assert_eq!(spaces.last(&environment(), &name("a")), Revision(3));
        assert!(spaces.list(&environment(), None, 9, |_| true).is_err());
        assert!(spaces.list(&"prod".parse().unwrap(), None, 9, |_| true).is_ok());
        spaces.apply(stored("a", SpaceAction::Updated), Revision(2));
        assert_eq!(is_live(&spaces, "a"), None, "it is older than the damage");
        spaces.apply(stored("a", SpaceAction::Updated), Revision(4));
        assert_eq!(is_live(&spaces, "a"), Some(true));
        assert_eq!(spaces.list(&environment(), None, 9, |_| true).unwrap().len(), 2);
        // Handed over again.
        spaces.distrust(&damaged(subject, 3));
        assert_eq!(is_live(&spaces, "a"), Some(true));
        assert_eq!(spaces.list(&environment(), None, 9, |_| true).unwrap().len(), 2);
    }

    #[test]
    fn a_damaged_record_that_tells_no_environment_is_in_the_way_of_every_list() {
        let mut spaces = KnownSpaces::default();
        spaces.distrust(&damaged(Subject::new(&[KIND, "Hqx_8-Zz0", "u7"]), 1));
        assert!(spaces.list(&environment(), None, 9, |_| true).is_err());
        assert_eq!(is_live(&spaces, "a"), Some(false), "the ledger tells which one it is");
    }
}
