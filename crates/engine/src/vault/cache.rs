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
        SecretCache { state: RwLock::new(State { entries: Fresh::new(CAPACITY), writes: 0, is_coherent: false }) }
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

    /// Keeps what a read found, unless something was written meanwhile: it may have been this secret.
    pub(crate) fn fill(&self, ticket: Ticket, subject: &Subject, read: Option<Arc<StoredSecret>>) {
        let mut state = self.state.write();
        if state.is_coherent && state.writes == ticket.0 {
            state.entries.insert(subject.clone(), read);
        }
    }

    /// Notes what this server wrote.
    pub(crate) fn wrote(&self, subject: &Subject, written: Arc<StoredSecret>) {
        let mut state = self.state.write();
        state.writes += 1;
        if !state.is_coherent {
            return;
        }
        let is_newer = match state.entries.get_mut(subject) {
            Some(Some(kept)) => kept.stored.last < written.stored.last,
            Some(None) | None => true,
        };
        if is_newer {
            state.entries.insert(subject.clone(), Some(written));
        }
    }

    /// Notes what the fold read: replaces an older entry, adds none.
    pub(crate) fn folded(&self, subject: &Subject, read: Arc<StoredSecret>) {
        let mut state = self.state.write();
        state.writes += 1;
        if let Some(entry) = state.entries.get_mut(subject)
            && entry.as_ref().map_or(Revision::ZERO, |kept| kept.stored.last) < read.stored.last
        {
            *entry = Some(read);
        }
    }

    /// The revision of the record that is kept of a secret.
    pub(crate) fn last(&self, subject: &Subject) -> Option<Revision> {
        let mut state = self.state.write();
        state.entries.get_mut(subject)?.as_ref().map(|kept| kept.stored.last)
    }

    /// Forgets a secret: the next read asks the ledger.
    pub(crate) fn forget(&self, subject: &Subject) {
        let mut state = self.state.write();
        state.writes += 1;
        state.entries.remove(subject);
    }

    /// From now on the fold sees every write as it comes.
    pub(crate) fn caught_up(&self) {
        self.state.write().is_coherent = true;
    }
}
