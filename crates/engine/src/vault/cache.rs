//! The last records of the secrets in use. Envelopes stay sealed here.

use std::sync::Arc;

use claviger_core::Revision;
use claviger_store::Subject;
use parking_lot::RwLock;

use super::fresh::Fresh;
use crate::record::secret::StoredSecret;

/// Secrets kept, at least.
const CAPACITY: usize = 4_096;

/// Kept coherent by this server's own writes and by the fold. A secret known to be absent is kept as such.
pub(crate) struct SecretCache {
    state: RwLock<State>,
}

struct State {
    entries: Fresh<Subject, Option<Arc<StoredSecret>>>,
    /// The revisions seen of secrets that are not among the entries. They are kept until the index surely has them.
    seen: Fresh<Subject, Revision>,
    /// Goes up with every write anybody made.
    writes: u64,
    /// False until the fold has caught up with what others wrote before this server started.
    is_coherent: bool,
}

/// Taken before a read of the ledger: tells whether anything was written since.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

impl Default for SecretCache {
    fn default() -> SecretCache {
        let (entries, seen) = (Fresh::new(CAPACITY), Fresh::new(CAPACITY));
        SecretCache { state: RwLock::new(State { entries, seen, writes: 0, is_coherent: false }) }
    }
}

impl State {
    /// The last revision of a secret that was seen, as far as that is known here.
    fn seen(&mut self, subject: &Subject) -> Revision {
        let kept = self.entries.get_mut(subject).and_then(|entry| entry.as_ref().map(|kept| kept.stored.last));
        let seen = self.seen.get_mut(subject).map_or(Revision::ZERO, |seen| *seen);
        kept.unwrap_or_default().max(seen)
    }

    fn see(&mut self, subject: &Subject, revision: Revision) {
        if self.seen(subject) < revision {
            self.seen.insert(subject.clone(), revision);
        }
    }
}

impl SecretCache {
    /// `None` when it is not known here; `Some(None)` when the secret is known to be absent.
    pub(crate) fn get(&self, subject: &Subject) -> Option<Option<Arc<StoredSecret>>> {
        if let Some(entry) = self.state.read().entries.peek(subject) {
            return Some(entry.clone());
        }
        self.state.write().entries.get(subject)
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.state.read().writes)
    }

    /// The last revision of a secret that was seen lately, zero for none.
    pub(crate) fn seen(&self, subject: &Subject) -> Revision {
        self.state.write().seen(subject)
    }

    /// Notes that a secret has a record of this revision.
    pub(crate) fn saw(&self, subject: &Subject, revision: Revision) {
        self.state.write().see(subject, revision);
    }

    /// Keeps what a read found, unless something was written meanwhile: it may have been this secret.
    pub(crate) fn fill(&self, ticket: Ticket, subject: &Subject, read: Option<Arc<StoredSecret>>) {
        let mut state = self.state.write();
        let revision = read.as_ref().map_or(Revision::ZERO, |read| read.stored.last);
        let is_last = state.seen(subject) <= revision;
        if state.is_coherent && state.writes == ticket.0 && is_last {
            state.entries.insert(subject.clone(), read);
        } else {
            state.see(subject, revision);
        }
    }

    /// Notes what this server wrote, unless what another wrote after it was folded already.
    pub(crate) fn wrote(&self, subject: &Subject, written: Arc<StoredSecret>) {
        let mut state = self.state.write();
        state.writes += 1;
        let revision = written.stored.last;
        if state.seen(subject) > revision {
            return;
        }
        if state.is_coherent {
            state.entries.insert(subject.clone(), Some(written));
        } else {
            state.see(subject, revision);
        }
    }

    /// Notes what the fold read: replaces an older entry, adds none.
    pub(crate) fn folded(&self, subject: &Subject, read: Arc<StoredSecret>) {
        let mut state = self.state.write();
        state.writes += 1;
        let revision = read.stored.last;
        let Some(entry) = state.entries.get_mut(subject) else { return state.see(subject, revision) };
        if entry.as_ref().map_or(Revision::ZERO, |kept| kept.stored.last) < revision {
            *entry = Some(read);
        }
    }

    /// The revision of the record that is kept of a secret.
    pub(crate) fn last(&self, subject: &Subject) -> Option<Revision> {
        let mut state = self.state.write();
        state.entries.get_mut(subject)?.as_ref().map(|kept| kept.stored.last)
    }

    /// Forgets a secret of which there is a record of this revision: the next read asks the ledger.
    pub(crate) fn forget(&self, subject: &Subject, revision: Revision) {
        let mut state = self.state.write();
        state.writes += 1;
        let seen = state.seen(subject).max(revision);
        state.entries.remove(subject);
        state.see(subject, seen);
    }

    /// From now on the fold sees every write as it comes.
    pub(crate) fn caught_up(&self) {
        self.state.write().is_coherent = true;
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::{
        Scope, SecretName, Timestamp,
        secret::{Change, Stamp, apply},
    };

    use super::*;
    use crate::record::secret::{SecretForm, subject};

    fn scope() -> Scope {
        Scope::environment("default".parse().expect("a name"))
    }

    fn name() -> SecretName {
        "A".parse().expect("a name")
    }

    /// A record of the secret at a revision.
    fn stored(revision: u64) -> Arc<StoredSecret> {
        let stamp = Stamp { by: "somebody".into(), at: Timestamp(0) };
        let change = Change::Set { description: None, unmaskable: false };
        let changed = apply((&name(), &scope()), None, change, &stamp).expect("set");
        let form = SecretForm::of_change(&changed, Some(vec![1]));
        Arc::new(form.stored_at(Revision(revision)).expect("it reads back"))
    }

    fn coherent() -> (SecretCache, Subject) {
        let cache = SecretCache::default();
        cache.caught_up();
        (cache, subject(&scope(), &name()))
    }

    fn kept(cache: &SecretCache, subject: &Subject) -> Option<Option<u64>> {
        cache.get(subject).map(|kept| kept.map(|kept| kept.stored.last.0))
    }

    #[test]
    fn what_another_server_wrote_later_and_was_folded_first_is_not_overwritten() {
        let (cache, subject) = coherent();
        cache.folded(&subject, stored(7));
        cache.wrote(&subject, stored(5));
        assert_eq!((kept(&cache, &subject), cache.seen(&subject)), (None, Revision(7)));
        let ticket = cache.ticket();
        cache.fill(ticket, &subject, Some(stored(7)));
        assert_eq!(kept(&cache, &subject), Some(Some(7)));
        cache.wrote(&subject, stored(6));
        cache.folded(&subject, stored(6));
        assert_eq!(kept(&cache, &subject), Some(Some(7)));
        cache.folded(&subject, stored(8));
        assert_eq!(kept(&cache, &subject), Some(Some(8)));
    }

    #[test]
    fn a_read_that_something_was_written_during_is_not_kept_but_remembered() {
        let (cache, subject) = coherent();
        let ticket = cache.ticket();
        cache.folded(&crate::record::secret::subject(&scope(), &"B".parse().expect("a name")), stored(3));
        cache.fill(ticket, &subject, Some(stored(2)));
        assert_eq!((kept(&cache, &subject), cache.seen(&subject)), (None, Revision(2)));
        // An older answer that comes later is not kept either.
        cache.fill(cache.ticket(), &subject, None);
        assert_eq!(kept(&cache, &subject), None);
        cache.fill(cache.ticket(), &subject, Some(stored(2)));
        assert_eq!(kept(&cache, &subject), Some(Some(2)));
    }

    #[test]
    fn a_conflict_raises_what_a_read_has_to_reach_and_the_fold_still_replaces_the_entry() {
        let (cache, subject) = coherent();
        cache.fill(cache.ticket(), &subject, Some(stored(2)));
        cache.saw(&subject, Revision(5));
        assert_eq!((kept(&cache, &subject), cache.seen(&subject)), (Some(Some(2)), Revision(5)));
        cache.folded(&subject, stored(5));
        assert_eq!(kept(&cache, &subject), Some(Some(5)));
        cache.forget(&subject, Revision::ZERO);
        assert_eq!((kept(&cache, &subject), cache.seen(&subject)), (None, Revision(5)));
    }
}
