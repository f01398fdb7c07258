//! API keys as text. They are read from the right: an environment's name may hold `-`, never `_`.

use std::fmt;

use claviger_core::EnvironmentName;
use zeroize::Zeroizing;

use crate::{
    checksum::{BASE62, checksum},
    primitives::{fill_random, random_bytes},
};

/// Stands in a key for every environment. No environment can have this name.
pub const ALL_ENVIRONMENTS: &str = "all";

const PREFIX: &str = "clv_";
const ID: usize = 8;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const ID_DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A bearer credential: `clv_<environment>_<id>_<secret part><checksum>`.
///
/// The environment is a name or [`ALL_ENVIRONMENTS`]; the id is 8 characters of `[a-z2-7]`, public
/// and random; the secret part is 43 base62 digits, 256 random bits; the checksum is six base62
/// digits over everything before it. Wiped when dropped, with no content in `Debug`.
pub struct ApiKey {
    text: Zeroizing<String>,
    environment_end: usize,
}

/// Why a text is not an API key. Never says what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Does not begin with `clv_`.
    #[error("an API key begins with `clv_`")]
    Prefix,
    /// Not the parts that a key has.
    #[error("an API key has an environment, an id and a secret part, separated by `_`")]
    Parts,
    /// The secret part and its checksum are too short or too long.
    #[error("the last part of an API key has 49 characters, this one has {length}; was it cut off?")]
    Length {
        /// Bytes after the last `_`.
        length: usize,
    },
    /// The secret part or its checksum has a character that is no base62 digit.
    #[error("the last part of the API key has a character other than letters and digits")]
    Digit,
    /// The id is not 8 characters of `[a-z2-7]`.
    #[error("the id of an API key is 8 lower-case letters and digits")]
    Id,
    /// The environment is neither a name nor `all`.
    #[error("the environment of the API key is not a valid name")]
    Environment,
    /// The checksum does not match: a typing mistake.
    #[error("the checksum of the API key does not match; was it mistyped?")]
    Checksum,
}

impl ApiKey {
    /// Draws a new key for an environment, or for [`ALL_ENVIRONMENTS`].
    ///
    /// # Panics
    /// When the text is neither: names come checked ([`EnvironmentName`]).
    #[must_use]
    pub fn generate(environment: &str) -> ApiKey {
        ApiKey::generate_as(environment, random_bytes())
    }

    /// Draws a new key whose id is [`ApiKey::id_from`] these bytes.
    ///
    /// # Panics
    /// As [`ApiKey::generate`].
    #[must_use]
    pub fn generate_as(environment: &str, id: [u8; 8]) -> ApiKey {
        assert!(is_environment(environment), "an API key is made for an environment that can exist");
        // Reserved at once: growing later could leave a part of the key behind.
        let length = PREFIX.len() + environment.len() + 1 + ID + 1 + SECRET + CHECKSUM;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(PREFIX);
        text.push_str(environment);
        let environment_end = text.len();
        text.push('_');
        text.push_str(&ApiKey::id_from(id));
        text.push('_');
        push_secret_part(&mut text);
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        ApiKey { text, environment_end }
    }

    /// The id that eight bytes stand for: the lower five bits of each count.
    #[must_use]
    pub fn id_from(bytes: [u8; 8]) -> String {
        bytes.iter().map(|byte| char::from(ID_DIGITS[usize::from(byte % 32)])).collect()
    }

    /// Reads a key and verifies its checksum; whether it is any good is for the server to say.
    ///
    /// # Errors
    /// When the text is not an API key.
    pub fn parse(text: &str) -> Result<ApiKey, ApiKeyError> {
        if !text.starts_with(PREFIX) {
            return Err(ApiKeyError::Prefix);
        }
        let (head, tail) = text.rsplit_once('_').ok_or(ApiKeyError::Parts)?;
        let (front, id) = head.rsplit_once('_').ok_or(ApiKeyError::Parts)?;
        let environment = front.strip_prefix(PREFIX).ok_or(ApiKeyError::Parts)?;
        if tail.len() != SECRET + CHECKSUM {
            return Err(ApiKeyError::Length { length: tail.len() });
        }
        if !tail.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ApiKeyError::Digit);
        }
        if id.len() != ID || !id.bytes().all(|byte| ID_DIGITS.contains(&byte)) {
            return Err(ApiKeyError::Id);
        }
        if !is_environment(environment) {
            return Err(ApiKeyError::Environment);
        }
        let (content, written) = text.as_bytes().split_last_chunk::<CHECKSUM>().ok_or(ApiKeyError::Parts)?;
        if checksum(content) != *written {
            return Err(ApiKeyError::Checksum);
        }
        Ok(ApiKey { text: Zeroizing::new(text.to_owned()), environment_end: front.len() })
    }

    /// The whole key, to be shown once or sent.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        self.text.clone()
    }

    /// The environment it is for, or [`ALL_ENVIRONMENTS`].
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.text[PREFIX.len()..self.environment_end]
    }

    /// The public id.
    #[must_use]
    pub fn id(&self) -> &str {
        let start = self.environment_end + 1;
        &self.text[start..start + ID]
    }

    /// What proves the key: the 43 characters before the checksum.
    #[must_use]
    pub fn secret_part(&self) -> &[u8] {
        let end = self.text.len() - CHECKSUM;
        &self.text.as_bytes()[end - SECRET..end]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

fn is_environment(text: &str) -> bool {
    text == ALL_ENVIRONMENTS || text.parse::<EnvironmentName>().is_ok()
}

/// Bytes from 248 up are drawn again: 248 is a multiple of 62, so that each digit is equally likely.
fn push_secret_part(text: &mut String) {
    let mut drawn = Zeroizing::new([0; SECRET]);
    let end = text.len() + SECRET;
    while text.len() < end {
        fill_random(drawn.as_mut_slice());
        let fair = drawn.iter().filter(|byte| **byte < 248).take(end - text.len());
        text.extend(fair.map(|byte| char::from(BASE62[usize::from(byte % 62)])));
    }
}
