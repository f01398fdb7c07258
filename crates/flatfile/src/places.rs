//! From ids to environments, spaces and secrets, as far as the caller may see them.

use claviger_core::{Caller, EnvironmentName, Revision, Scope, SecretName, SpaceName};
use claviger_engine::{Error, access, spaces::Space};

use crate::{actor::environment_space, app::App, id, metadata::Metadata, refusal::Refusal};

/// Items asked for at once.
pub(crate) const PORTION: usize = 1_000;
/// The member of an environment's metadata that says that it was deleted over the protocol.
pub(crate) const DELETED: &str = "deleted";
/// An environment as the protocol shows it.
pub(crate) struct Place {
    pub(crate) environment: access::Environment,
    pub(crate) metadata: Metadata,
}

/// What is kept of an environment, and the revision of that, if anything is.
pub(crate) type Kept = (Metadata, Option<Revision>);

impl App {
    /// The environments that the caller sees, but those that were deleted over the protocol.
    pub(crate) async fn environments(&self, caller: &Caller) -> Result<Vec<Place>, Refusal> {
        let mut places = Vec::new();
        for environment in self.engine.access().list_environments(caller).await? {
            let (metadata, _) = self.environment_metadata(caller, &environment.name).await?;
            if !metadata.members.contains_key(DELETED) {
                places.push(Place { environment, metadata });
            }
        }
        Ok(places)
    }

    /// What the protocol knows of an environment.
    pub(crate) async fn environment_metadata(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Kept, Refusal> {
        let scope = Scope { environment: environment.clone(), space: Some(environment_space()) };
        // A key for some spaces only does not see it. Most environments have none, and the store need not be asked for it.
        let Some(name) = scope.space.as_ref().filter(|_| self.is_there(caller, &scope)) else {
            return Ok(Kept::default());
        };
        match self.engine.spaces().get(caller, environment, name).await {
            Ok(space) => Ok((Metadata::read(&space.metadata), Some(space.revision))),
            Err(Error::SpaceNotFound) => Ok(Kept::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// The environment of an id.
    pub(crate) async fn environment(&self, caller: &Caller, environment_id: &str) -> Result<Place, Refusal> {
        let places = self.environments(caller).await?;
        let found =
            only(places.into_iter().filter(|place| id::of_environment(&place.environment.name) == environment_id));
        found.ok_or_else(|| Refusal::unknown("environmentId", "there is no environment of that id for this API key"))
    }

    /// The space of an id, in whatever environment the caller sees.
    ///
    /// Whoever is told that there is none gets the environment's secrets, also those that the space overrides or blocks. So
    /// nobody is told that before this server knows of every space that any server has created, and while one is damaged.
    pub(crate) async fn space(&self, caller: &Caller, space_id: &str) -> Result<Option<Scope>, Refusal> {
        let found = self.known_space(caller, space_id).await?;
        if found.is_some() || !id::is_of_space(space_id) {
            return Ok(found);
        }
        self.engine.spaces().catch_up().await?;
        for place in self.environments(caller).await? {
            self.check_spaces(caller, &place.environment.name).await?;
        }
        self.known_space(caller, space_id).await
    }

    /// Fails when a space of an environment is damaged: then one that is not known may be there.
    pub(crate) async fn check_spaces(&self, caller: &Caller, environment: &EnvironmentName) -> Result<(), Refusal> {
        self.engine.spaces().list(caller, environment, None, 1).await?;
        Ok(())
    }

    async fn known_space(&self, caller: &Caller, space_id: &str) -> Result<Option<Scope>, Refusal> {
        let environments = self.environments(caller).await?;
        Ok(only(self.spaces_of_id(caller, &environments, space_id).into_iter()))
    }

    /// The spaces of an id that are there, in these environments, and the caller's to see.
    fn spaces_of_id(&self, caller: &Caller, environments: &[Place], space_id: &str) -> Vec<Scope> {
        let mut spaces = self.ids.spaces(self.engine.spaces(), space_id);
        let is_in = |scope: &Scope, place: &Place| place.environment.name == scope.environment;
        spaces.retain(|scope| environments.iter().any(|place| is_in(scope, place)) && self.is_there(caller, scope));
        spaces
    }

    /// Every space of an environment that the caller sees, the adapter's own too.
    pub(crate) async fn spaces_of(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Vec<Space>, Refusal> {
        let (mut spaces, mut after) = (Vec::new(), None);
        loop {
            let page = self.engine.spaces().list(caller, environment, after.as_deref(), PORTION).await?;
            spaces.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(spaces),
            }
        }
    }

    /// The secret of an id, if the caller may list secrets where it is.
    pub(crate) async fn secret(
        &self,
        caller: &Caller,
        secret_id: &str,
    ) -> Result<Option<(Scope, SecretName)>, Refusal> {
        if let Some(known) = self.ids.secret(secret_id).filter(|(scope, _)| self.is_there(caller, scope)) {
            return Ok(Some(known));
        }
        let Some(space_id) = id::space_of_secret(secret_id) else { return Ok(None) };
        let environments = self.environments(caller).await?;
        let outer = environments.iter().map(|place| Scope::environment(place.environment.name.clone()));
        let outer = outer.filter(|scope| id::is_of_secret_in(secret_id, scope));
        for scope in outer.chain(self.spaces_of_id(caller, &environments, &space_id)) {
            if let Some(name) = self.secret_in(caller, &scope, secret_id).await? {
                return Ok(Some((scope, name)));
            }
        }
        Ok(None)
    }

    async fn secret_in(&self, caller: &Caller, scope: &Scope, secret_id: &str) -> Result<Option<SecretName>, Refusal> {
        let mut after = None;
        loop {
            let page = self.engine.vault().list(caller, scope, after.as_deref(), PORTION).await?;
            let mut names = page.items.into_iter().map(|item| item.secret.secret.name);
            if let Some(name) = names.find(|name| id::of_secret(scope, name) == secret_id) {
                return Ok(Some(name));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// Whether a scope is still there and the caller's to see.
    pub(crate) fn is_there(&self, caller: &Caller, scope: &Scope) -> bool {
        let has = |space: &SpaceName| {
            caller.reaches_space(Some(space)) && self.engine.access().has_space(&scope.environment, space)
        };
        caller.reaches(&scope.environment) && scope.space.as_ref().is_none_or(has)
    }
}

/// The only one there is. An id that two have stands for neither.
fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_two_have_stands_for_neither() {
        assert_eq!(only([].into_iter()), None::<&str>);
        assert_eq!(only(["one"].into_iter()), Some("one"));
        assert_eq!(only(["one", "another"].into_iter()), None);
        assert_eq!(only(["one", "another", "a third"].into_iter()), None);
    }
}
