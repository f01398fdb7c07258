//! What one stream of a ledger in memory keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use claviger_core::{Revision, Timestamp};

use crate::{
    Append, Bounds, Error, Expected, Filter, MAX_RECORD_BYTES, Record, Result, Retention, Subject,
    tail::{PAGE_BYTES, PAGE_RECORDS, Page},
};

/// Records by revision, and the ways to find them.
#[derive(Debug)]
pub(super) struct Kept {
    records: BTreeMap<Revision, Record>,
    subjects: BTreeMap<Subject, BTreeSet<Revision>>,
    message_ids: HashMap<String, Revision>,
    pub(super) bounds: Bounds,
}

impl Kept {
    pub(super) fn new() -> Kept {
        Kept {
            records: BTreeMap::new(),
            subjects: BTreeMap::new(),
            message_ids: HashMap::new(),
            bounds: Bounds { first: Revision(1), last: Revision::ZERO },
        }
    }

    pub(super) fn append(&mut self, append: Append, stored_at: Timestamp) -> Result<Revision> {
        let length = append.bytes.len();
        if length > MAX_RECORD_BYTES {
            return Err(Error::TooLarge { length, limit: MAX_RECORD_BYTES });
        }
        if let Some(&revision) = append.message_id.as_ref().and_then(|id| self.message_ids.get(id)) {
            return Ok(revision);
        }
        self.check(&append)?;
        let revision = self.bounds.last.next();
        self.bounds.last = revision;
        self.subjects.entry(append.subject.clone()).or_default().insert(revision);
        if let Some(id) = append.message_id {
            self.message_ids.insert(id, revision);
        }
        self.records
            .insert(revision, Record { subject: append.subject, revision, stored_at, bytes: append.bytes.into() });
        Ok(revision)
    }

    fn check(&self, append: &Append) -> Result<()> {
        let last = self.last_revision(&append.subject);
        let wanted = match append.expected {
            Expected::Any => return Ok(()),
            Expected::Absent => Revision::ZERO,
            Expected::At(revision) => revision,
        };
        if wanted == last { Ok(()) } else { Err(Error::Conflict { last }) }
    }

    fn last_revision(&self, subject: &Subject) -> Revision {
        self.subjects.get(subject).and_then(BTreeSet::last).copied().unwrap_or(Revision::ZERO)
    }

    pub(super) fn last(&self, subject: &Subject) -> Option<Record> {
        self.records.get(&self.last_revision(subject)).cloned()
    }

    pub(super) fn history(&self, subject: &Subject) -> Vec<Record> {
        let revisions = self.subjects.get(subject).into_iter().flatten();
        revisions.filter_map(|revision| self.records.get(revision).cloned()).collect()
    }

    pub(super) fn subjects(&self, filter: &Filter) -> Vec<Subject> {
        self.subjects.keys().filter(|subject| filter.matches(subject)).cloned().collect()
    }

    fn after<'a>(&'a self, filter: &'a Filter, after: Revision) -> impl Iterator<Item = &'a Record> {
        // Nothing comes after the largest number, which has no next.
        let from = Revision(after.0.saturating_add(1));
        self.records.range(from..).map(|(_, record)| record).filter(|record| filter.matches(&record.subject))
    }

    pub(super) fn read(&self, filter: &Filter, after: Revision, limit: usize) -> Vec<Record> {
        self.after(filter, after).take(limit).cloned().collect()
    }

    pub(super) fn page(&self, filter: &Filter, after: Revision) -> Page {
        let mut records = Vec::new();
        let mut bytes = 0;
        for record in self.after(filter, after) {
            bytes += record.bytes.len();
            records.push(record.clone());
            if records.len() == PAGE_RECORDS || bytes >= PAGE_BYTES {
                return Page { records, seen: record.revision };
            }
        }
        Page { records, seen: self.bounds.last }
    }

    pub(super) fn remove(&mut self, revision: Revision) {
        let Some(record) = self.records.remove(&revision) else { return };
        self.message_ids.retain(|_, kept| *kept != revision);
        if let Some(revisions) = self.subjects.get_mut(&record.subject) {
            revisions.remove(&revision);
            if revisions.is_empty() {
                self.subjects.remove(&record.subject);
            }
        }
    }

    pub(super) fn purge(&mut self, subject: &Subject) {
        for revision in self.subjects.get(subject).cloned().unwrap_or_default() {
            self.remove(revision);
        }
    }

    pub(super) fn trim(&mut self, retention: Retention, now: Timestamp) {
        let mut drops = BTreeSet::new();
        if let Some(max_age) = retention.max_age {
            let old = self.records.values().take_while(|record| now.since(record.stored_at) > max_age);
            drops.extend(old.map(|record| record.revision));
        }
        if let Some(keep) = retention.last_per_subject {
            let keep = usize::try_from(keep).unwrap_or(usize::MAX);
            drops.extend(self.subjects.values().flat_map(|revisions| revisions.iter().rev().skip(keep)));
        }
        for &revision in &drops {
            self.remove(revision);
        }
        if let Some(largest) = drops.last() {
            self.bounds.first = self.bounds.first.max(largest.next());
        }
    }
}
