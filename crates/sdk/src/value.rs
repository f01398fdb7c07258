//! Secret values, as this process holds them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::error::Error;

/// One version of a secret, in memory that is wiped.
pub(crate) struct Value {
    pub(crate) version: u64,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Value {
    /// The value of a frame; `None` if its encoding is not known here.
    pub(crate) fn read(version: u64, text: Cow<'_, str>, encoding: Option<&str>) -> Option<Self> {
        let text = Zeroizing::new(text.into_owned());
        let bytes = match encoding {
            Some("base64") => Zeroizing::new(BASE64_STANDARD.decode(&*text).ok()?),
            Some(_) => return None,
            None => Zeroizing::new(text.as_bytes().to_vec()),
        };
        Some(Self { version, bytes })
    }
}

/// A secret that was looked up. It prints nothing; [`Secret::expose`] gives the value away.
///
/// The value is wiped from memory when the last clone is dropped and the event's cache has let go of it.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Value>,
}

impl Secret {
    pub(crate) fn new(name: &str, value: Value) -> Self {
        Self { name: name.into(), value: Arc::new(value) }
    }

    /// The value itself, as text. Keep it out of errors, logs and results.
    ///
    /// # Errors
    ///
    /// [`Error::SecretNotText`] for bytes that are not UTF-8.
    pub fn expose(&self) -> Result<&str, Error> {
        str::from_utf8(&self.value.bytes).map_err(|_| Error::SecretNotText { name: self.name.as_ref().to_owned() })
    }

    /// The value itself, which need not be text. Keep it out of errors, logs and results.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.value.bytes
    }

    /// The version of the secret that this value is.
    pub fn version(&self) -> u64 {
        self.value.version
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}
