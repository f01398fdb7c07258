//! The operator's key.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::{LockedKey, primitives::derive};

const DIGITS: usize = 64;
const FINGERPRINT_LABEL: &[u8] = b"claviger/v1/master-key/fingerprint";

/// The master key: 32 bytes from the operator. Wraps the keyring key and is never stored.
pub struct MasterKey(LockedKey);

/// Why a text is not a master key. Never says what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Not 64 characters.
    #[error("a master key is 64 hexadecimal digits, given were {digits} bytes")]
    Length {
        /// Bytes given, without the newline at the end.
        digits: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("a master key is 64 hexadecimal digits, position {position} has something else")]
    BadDigit {
        /// Position of the first such byte, from 1.
        position: usize,
    },
}

impl MasterKey {
    /// Reads 64 hexadecimal digits of either case, with at most one newline after them. Wipes the
    /// text, whatever the outcome.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_hex(text: &mut [u8]) -> Result<MasterKey, MasterKeyError> {
        let key = parse(text);
        text.zeroize();
        key
    }

    /// Draws a new master key.
    #[must_use]
    pub fn generate() -> MasterKey {
        MasterKey(LockedKey::generate())
    }

    /// 64 lower-case hexadecimal digits: for writing the key file of dev mode, and nothing else.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(DIGITS));
        for byte in self.0.bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        text
    }

    /// Eight characters that tell master keys apart and say nothing else about them.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(*derive(&self.0, &[], FINGERPRINT_LABEL))
    }

    pub(crate) fn key(&self) -> &LockedKey {
        &self.0
    }
}

fn parse(text: &[u8]) -> Result<MasterKey, MasterKeyError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.len() != DIGITS {
        return Err(MasterKeyError::Length { digits: text.len() });
    }
    // Filled in place: no copy of the key outside its page.
    let mut key = LockedKey::zeroed();
    for (at, pair) in text.chunks_exact(2).enumerate() {
        let digit = |offset: usize| {
            let digit = char::from(pair[offset]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digit.ok_or(MasterKeyError::BadDigit { position: 2 * at + offset + 1 })
        };
        key.bytes_mut()[at] = digit(0)? << 4 | digit(1)?;
    }
    Ok(MasterKey(key))
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Tells master keys apart: 32 bits derived from the key, shown as eight hexadecimal digits. Public.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(crate) [u8; 4]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
