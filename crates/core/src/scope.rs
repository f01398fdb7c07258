//! Where a secret lives.

use crate::{EnvironmentName, SpaceName};

/// An environment, or a space of it. A space's own value overrides the environment's of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The environment: a hard boundary with keys of its own.
    pub environment: EnvironmentName,
    /// The space, or `None` for the environment itself.
    pub space: Option<SpaceName>,
}

impl Scope {
    /// The environment's own scope.
    #[must_use]
    pub fn environment(environment: EnvironmentName) -> Scope {
        Scope { environment, space: None }
    }

    /// The scopes a look-up from here tries, innermost first.
    #[must_use]
    pub fn chain(&self) -> Vec<Scope> {
        let outer = Scope::environment(self.environment.clone());
        match self.space {
            Some(_) => vec![self.clone(), outer],
            None => vec![outer],
        }
    }
}
