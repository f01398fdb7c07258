//! Who calls, and what they may do: environments, API keys, which spaces there are, and the one place that says no.

mod api_key;
mod authenticate;
mod bootstrap;
mod environment;
mod fresh;
mod known;
mod known_spaces;
mod rules;
mod space;

use std::{sync::Arc, time::Duration};

use claviger_core::{Bounds, Caller, EnvironmentName, Permission, Reach, Role};
use tokio::time::timeout;

pub use api_key::{ApiKeyMetadata, NewApiKey};
pub use environment::Environment;
pub(crate) use known_spaces::KnownSpace;

use self::{
    fresh::{Confirmed, Freshness},
    known::Known,
};
use crate::{Error, audit::Refusals, shared::Shared};

/// The environment that every store has.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// The engine's own id as a caller. No API key has it: theirs have eight characters.
const SYSTEM: &str = "system";

/// How long the news of what another server made may take.
const NEWS_WITHIN: Duration = Duration::from_millis(250);

/// Environments and API keys, and which spaces there are.
pub struct Access {
    shared: Shared,
    known: Arc<Known>,
    /// `None` where nobody else writes: then this server knows of every revocation.
    freshness: Option<Arc<Freshness>>,
    refusals: Arc<Refusals>,
}

/// The engine itself, as a caller: an administrator of every environment. Like every administrator it receives no value.
#[must_use]
pub fn system_caller() -> Caller {
    Caller { id: SYSTEM.into(), role: Role::Admin, reach: Reach::All, bounds: Arc::new(Bounds::default()) }
}

pub(crate) fn default_environment() -> EnvironmentName {
    DEFAULT_ENVIRONMENT.parse().expect("the name follows the rule")
}

impl Access {
    /// Reads every environment and API key, creates the default environment if there is none at all, and goes on
    /// following the stream.
    pub(crate) async fn open(shared: Shared) -> Result<Access, Error> {
        let known = Arc::new(Known::open(&shared).await?);
        known.clone().start_following(shared.clone());
        let is_shared = shared.ledger.is_shared();
        let freshness = is_shared.then(|| Freshness::start(shared.clone(), known.folded().clone()));
        let access = Access { refusals: Arc::new(Refusals::new(shared.clone())), shared, known, freshness };
        access.ensure_an_environment().await?;
        Ok(access)
    }

    /// Waits, where other servers share the store, until this one surely knows of every API key that was revoked more
    /// than a second ago. Is over at once while there is traffic, and always where nobody shares the store.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`] when the store does not confirm it within two seconds, [`Error::RecordsLost`].
    pub async fn fresh(&self) -> Result<(), Error> {
        match &self.freshness {
            Some(freshness) => freshness.confirm_soon().await,
            None => Ok(()),
        }
    }

    /// What keeps everybody out, if something does.
    pub(crate) fn trouble(&self) -> Option<Error> {
        let unconfirmed = self.freshness.as_ref().filter(|freshness| freshness.is_failing());
        self.known.folded().intact().err().or(unconfirmed.map(|_| Error::Unconfirmed))
    }

    /// Answers whether somebody who was authenticated earlier may still be served.
    ///
    /// # Errors
    /// [`Error::UnknownApiKey`], [`Error::ExpiredApiKey`], [`Error::Unconfirmed`], [`Error::RecordsLost`].
    pub(crate) async fn confirm(&self, caller: &Caller) -> Result<(), Error> {
        // Nobody revokes the engine itself. Where nobody else writes, whoever serves a key for long hears of its end.
        if self.freshness.is_none() || *caller.id == *SYSTEM {
            return Ok(());
        }
        match self.check_in_force(caller) {
            Err(Error::Unconfirmed) => {
                self.fresh().await?;
                self.check_in_force(caller)
            }
            outcome => outcome,
        }
    }

    fn confirmed(&self) -> Result<Confirmed, Error> {
        self.freshness.as_ref().map_or(Ok(Confirmed::FOR_EVER), |freshness| freshness.confirmed())
    }

    /// Answers whether the caller may do this in this environment. A refusal is audited.
    ///
    /// # Errors
    /// [`Error::EnvironmentNotFound`] when the environment is unknown or outside the caller's reach, the same for both;
    /// [`Error::Denied`]. Where other servers share the store also [`Error::UnknownApiKey`] and [`Error::ExpiredApiKey`]
    /// when the caller's key has ended meanwhile, and [`Error::Unconfirmed`] when nobody can tell.
    pub async fn authorize(
        &self,
        caller: &Caller,
        permission: Permission,
        environment: &EnvironmentName,
    ) -> Result<(), Error> {
        self.confirm(caller).await?;
        if !self.is_visible(caller, environment).await {
            return Err(Error::EnvironmentNotFound);
        }
        if caller.may(permission, environment) {
            return Ok(());
        }
        Err(self.refuse(caller, permission, Some(environment), None).await)
    }

    /// Answers whether the caller may do what belongs to no environment.
    async fn authorize_everywhere(&self, caller: &Caller, permission: Permission) -> Result<(), Error> {
        self.confirm(caller).await?;
        if caller.role.may(permission) {
            return Ok(());
        }
        Err(self.refuse(caller, permission, None, None).await)
    }

    /// Audits a refusal and makes the error that says it. The bound is what narrows the caller's role, if that is the
    /// reason; it holds names and patterns only.
    pub(crate) async fn refuse(
        &self,
        caller: &Caller,
        permission: Permission,
        environment: Option<&EnvironmentName>,
        bound: Option<String>,
    ) -> Error {
        self.refusals.record(caller, permission, environment, bound.as_deref()).await;
        Error::Denied { role: caller.role.as_str(), bound }
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether the environment exists and the caller may know of it. If not, that is counted as a refusal.
    async fn is_visible(&self, caller: &Caller, environment: &EnvironmentName) -> bool {
        let visible = caller.reaches(environment) && self.comes_to_know(environment).await;
        if !visible {
            self.refusals.count();
        }
        visible
    }

    /// Whether the environment exists: another server may have made it a moment ago.
    async fn comes_to_know(&self, environment: &EnvironmentName) -> bool {
        let is_known = || self.known.has_environment(environment).then_some(());
        is_known().is_some() || self.news_of(is_known).await.is_some()
    }

    /// Waits for news of something that another server may have made a moment ago. None at once when nobody shares the store,
    /// or when many wait already.
    async fn news_of<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let _place = self.freshness.as_ref()?.place()?;
        let mut changes = self.known.changes();
        let news = async {
            loop {
                match look() {
                    Some(found) => return Some(found),
                    None => changes.changed().await.ok()?,
                }
            }
        };
        timeout(NEWS_WITHIN, news).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::audit::permission_word;

    #[test]
    fn the_page_about_roles_says_what_they_may() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/concepts/roles.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows: Vec<Vec<&str>> = page.lines().map(|line| line.split(" | ").collect()).collect();
        let header = rows.iter().find(|cells| cells[0] == "| permission").unwrap();
        let roles: Vec<String> = Role::ALL.iter().map(|role| format!("`{role}`")).collect();
        assert_eq!(header[2..].join(" "), roles.join(" ") + " |");
        for permission in Permission::ALL {
            let word = format!("| `{}`", permission_word(permission));
            let cells = rows.iter().find(|cells| cells[0] == word).unwrap_or_else(|| panic!("{word} is missing"));
            let said: Vec<bool> = cells[2..].iter().map(|cell| cell.trim_end_matches(" |") == "yes").collect();
            assert_eq!(said, Role::ALL.map(|role| role.may(permission)), "{word}");
        }
    }
}
