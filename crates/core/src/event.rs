//! Event names.

use std::{fmt, str::FromStr, sync::Arc};

use crate::NameError;

/// Event names that begin so are emitted by the engine only.
pub const SYSTEM_PREFIX: &str = "system.";

/// A dotted event name: 1–16 segments of `[A-Za-z0-9_:=-]`, at most 300 bytes in all. A secret's name stands in a
/// system event's name as its subject token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventName(Arc<str>);

impl EventName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the engine may emit it.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.starts_with(SYSTEM_PREFIX) || &*self.0 == "system"
    }
}

impl FromStr for EventName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<EventName, NameError> {
        let what = "an event name";
        if text.len() > 300 {
            return Err(NameError::TooLong { what, length: text.len(), limit: 300 });
        }
        if text.split('.').count() > 16 {
            return Err(NameError::TooLong { what, length: text.split('.').count(), limit: 16 });
        }
        let bad = text
            .chars()
            .enumerate()
            .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '=' | '.')));
        if let Some((at, c)) = bad {
            return Err(NameError::BadCharacter { what, position: at + 1, code: u32::from(c) });
        }
        if text.split('.').any(str::is_empty) {
            return Err(NameError::Empty { what: "a segment of an event name" });
        }
        Ok(EventName(text.into()))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
