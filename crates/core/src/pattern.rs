//! Patterns over dotted event names.

use std::{fmt, str::FromStr, sync::Arc};

/// A match expression over event names: segments separated by dots, where `*` stands for exactly one
/// segment and `>`, only as the last, for one or more. At most 512 bytes and 32 segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing between two dots, or nothing at all.
    #[error("segment {segment} of the pattern is empty")]
    EmptySegment {
        /// Its number, from 1.
        segment: usize,
    },
    /// `>` that is not last.
    #[error("`>` may only be the last segment, it is segment {segment}")]
    RestNotLast {
        /// Its number, from 1.
        segment: usize,
    },
    /// `*` or `>` as a part of a segment, white space or a control character.
    #[error("segment {segment} of the pattern has a character that is not allowed")]
    BadSegment {
        /// Its number, from 1.
        segment: usize,
    },
    /// Over the limits.
    #[error("a pattern has at most 512 bytes and 32 segments")]
    TooLong,
}

impl Pattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name fits. Case matters.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut segments = name.split('.');
        for wanted in self.0.split('.') {
            match (wanted, segments.next()) {
                (_, None | Some("")) => return false,
                (">", Some(_)) => return segments.all(|segment| !segment.is_empty()),
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// Whether every name that fits `other` fits this pattern too.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        let mut theirs = other.0.split('.');
        for wanted in self.0.split('.') {
            match (wanted, theirs.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                (_, Some(">")) => return false,
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// The first segment when it is literal: lets a caller tell quickly what cannot fit.
    #[must_use]
    pub fn literal_head(&self) -> Option<&str> {
        self.0.split('.').next().filter(|head| !matches!(*head, "*" | ">"))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let count = text.split('.').count();
        if text.len() > 512 || count > 32 {
            return Err(PatternError::TooLong);
        }
        for (at, segment) in text.split('.').enumerate() {
            check_segment(segment, at + 1, count)?;
        }
        Ok(Pattern(text.into()))
    }
}

fn check_segment(text: &str, segment: usize, count: usize) -> Result<(), PatternError> {
    match text {
        "" => Err(PatternError::EmptySegment { segment }),
        ">" if segment != count => Err(PatternError::RestNotLast { segment }),
        "*" | ">" => Ok(()),
        _ if text.contains(|c: char| matches!(c, '*' | '>') || c.is_whitespace() || c.is_control()) => {
            Err(PatternError::BadSegment { segment })
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
