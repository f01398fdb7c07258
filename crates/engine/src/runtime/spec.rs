//! What workers declare.

use std::{str::FromStr, time::Duration};

use claviger_core::{Caller, EnvironmentName, FunctionId, Pattern, PatternError, SecretName, SpaceName, run::Retry};

use super::Condition;

/// A declared secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeclaredSecret {
    /// Its name.
    pub name: SecretName,
    /// Whether runs wait while it is not set.
    pub required: bool,
}

/// A function, as its worker declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Its id.
    pub id: FunctionId,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// The spaces whose events start it; `None` for events of the environment and all its spaces.
    pub spaces: Option<Vec<SpaceName>>,
    /// The secrets its jobs receive.
    pub secrets: Vec<DeclaredSecret>,
    /// Whether its jobs may look secrets up by name: it is a listener.
    pub lookups: bool,
    /// How attempts are repeated.
    pub retry: Retry,
    /// Runs at the same time, at most; `None` for no limit.
    pub concurrency: Option<u32>,
    /// How long one job may take.
    pub timeout: Option<Duration>,
}

impl FunctionSpec {
    /// Whether events of a space start it, or of the environment itself.
    pub(crate) fn covers(&self, space: Option<&SpaceName>) -> bool {
        match &self.spaces {
            None => true,
            Some(spaces) => space.is_some_and(|space| spaces.contains(space)),
        }
    }

    /// Whether it is declared for spaces of the caller's only. A caller that is not narrowed to spaces has them all.
    pub(crate) fn is_within_reach_of(&self, caller: &Caller) -> bool {
        caller.bounds.spaces.is_none()
            || self.spaces.as_ref().is_some_and(|spaces| spaces.iter().all(|space| caller.reaches_space(Some(space))))
    }
}

/// What starts a function: an event that fits the pattern and all conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The event's name.
    pub event: Pattern,
    /// What its data must be; at most 32.
    pub conditions: Vec<Condition>,
}

impl From<Pattern> for Trigger {
    fn from(event: Pattern) -> Trigger {
        Trigger { event, conditions: Vec::new() }
    }
}

/// A pattern, without conditions.
impl FromStr for Trigger {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Trigger, PatternError> {
        text.parse().map(Pattern::into)
    }
}

/// What a worker says when it connects.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The environment it works in.
    pub environment: EnvironmentName,
    /// Its functions.
    pub functions: Vec<FunctionSpec>,
    /// Jobs it holds at most, 1–1,024.
    pub credit: u32,
    /// A label for people.
    pub worker: String,
}
