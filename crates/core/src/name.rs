//! Names: published rules, checked once, never silently changed.

use std::{fmt, str::FromStr};

use unicode_normalization::UnicodeNormalization;

/// Why a name was refused. Says what and where, never echoes the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// Longer than the rule allows.
    #[error("{what} has {length} characters, the limit is {limit}")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// Characters given.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A character that the rule does not allow.
    #[error("{what} has a character that is not allowed at position {position}: U+{code:04X}")]
    BadCharacter {
        /// Which kind of name.
        what: &'static str,
        /// Position in characters, from 1.
        position: usize,
        /// The character's code point.
        code: u32,
    },
    /// Not in Unicode normalization form C.
    #[error("{what} is not in Unicode normalization form C")]
    NotNormalized {
        /// Which kind of name.
        what: &'static str,
    },
    /// Begins or ends with white space.
    #[error("{what} begins or ends with white space")]
    OuterSpace {
        /// Which kind of name.
        what: &'static str,
    },
    /// Kept for the system's own use.
    #[error("`{word}` is reserved and cannot be {what}")]
    Reserved {
        /// Which kind of name.
        what: &'static str,
        /// The reserved word.
        word: &'static str,
    },
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$type, NameError> {
                $check(text)?;
                Ok($type(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A secret's name: 1–1,024 characters, NFC, no control or bidirectional characters, no
    /// surrounding white space, not `.` or `..` (which no URL can carry). Case matters.
    SecretName,
    check_secret
);
name_type!(
    /// An environment's name: `[a-z][a-z0-9-]{0,38}`, not `all`, which names every environment in API keys.
    EnvironmentName,
    check_environment
);
name_type!(
    /// A space's name: the rule of a secret's name, at most 200 characters.
    SpaceName,
    check_space
);
name_type!(
    /// A function's id: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
    FunctionId,
    check_function
);

fn check_secret(text: &str) -> Result<(), NameError> {
    check_text("a secret name", text, 1024)
}

fn check_space(text: &str) -> Result<(), NameError> {
    check_text("a space name", text, 200)
}

fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    check_length(what, text, limit)?;
    for word in [".", ".."] {
        if text == word {
            return Err(NameError::Reserved { what, word });
        }
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(NameError::OuterSpace { what });
    }
    check_characters(what, text, |_, c| !c.is_control() && !is_bidirectional(c))?;
    if !text.nfc().eq(text.chars()) {
        return Err(NameError::NotNormalized { what });
    }
    Ok(())
}

fn check_environment(text: &str) -> Result<(), NameError> {
    let what = "an environment name";
    check_length(what, text, 39)?;
    if text == "all" {
        return Err(NameError::Reserved { what, word: "all" });
    }
    check_characters(what, text, |at, c| c.is_ascii_lowercase() || (at > 0 && (c.is_ascii_digit() || c == '-')))
}

fn check_function(text: &str) -> Result<(), NameError> {
    let what = "a function id";
    check_length(what, text, 128)?;
    check_characters(what, text, |at, c| c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-')))
}

fn check_length(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    match text.chars().count() {
        0 => Err(NameError::Empty { what }),
        length if length > limit => Err(NameError::TooLong { what, length, limit }),
        _ => Ok(()),
    }
}

fn check_characters(what: &'static str, text: &str, allowed: impl Fn(usize, char) -> bool) -> Result<(), NameError> {
    match text.chars().enumerate().find(|&(at, c)| !allowed(at, c)) {
        Some((at, c)) => Err(NameError::BadCharacter { what, position: at + 1, code: u32::from(c) }),
        None => Ok(()),
    }
}

/// The characters that reorder text around them (Unicode UAX #9, explicit formatting and marks).
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
