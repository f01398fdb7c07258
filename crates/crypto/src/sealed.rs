//! The one construction that seals values and wraps keys.
//!
//! ```text
//! key        = HKDF-SHA-256(long-lived key, salt, the purpose's key label)
//! commitment = HKDF-SHA-256(long-lived key, salt, the purpose's commitment label)
//! body       = salt (32) ‖ nonce (12) ‖ commitment (32) ‖ AES-256-GCM(key, nonce, plaintext) ‖ tag (16)
//! ```
//!
//! Each body has a key of its own, so that nonces cannot collide at any volume. AES-GCM does not
//! commit to its key (one ciphertext can be made to open under two keys), hence the commitment,
//! which is compared first and in constant time.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{
    Fault, LockedKey,
    primitives::{constant_time_eq, derive, random_bytes},
};

const SALT: usize = 32;
const NONCE: usize = 12;
const COMMITMENT: usize = 32;
const TAG: usize = 16;

/// How much longer a body is than its plaintext.
pub(crate) const OVERHEAD: usize = SALT + NONCE + COMMITMENT + TAG;

/// HKDF labels. Different for each layer, so that a body of one is never taken for one of another.
pub(crate) struct Purpose {
    key: &'static [u8],
    commitment: &'static [u8],
}

/// A value under a data key.
pub(crate) const SEAL: Purpose = Purpose { key: b"claviger/v1/seal", commitment: b"claviger/v1/commit" };
/// A data key under the keyring key.
pub(crate) const WRAP_DATA_KEY: Purpose =
    Purpose { key: b"claviger/v1/wrap-data-key", commitment: b"claviger/v1/wrap-data-key/commit" };
/// The keyring key and the pepper under the master key.
pub(crate) const WRAP_KEYRING: Purpose =
    Purpose { key: b"claviger/v1/wrap-keyring", commitment: b"claviger/v1/wrap-keyring/commit" };

/// A record of a store whose names are sealed, under a sub-key of the keyring key.
pub(crate) const SEAL_RECORD: Purpose =
    Purpose { key: b"claviger/v1/names/seal-record", commitment: b"claviger/v1/names/seal-record/commit" };
/// A hint about work, under the same sub-key.
pub(crate) const SEAL_HINT: Purpose =
    Purpose { key: b"claviger/v1/names/seal-hint", commitment: b"claviger/v1/names/seal-hint/commit" };

/// The random part of a body.
pub(crate) struct Draw {
    pub(crate) salt: [u8; SALT],
    pub(crate) nonce: [u8; NONCE],
}

impl Draw {
    pub(crate) fn random() -> Draw {
        Draw { salt: random_bytes(), nonce: random_bytes() }
    }
}

/// The plaintext is longer than AES-GCM permits.
#[derive(Debug)]
pub(crate) struct TooLong;

/// What sealing and opening have in common.
pub(crate) struct Seal<'a> {
    pub(crate) key: &'a LockedKey,
    pub(crate) purpose: &'static Purpose,
    pub(crate) associated_data: &'a [u8],
}

impl Seal<'_> {
    /// Appends the body to `output`.
    pub(crate) fn seal(&self, draw: &Draw, plaintext: &[u8], output: &mut Vec<u8>) -> Result<(), TooLong> {
        // Reserved at once: growing later could leave a copy of the plaintext behind.
        output.reserve_exact(plaintext.len() + OVERHEAD);
        output.extend_from_slice(&draw.salt);
        output.extend_from_slice(&draw.nonce);
        output.extend_from_slice(self.commitment(&draw.salt).as_slice());
        let start = output.len();
        output.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(draw.nonce);
        let sealed = self.cipher(&draw.salt).seal_in_place_separate_tag(
            nonce,
            Aad::from(self.associated_data),
            &mut output[start..],
        );
        output.extend_from_slice(sealed.map_err(|_| TooLong)?.as_ref());
        Ok(())
    }

    /// The plaintext of a body.
    pub(crate) fn open(&self, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let (salt, rest) = body.split_first_chunk::<SALT>().ok_or(Fault::Length)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Fault::Length)?;
        let (commitment, rest) = rest.split_first_chunk::<COMMITMENT>().ok_or(Fault::Length)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(Fault::Length)?;
        if !constant_time_eq(commitment, self.commitment(salt).as_slice()) {
            return Err(Fault::Commitment);
        }
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        self.cipher(salt)
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(self.associated_data),
                ciphertext,
                tag,
                &mut plaintext,
            )
            .map_err(|_| Fault::Tag)?;
        Ok(plaintext)
    }

    fn commitment(&self, salt: &[u8; SALT]) -> Zeroizing<[u8; COMMITMENT]> {
        derive(self.key, salt, self.purpose.commitment)
    }

    fn cipher(&self, salt: &[u8; SALT]) -> LessSafeKey {
        let key = derive::<32>(self.key, salt, self.purpose.key);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("the key has the cipher's length"))
    }
}
