//! Last revisions of the subjects written lately.

use std::collections::HashMap;

use claviger_core::Revision;

use crate::{Stream, Subject};

/// Subjects in one generation; two are kept.
const GENERATION: usize = 8 * 1024;

/// A bounded cache of each subject's last revision (zero: it has no record).
///
/// Coherent because the writer's thread alone changes the streams and owns this: it notes every
/// append, forgets every subject of which a record goes, and forgets everything when a transaction is
/// rolled back.
#[derive(Default)]
pub(super) struct Heads {
    young: HashMap<(Stream, Subject), Revision>,
    old: HashMap<(Stream, Subject), Revision>,
}

impl Heads {
    /// The last revision, if it is known.
    pub(super) fn get(&mut self, key: &(Stream, Subject)) -> Option<Revision> {
        if let Some(&last) = self.young.get(key) {
            return Some(last);
        }
        let (key, last) = self.old.remove_entry(key)?;
        self.set(key, last);
        Some(last)
    }

    /// Notes a last revision.
    pub(super) fn set(&mut self, key: (Stream, Subject), last: Revision) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        // An older note must not come back when the younger one is forgotten.
        self.old.remove(&key);
        self.young.insert(key, last);
    }

    /// Forgets a subject.
    pub(super) fn forget(&mut self, key: &(Stream, Subject)) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
