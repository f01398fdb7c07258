//! The one type that holds a secret's bytes.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// The bytes of a secret. Wiped when dropped. Has no content in `Debug`, no `Display`, no `Clone`,
/// no `PartialEq` and no serde: the only way to the bytes is [`SecretValue::expose`], whose call
/// sites are counted by `cargo xtask tidy`.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The largest value, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes ownership of the bytes; the buffer is wiped when the value is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> SecretValue {
        SecretValue(Zeroizing::new(bytes))
    }

    /// Copies the bytes and wipes the source.
    #[must_use]
    pub fn take_from(source: &mut [u8]) -> SecretValue {
        let value = SecretValue::new(source.to_vec());
        source.zeroize();
        value
    }

    /// The bytes. Every call is a place where a value could leak.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the empty value, which is a value: not the same as a missing secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}
