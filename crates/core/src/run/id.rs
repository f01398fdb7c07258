//! Ids of runs and steps.

use std::{fmt, str::FromStr, sync::Arc};

/// A run's id: derived from what created it, so that it is created once. Printed `run_` and 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub [u8; 16]);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run_{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Not the form of a run id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is `run_` and 32 lower-case hex digits")]
pub struct BadRunId;

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<RunId, BadRunId> {
        let digits = text.strip_prefix("run_").ok_or(BadRunId)?;
        if digits.len() != 32 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BadRunId);
        }
        u128::from_str_radix(digits, 16).map(|n| RunId(n.to_be_bytes())).map_err(|_| BadRunId)
    }
}

/// A step's id, unique within its run: 1–200 characters (with the `#n` that repeated use appends).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(Arc<str>);

/// Not the form of a step id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step id has 1 to 200 characters and no control characters")]
pub struct BadStepId;

impl StepId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StepId {
    type Err = BadStepId;

    fn from_str(text: &str) -> Result<StepId, BadStepId> {
        let fits = (1..=200).contains(&text.chars().count()) && !text.contains(char::is_control);
        if fits { Ok(StepId(text.into())) } else { Err(BadStepId) }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
