//! Runs that wait until required secrets are set.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use claviger_core::{
    EnvironmentName, SecretName,
    run::{Command, RunId},
};
use parking_lot::Mutex;

use super::Runtime;
use crate::Error;

/// The runs that wait for each secret.
type RunsBySecret = HashMap<(EnvironmentName, SecretName), HashSet<RunId>>;

/// Runs that wait for secrets.
#[derive(Clone, Default)]
pub(crate) struct Blocked {
    runs: Arc<Mutex<RunsBySecret>>,
}

impl Blocked {
    pub(crate) fn add(&self, environment: &EnvironmentName, missing: &[SecretName], id: RunId) {
        let mut runs = self.runs.lock();
        for name in missing {
            runs.entry((environment.clone(), name.clone())).or_default().insert(id);
        }
    }

    /// Forgets a run that waits no more.
    pub(crate) fn remove(&self, environment: &EnvironmentName, missing: &[SecretName], id: RunId) {
        let mut runs = self.runs.lock();
        for name in missing {
            let key = (environment.clone(), name.clone());
            if let Some(waiting) = runs.get_mut(&key) {
                waiting.remove(&id);
                if waiting.is_empty() {
                    runs.remove(&key);
                }
            }
        }
    }
}

impl Runtime {
    /// Lets a blocked run go on if something that it misses was set before we listened.
    pub(crate) async fn look_at_secrets(
        &self,
        environment: &EnvironmentName,
        id: RunId,
        missing: &[SecretName],
    ) -> Result<(), Error> {
        for name in missing {
            if self.vault.is_set(environment, name).await? {
                return self.unblock(environment, id).await;
            }
        }
        Ok(())
    }

    /// Lets the runs go on that waited for this secret.
    pub(crate) fn secret_set(&self, environment: &EnvironmentName, name: &SecretName) {
        let runs = self.blocked.runs.lock().remove(&(environment.clone(), name.clone())).unwrap_or_default();
        for id in runs {
            let environment = environment.clone();
            self.again("unblock a run", move |runtime| {
                let environment = environment.clone();
                async move { runtime.unblock(&environment, id).await }
            });
        }
    }

    /// Looks at every blocked run again, after changes of secrets were missed.
    pub(crate) async fn recheck_blocked(&self) -> Result<(), Error> {
        let waiting: Vec<_> = self.blocked.runs.lock().keys().cloned().collect();
        for (environment, name) in waiting {
            if self.vault.is_set(&environment, &name).await? {
                self.secret_set(&environment, &name);
            }
        }
        Ok(())
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
