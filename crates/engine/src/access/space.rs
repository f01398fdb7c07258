//! Which spaces there are, and who reaches them.

use std::{sync::Arc, time::Duration};

use claviger_core::{Caller, EnvironmentName, Permission, Revision, Scope, SpaceName};
use claviger_store::{Expected, Stream};
use tokio::time::timeout;

use super::{Access, known_spaces::KnownSpace};
use crate::{
    Error,
    folded::last_since,
    record::{
        access::{AccessForm, AccessRecord},
        space::{StoredSpace, space_subject},
    },
};

/// How long somebody waits for what was written anywhere before it was asked for.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

impl Access {
    /// Whether there is such a space, as far as this server knows: what another one did may not have come here yet, and one
    /// with a damaged record is not reached. Looks into memory only.
    #[must_use]
    pub fn has_space(&self, environment: &EnvironmentName, name: &SpaceName) -> bool {
        let known = self.known.space(environment, name);
        known.is_ok_and(|known| known.is_some_and(|known| known.stored.is_live()))
    }

    /// Answers whether a scope is there for the caller, whom [`Access::authorize`] has let into the environment. A space that
    /// this server does not know is looked for in the ledger: another server may have created it a moment ago.
    ///
    /// # Errors
    /// [`Error::SpaceNotFound`] when the space is unknown or outside the caller's reach, the same for both;
    /// [`Error::Denied`], of which nothing is recorded here, for the environment itself when the caller is narrowed to spaces;
    /// [`Error::Corrupt`] when a record of the space is damaged, and what the store says.
    pub async fn check_space(&self, caller: &Caller, scope: &Scope) -> Result<(), Error> {
        let is_reached = caller.reaches_space(scope.space.as_ref());
        let Some(name) = &scope.space else {
            let bound = Some("it is for spaces of the environment, not for the environment itself".to_owned());
            return if is_reached { Ok(()) } else { Err(Error::Denied { role: caller.role.as_str(), bound }) };
        };
        if is_reached && self.live_space(&scope.environment, name).await?.is_some() {
            return Ok(());
        }
        self.refusals.count();
        Err(Error::SpaceNotFound)
    }

    /// Answers whether the caller may do this in this scope: [`Access::authorize`] and [`Access::check_space`] in one. A
    /// refusal is audited.
    ///
    /// # Errors
    /// Those of the two.
    pub async fn authorize_in(&self, caller: &Caller, permission: Permission, scope: &Scope) -> Result<(), Error> {
        self.authorize(caller, permission, &scope.environment).await?;
        self.check_space_for(caller, permission, scope).await
    }

    /// The same for a change that must not be acknowledged in a space which any server has said is deleted. Costs a round
    /// trip to the store where others write to it too; changes that wait at the same time share it.
    ///
    /// # Errors
    /// Those of [`Access::authorize_in`], and [`Error::TimedOut`] when nobody can tell within five seconds.
    pub(crate) async fn authorize_change_in(
        &self,
        caller: &Caller,
        permission: Permission,
        scope: &Scope,
    ) -> Result<(), Error> {
        self.authorize(caller, permission, &scope.environment).await?;
        if scope.space.is_some() && self.shared.ledger.is_shared() {
            self.settle().await?;
        }
        self.check_space_for(caller, permission, scope).await
    }

    async fn check_space_for(&self, caller: &Caller, permission: Permission, scope: &Scope) -> Result<(), Error> {
        match self.check_space(caller, scope).await {
            Err(Error::Denied { bound, .. }) => {
                Err(self.refuse(caller, permission, Some(&scope.environment), bound).await)
            }
            outcome => outcome,
        }
    }

    /// The space, if there is one.
    pub(crate) async fn live_space(
        &self,
        environment: &EnvironmentName,
        name: &SpaceName,
    ) -> Result<Option<Arc<KnownSpace>>, Error> {
        match self.known.space(environment, name)? {
            Some(known) if known.stored.is_live() => Ok(Some(known)),
            _ => Ok(self.read_space(environment, name, Revision::ZERO).await?.filter(|known| known.stored.is_live())),
        }
    }

    /// The space as it is, or as it was when it was deleted: with everything that any server acknowledged before the call.
    pub(crate) async fn settled_space(
        &self,
        environment: &EnvironmentName,
        name: &SpaceName,
    ) -> Result<Option<Arc<KnownSpace>>, Error> {
        self.settle().await?;
        match self.known.space(environment, name)? {
            Some(known) => Ok(Some(known)),
            // Where names are sealed, a record that does not open did not tell which space it is of. Here it does.
            None => self.read_space(environment, name, Revision::ZERO).await,
        }
    }

    /// Whether there is such a scope in its environment, with everything that any server acknowledged before the call.
    pub(crate) async fn surely_has(&self, scope: &Scope) -> Result<bool, Error> {
        let Some(name) = &scope.space else { return Ok(true) };
        let known = self.settled_space(&scope.environment, name).await?;
        Ok(known.is_some_and(|known| known.stored.is_live()))
    }

    /// Waits until this server knows of everything that any server acknowledged before the call.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after five seconds, [`Error::RecordsLost`], and what the store says.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let settled = timeout(SETTLES_WITHIN, self.known.folded().catch_up(&self.shared));
        settled.await.map_err(|_| Error::TimedOut)?
    }

    /// The space as the ledger has it, of which a record of this revision was seen.
    pub(crate) async fn read_space(
        &self,
        environment: &EnvironmentName,
        name: &SpaceName,
        seen: Revision,
    ) -> Result<Option<Arc<KnownSpace>>, Error> {
        let (subject, known) = (space_subject(environment, name), self.known.last_of_space(environment, name));
        if let Some(record) = last_since(&*self.shared.ledger, Stream::Access, &subject, known.max(seen)).await? {
            self.known.catch_up(&self.shared.keyring, &record)?;
        }
        self.known.space(environment, name)
    }

    /// The first spaces of an environment that the caller reaches, after a name, in the order of their names' bytes.
    pub(crate) fn known_spaces(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        after: Option<&SpaceName>,
        limit: usize,
    ) -> Result<Vec<Arc<KnownSpace>>, Error> {
        self.known.with_spaces(|spaces| spaces.list(environment, after, limit, |name| caller.reaches_space(Some(name))))
    }

    /// Every space that was ever heard of, after the first so many: once each, deleted ones too.
    pub(crate) fn spaces_heard_of(&self, after: usize) -> Vec<Scope> {
        self.known.with_spaces(|spaces| spaces.heard_of(after).to_vec())
    }

    /// Stores what became of a space, if its last record is the expected one.
    pub(crate) async fn store_space(&self, stored: StoredSpace, expected: Expected) -> Result<Revision, Error> {
        let form = AccessForm::of_space(&stored);
        let revision = self.shared.append(self.shared.sign(Stream::Access, stored.subject(), &form, expected)).await?;
        self.known.apply(AccessRecord::Space(stored), revision);
        Ok(revision)
    }
}
