//! Who calls, and what they may do: environments, API keys, and the one place that says no.

mod api_key;
mod authenticate;
mod environment;
mod known;
mod rules;

use std::sync::Arc;

use claviger_core::{Bounds, Caller, EnvironmentName, Permission, Reach, Role};

pub use api_key::{ApiKeyMetadata, NewApiKey};
pub use environment::Environment;

use self::known::Known;
use crate::{Error, audit::Refusals, shared::Shared};

/// The environment that every store has.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// The engine's own id as a caller. No API key has it: theirs have eight characters.
const SYSTEM: &str = "system";

/// Environments and API keys.
pub struct Access {
    shared: Shared,
    known: Arc<Known>,
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
        let known = Arc::new(Known::default());
        let read = known.read_all(&shared).await?;
        known.clone().start_following(shared.clone(), read);
        let access = Access { refusals: Arc::new(Refusals::new(shared.clone())), shared, known };
        access.ensure_an_environment().await?;
        Ok(access)
    }

    /// Answers whether the caller may do this in this environment. A refusal is audited.
    ///
    /// # Errors
    /// [`Error::EnvironmentNotFound`] when the environment is unknown or outside the caller's reach, the same for both;
    /// [`Error::Denied`].
    pub async fn authorize(
        &self,
        caller: &Caller,
        permission: Permission,
        environment: &EnvironmentName,
    ) -> Result<(), Error> {
        if !self.is_visible(caller, environment) {
            return Err(Error::EnvironmentNotFound);
        }
        if caller.may(permission, environment) {
            return Ok(());
        }
        Err(self.refuse(caller, permission, Some(environment), None).await)
    }

    /// Answers whether the caller may do what belongs to no environment.
    async fn authorize_everywhere(&self, caller: &Caller, permission: Permission) -> Result<(), Error> {
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
    fn is_visible(&self, caller: &Caller, environment: &EnvironmentName) -> bool {
        let visible = caller.reaches(environment) && self.known.has_environment(environment);
        if !visible {
            self.refusals.count();
        }
        visible
    }
}
