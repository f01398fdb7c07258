//! Jobs that looked secrets up, and are told when one of them changes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use claviger_core::{EnvironmentName, Revision, Scope, SecretName, SpaceName, run::RunId};
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use super::{Outgoing, limits::MAX_NAMES};
use crate::Error;

/// A run and the claim under which a worker holds it.
pub(crate) type JobKey = (RunId, Revision);

/// A name in an environment, whichever space of it.
type Key = (EnvironmentName, SecretName);

/// What one job looked up under one name.
struct Looker {
    outbox: UnboundedSender<Outgoing>,
    /// In which spaces, or in the environment itself.
    spaces: Vec<Option<SpaceName>>,
    /// Look-ups under way: what they will be told may be older than a change that came meanwhile.
    under_way: usize,
    is_outdated: bool,
    /// Whether it was told anything.
    was_told: bool,
}

type ByName = HashMap<Key, HashMap<JobKey, Looker>>;

/// The jobs of this process that looked secrets up. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Lookers(Arc<Mutex<ByName>>);

/// What a job looked up. Dropped with the job, which is told no more then.
pub(crate) struct Interest {
    lookers: Lookers,
    job: JobKey,
    outbox: UnboundedSender<Outgoing>,
    names: HashSet<Key>,
    /// How many names it looked up, each counted wherever it was looked for.
    looked_up: usize,
}

/// A look-up that was noted, and waits for its answer.
#[must_use]
pub(crate) struct Begun(Key);

impl Lookers {
    /// The interest of a job, which is in nothing yet.
    pub(crate) fn interest(&self, job: JobKey, outbox: UnboundedSender<Outgoing>) -> Interest {
        Interest { lookers: self.clone(), job, outbox, names: HashSet::new(), looked_up: 0 }
    }

    /// Tells the jobs that looked a name up where a change of this scope is to be seen.
    pub(crate) fn tell(&self, changed: &Scope, name: &SecretName) {
        let mut by_name = self.0.lock();
        let Some(lookers) = by_name.get_mut(&(changed.environment.clone(), name.clone())) else { return };
        let is_seen = |space: &Option<SpaceName>| changed.space.is_none() || changed.space == *space;
        for (job, looker) in lookers.iter_mut().filter(|(_, looker)| looker.spaces.iter().any(is_seen)) {
            looker.change(*job, name);
        }
    }

    /// Tells the jobs that looked in a scope of all that they looked up in its environment.
    pub(crate) fn tell_in(&self, scope: &Scope) {
        let mut by_name = self.0.lock();
        for ((_, name), lookers) in by_name.iter_mut().filter(|((place, _), _)| *place == scope.environment) {
            let concerned = lookers.iter_mut().filter(|(_, looker)| looker.spaces.contains(&scope.space));
            concerned.for_each(|(job, looker)| looker.change(*job, name));
        }
    }

    /// Tells all jobs of all that they looked up, after changes were missed.
    pub(crate) fn tell_all(&self) {
        for ((_, name), lookers) in self.0.lock().iter_mut() {
            lookers.iter_mut().for_each(|(job, looker)| looker.change(*job, name));
        }
    }
}

impl Looker {
    fn change(&mut self, job: JobKey, name: &SecretName) {
        self.is_outdated = self.under_way > 0;
        if self.was_told {
            self.tell(job, name);
        }
    }

    fn tell(&self, (run, fence): JobKey, name: &SecretName) {
        // The worker may be gone.
        let _ = self.outbox.send(Outgoing::Changed { run, fence, name: name.clone() });
    }
}

impl Interest {
    /// Notes a look-up, before anything is read: a change from now on is told, and after the answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the job has looked up as much as it may, found or not.
    pub(crate) fn begin(&mut self, scope: &Scope, name: &SecretName) -> Result<Begun, Error> {
        let key = (scope.environment.clone(), name.clone());
        let mut by_name = self.lookers.0.lock();
        let known = by_name.get_mut(&key).and_then(|lookers| lookers.get_mut(&self.job));
        if known.is_none_or(|looker| !looker.spaces.contains(&scope.space)) {
            if self.looked_up == MAX_NAMES {
                return Err(Error::invalid(format!("a job looks up at most {MAX_NAMES} names")));
            }
            self.looked_up += 1;
            self.names.insert(key.clone());
            let new = || Looker {
                outbox: self.outbox.clone(),
                spaces: Vec::new(),
                under_way: 0,
                is_outdated: false,
                was_told: false,
            };
            let looker = by_name.entry(key.clone()).or_default().entry(self.job).or_insert_with(new);
            looker.spaces.push(scope.space.clone());
        }
        if let Some(looker) = by_name.get_mut(&key).and_then(|lookers| lookers.get_mut(&self.job)) {
            looker.under_way += 1;
        }
        Ok(Begun(key))
    }

    /// Sends the answer to a look-up, and behind it that it is outdated, if it is. One that was not begun is of something
    /// that the worker may not know of: no change is told.
    pub(crate) fn answer(&self, begun: Option<Begun>, answer: Outgoing) {
        // Under the lock, so that no change is told before what it is a change of.
        let mut by_name = self.lookers.0.lock();
        let _ = self.outbox.send(answer);
        let Some(Begun(key)) = begun else { return };
        let looker = by_name.get_mut(&key).and_then(|lookers| lookers.get_mut(&self.job));
        let Some(looker) = looker else { return };
        looker.under_way = looker.under_way.saturating_sub(1);
        looker.was_told = true;
        if looker.is_outdated {
            looker.tell(self.job, &key.1);
            looker.is_outdated = looker.under_way > 0;
        }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.names.is_empty() {
            return;
        }
        let mut by_name = self.lookers.0.lock();
        for key in &self.names {
            if let Some(lookers) = by_name.get_mut(key) {
                lookers.remove(&self.job);
                if lookers.is_empty() {
                    by_name.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    const JOB: JobKey = (RunId([1; 16]), Revision(7));

    fn scope(space: Option<&str>) -> Scope {
        Scope { environment: "default".parse().unwrap(), space: space.map(|space| space.parse().unwrap()) }
    }

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    fn drain() -> Outgoing {
        Outgoing::Drain
    }

    /// What came: `drain` stands for an answer.
    fn heard(inbox: &mut UnboundedReceiver<Outgoing>) -> Vec<String> {
        let word = |outgoing| match outgoing {
            Outgoing::Changed { name, .. } => name.to_string(),
            _ => "answer".to_owned(),
        };
        std::iter::from_fn(|| inbox.try_recv().ok()).map(word).collect()
    }

    /// A look-up, begun and answered.
    fn look(interest: &mut Interest, scope: &Scope, text: &str) {
        let begun = interest.begin(scope, &name(text)).unwrap();
        interest.answer(Some(begun), drain());
    }

    #[test]
    fn a_job_is_told_of_changes_where_it_looked_and_around() {
        let (outbox, mut inbox) = unbounded_channel();
        let lookers = Lookers::default();
        let mut interest = lookers.interest(JOB, outbox);
        look(&mut interest, &scope(Some("acme")), "A");
        for changed in [scope(None), scope(Some("acme")), scope(Some("beta"))] {
            lookers.tell(&changed, &name("A"));
            lookers.tell(&changed, &name("B"));
        }
        assert_eq!(heard(&mut inbox), ["answer", "A", "A"]);
        look(&mut interest, &scope(None), "B");
        lookers.tell(&scope(Some("acme")), &name("B"));
        lookers.tell_all();
        let mut all = heard(&mut inbox);
        all.sort();
        assert_eq!(all, ["A", "B", "answer"]);
        lookers.tell_in(&scope(Some("beta")));
        lookers.tell_in(&scope(Some("acme")));
        assert_eq!(heard(&mut inbox), ["A"]);
        drop(interest);
        lookers.tell_all();
        assert!(heard(&mut inbox).is_empty() && lookers.0.lock().is_empty());
    }

    #[test]
    fn a_job_looks_up_so_many_names_and_no_more() {
        let (outbox, _inbox) = unbounded_channel();
        let mut interest = Lookers::default().interest(JOB, outbox);
        let acme = scope(Some("acme"));
        assert!((0..MAX_NAMES / 2).all(|n| interest.begin(&scope(None), &name(&n.to_string())).is_ok()));
        // The same names elsewhere are others.
        assert!((0..MAX_NAMES / 2).all(|n| interest.begin(&acme, &name(&n.to_string())).is_ok()));
        for (scope, text) in [(scope(None), "one more"), (scope(Some("beta")), "0")] {
            assert!(matches!(interest.begin(&scope, &name(text)), Err(Error::Invalid { .. })));
        }
        assert!(interest.begin(&acme, &name("0")).is_ok(), "again");
        assert_eq!(interest.lookers.0.lock().len(), MAX_NAMES / 2);
    }

    #[test]
    fn a_change_during_a_look_up_is_told_after_its_answer() {
        let (outbox, mut inbox) = unbounded_channel();
        let lookers = Lookers::default();
        let mut interest = lookers.interest(JOB, outbox);
        let mut begin = || interest.begin(&scope(None), &name("A")).unwrap();
        let (first, second) = (begin(), begin());
        lookers.tell(&scope(None), &name("A"));
        assert!(heard(&mut inbox).is_empty(), "there is nothing yet that could have changed");
        interest.answer(None, drain());
        assert_eq!(heard(&mut inbox), ["answer"], "what was not begun is no answer to what was");
        interest.answer(Some(first), drain());
        interest.answer(Some(second), drain());
        assert_eq!(heard(&mut inbox), ["answer", "A", "answer", "A"]);
        look(&mut interest, &scope(None), "A");
        assert_eq!(heard(&mut inbox), ["answer"]);
    }
}
