//! Runs that wait until required secrets are set.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use claviger_core::{
    EnvironmentName, Scope, SecretName,
    run::{Command, RunId},
};
use parking_lot::Mutex;

use super::Runtime;
use crate::{Error, events::Event};

/// The runs that wait for each secret, with the scope in which each looks.
type RunsBySecret = HashMap<(EnvironmentName, SecretName), HashMap<RunId, Scope>>;

/// Runs that wait for secrets.
#[derive(Clone, Default)]
pub(crate) struct Blocked {
    runs: Arc<Mutex<RunsBySecret>>,
}

impl Blocked {
    pub(crate) fn add(&self, scope: &Scope, missing: &[SecretName], id: RunId) {
        let mut runs = self.runs.lock();
        for name in missing {
            runs.entry((scope.environment.clone(), name.clone())).or_default().insert(id, scope.clone());
        }
    }

    /// Forgets a run that waits no more.
    pub(crate) fn remove(&self, scope: &Scope, missing: &[SecretName], id: RunId) {
        let mut runs = self.runs.lock();
        for name in missing {
            let key = (scope.environment.clone(), name.clone());
            if let Some(waiting) = runs.get_mut(&key) {
                waiting.remove(&id);
                if waiting.is_empty() {
                    runs.remove(&key);
                }
            }
        }
    }

    /// The runs, forgotten, that waited for a secret and look in this scope.
    fn take(&self, changed: &Scope, name: &SecretName) -> Vec<RunId> {
        let mut runs = self.runs.lock();
        let key = (changed.environment.clone(), name.clone());
        let Some(waiting) = runs.get_mut(&key) else { return Vec::new() };
        let concerned = waiting.extract_if(|_, scope| scope.chain().contains(changed)).map(|(run, _)| run).collect();
        if waiting.is_empty() {
            runs.remove(&key);
        }
        concerned
    }

    /// The names that somebody waits for, with where: in the scopes that are concerned.
    fn awaited(&self, is_concerned: impl Fn(&Scope) -> bool) -> HashSet<(Scope, SecretName)> {
        let mut awaited = HashSet::new();
        for ((_, name), waiting) in self.runs.lock().iter() {
            let scopes = waiting.values().filter(|scope| is_concerned(scope));
            awaited.extend(scopes.map(|scope| (scope.clone(), name.clone())));
        }
        awaited
    }

    /// Whether somebody waits for anything in a scope.
    fn has_waiting_in(&self, scope: &Scope) -> bool {
        self.runs.lock().values().any(|waiting| waiting.values().any(|place| place == scope))
    }
}

impl Runtime {
    /// Lets a blocked run go on if something that it misses was set before we listened.
    pub(crate) async fn look_at_secrets(&self, scope: &Scope, id: RunId, missing: &[SecretName]) -> Result<(), Error> {
        let mut outcome = Ok(());
        for name in missing {
            match self.vault.is_set(scope, name).await {
                Ok(true) => return self.unblock(&scope.environment, id).await,
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Lets the runs go on that waited for this secret and look in this scope.
    pub(crate) fn secret_changed(&self, scope: &Scope, name: &SecretName) {
        for id in self.blocked.take(scope, name) {
            let environment = scope.environment.clone();
            self.again("unblock a run", move |runtime| {
                let environment = environment.clone();
                async move { runtime.unblock(&environment, id).await }
            });
        }
    }

    /// A space that comes or goes takes with it what is to be seen from there, also what it inherits.
    pub(crate) fn hear_of_spaces(&self, event: &Event) {
        if !matches!(event.name.as_str(), "system.space.created" | "system.space.deleted") {
            return;
        }
        let scope = event.scope();
        self.lookers.tell_in(&scope);
        // Whoever was taken up after the start looked at what there was. In a space that goes nothing is set.
        let is_news = event.revision > self.opened_at && event.name.as_str().ends_with("created");
        if !is_news || !self.blocked.has_waiting_in(&scope) {
            return;
        }
        self.again("look at the blocked runs of a space", move |runtime| {
            let scope = scope.clone();
            async move { runtime.recheck_blocked(|awaited| *awaited == scope).await }
        });
    }

    /// Looks at blocked runs again that look in some scopes, after changes of secrets were missed. What cannot be looked at
    /// does not keep the rest waiting.
    pub(crate) async fn recheck_blocked(&self, is_concerned: impl Fn(&Scope) -> bool) -> Result<(), Error> {
        let mut outcome = Ok(());
        for (scope, name) in self.blocked.awaited(is_concerned) {
            match self.vault.is_set(&scope, &name).await {
                Ok(true) => self.secret_changed(&scope, &name),
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    async fn unblock(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        let unblocked =
            self.with_run(environment, id, async |runtime, cell| runtime.change(cell, Command::Unblock).await);
        match unblocked.await {
            Err(Error::RunEnded | Error::Lost | Error::RunNotFound) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(space: Option<&str>) -> Scope {
        Scope { environment: "default".parse().unwrap(), space: space.map(|space| space.parse().unwrap()) }
    }

    fn name(text: &str) -> SecretName {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_is_awaited_where_it_matters_is_looked_at() {
        let blocked = Blocked::default();
        let (acme, beta) = (scope(Some("acme")), scope(Some("beta")));
        let (first, second) = (RunId([1; 16]), RunId([2; 16]));
        blocked.add(&acme, &[name("A"), name("B")], first);
        blocked.add(&beta, &[name("A")], second);
        assert_eq!(blocked.awaited(|scope| *scope == beta), HashSet::from([(beta.clone(), name("A"))]));
        assert_eq!(blocked.awaited(|_| true).len(), 3);
        assert!(blocked.has_waiting_in(&acme) && !blocked.has_waiting_in(&scope(None)));
        assert_eq!(blocked.take(&acme, &name("A")), [first]);
        blocked.remove(&acme, &[name("A"), name("B")], first);
        assert!(!blocked.has_waiting_in(&acme) && blocked.has_waiting_in(&beta));
        assert_eq!(blocked.take(&scope(None), &name("A")), [second], "what all inherit");
        assert!(blocked.runs.lock().is_empty());
    }
}
