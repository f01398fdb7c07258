//! What a listener looks up, and where.

/// A secret to look up, by name, in the event's own scope or in another.
///
/// ```
/// use claviger::Lookup;
///
/// let in_the_events_scope = Lookup::new("SLACK_TOKEN");
/// let elsewhere = Lookup::new("SLACK_TOKEN").environment("staging").space("other");
/// # let _ = (in_the_events_scope, elsewhere);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    name: String,
    environment: Option<String>,
    space: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The event's space, in the event's environment; else none.
    Usual,
    /// The environment itself.
    NoSpace,
    Space(String),
}

impl Lookup {
    /// The secret of this name in the event's environment and space.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), environment: None, space: Place::Usual }
    }

    /// Looks into another environment: into the environment itself, unless a space is named too. The worker's API key
    /// has to cover it; otherwise nothing is found there.
    #[must_use]
    pub fn environment(self, environment: impl Into<String>) -> Self {
        Self { environment: Some(environment.into()), ..self }
    }

    /// Looks into this space, and sees what it inherits.
    #[must_use]
    pub fn space(self, space: impl Into<String>) -> Self {
        Self { space: Place::Space(space.into()), ..self }
    }

    /// Looks into the environment itself, although the event is of a space.
    #[must_use]
    pub fn without_space(self) -> Self {
        Self { space: Place::NoSpace, ..self }
    }

    /// What this means for a job in the scope `home`.
    pub(crate) fn resolve(self, home: &Scope) -> Asked {
        let environment = self.environment.unwrap_or_else(|| home.environment.clone());
        let space = match self.space {
            Place::Usual => home.usual_space(&environment).map(str::to_owned),
            Place::NoSpace => None,
            Place::Space(space) => Some(space),
        };
        Asked { name: self.name, scope: Scope { environment, space } }
    }
}

impl From<&str> for Lookup {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// An environment, or a space of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    pub(crate) environment: String,
    pub(crate) space: Option<String>,
}

impl Scope {
    /// Where a look-up in this environment goes that names no space.
    pub(crate) fn usual_space(&self, environment: &str) -> Option<&str> {
        self.space.as_deref().filter(|_| environment == self.environment)
    }
}

/// A name in a scope: look-ups that mean the same are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) scope: Scope,
}
