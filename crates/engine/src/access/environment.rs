//! Environments: hard boundaries with keys of their own.

use std::sync::Arc;

use claviger_core::{Caller, EnvironmentName, Permission, Timestamp};
use claviger_store::{Expected, Stream};

use super::{Access, default_environment, known::load_data_key, system_caller};
use crate::{
    Error, keys,
    record::access::{AccessForm, AccessRecord, StoredEnvironment, environment_subject},
    shared::Shared,
};

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: Arc<str>,
}

impl From<StoredEnvironment> for Environment {
    fn from(stored: StoredEnvironment) -> Environment {
        Environment { name: stored.name, created_at: stored.created_at, created_by: stored.created_by }
    }
}

impl Access {
    /// Finds an environment by what somebody wrote. Where other servers share the store, one of them may have made it a
    /// moment ago: it is unknown only after a quarter of a second without news of it.
    ///
    /// # Errors
    /// [`Error::EnvironmentNotFound`] when it cannot exist, does not exist, or is outside the caller's reach: the answer
    /// is the same.
    pub async fn environment(&self, caller: &Caller, name: &str) -> Result<EnvironmentName, Error> {
        let name = name.parse::<EnvironmentName>().map_err(|_| Error::EnvironmentNotFound)?;
        if self.is_visible(caller, &name).await { Ok(name) } else { Err(Error::EnvironmentNotFound) }
    }

    /// The environments that the caller reaches, sorted by name.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_environments(&self, caller: &Caller) -> Result<Vec<Environment>, Error> {
        self.authorize_everywhere(caller, Permission::EnvironmentList).await?;
        let mut environments = self.known.environments();
        environments.retain(|environment| caller.reaches(&environment.name));
        Ok(environments.into_iter().map(Environment::from).collect())
    }

    /// The names of all environments. For the engine's own use.
    pub(crate) fn known_environments(&self) -> Vec<EnvironmentName> {
        self.known.environments().into_iter().map(|environment| environment.name).collect()
    }

    /// Creates an environment, with a data key of its own.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Name`], [`Error::EnvironmentExists`], and what the store says.
    pub async fn create_environment(&self, caller: &Caller, name: &str) -> Result<Environment, Error> {
        self.authorize_everywhere(caller, Permission::EnvironmentCreate).await?;
        let name: EnvironmentName = name.parse()?;
        if self.known.has_environment(&name) {
            return Err(Error::EnvironmentExists);
        }
        self.store_environment(name, caller).await
    }

    /// Creates the default environment on a new store.
    pub(super) async fn ensure_an_environment(&self) -> Result<(), Error> {
        if !self.known.environments().is_empty() {
            return Ok(());
        }
        match self.store_environment(default_environment(), &system_caller()).await {
            // Another server was first; its record and data key are there to be read.
            Err(Error::EnvironmentExists) => self.known.read_all(&self.shared).await.map(drop),
            outcome => outcome.map(drop),
        }
    }

    /// The data key first: an environment without one would be of no use.
    async fn store_environment(&self, name: EnvironmentName, caller: &Caller) -> Result<Environment, Error> {
        let Shared { ledger, keyring, .. } = &self.shared;
        let data_key = keys::create_data_key(&**ledger, keyring, &name).await?;
        let (created_at, created_by) = (self.shared.now(), caller.id.clone());
        let stored = StoredEnvironment { name, created_at, created_by, data_key };
        let subject = environment_subject(&stored.name);
        let form = AccessForm::of_environment(&stored);
        match self.shared.append(self.shared.sign(Stream::Access, subject, &form, Expected::Absent)).await {
            Ok(revision) => {
                load_data_key(&self.shared, &stored).await?;
                self.known.apply(AccessRecord::Environment(stored.clone()), revision);
                Ok(stored.into())
            }
            Err(Error::Store(claviger_store::Error::Conflict { .. })) => Err(Error::EnvironmentExists),
            Err(error) => Err(error),
        }
    }
}
