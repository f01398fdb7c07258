//! Hiding the names in a store from whoever can read it.
//!
//! ```text
//! hash key = HKDF-SHA-256(keyring key, no salt, "claviger/v1/names/hash")
//! seal key = HKDF-SHA-256(keyring key, no salt, "claviger/v1/names/seal")
//!
//! hash   = HMAC-SHA-256(hash key, length of the context (8) ‖ context ‖ text), the first 16 bytes
//! record = format (1) ‖ body of the record under the seal key
//! hint   = body of the hint under the seal key, its salt and nonce from
//!          HMAC-SHA-256(hash key, length of the context (8) ‖ context ‖ hint)
//! ```

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::{
    Error, Fault, LockedKey, Record,
    data_key::FORMAT,
    fields::Fields,
    primitives::{derive, mac},
    sealed::{Draw, OVERHEAD, SEAL_HINT, SEAL_RECORD, Seal},
};

const HASH_LABEL: &[u8] = b"claviger/v1/names/hash";
const SEAL_LABEL: &[u8] = b"claviger/v1/names/seal";
const SALT_CONTEXT: &str = "hint/salt";
const NONCE_CONTEXT: &str = "hint/nonce";

/// Bytes of a hash: 128 bits, so that two names do not meet by chance.
const HASH: usize = 16;

/// Hides names. A hash stands for a name wherever the store has to find it again; what the name is, is sealed.
///
/// Equal names in equal contexts have equal hashes: that is what they are for, and what they show. Without the key nobody
/// can tell whether a guess is right.
pub struct NameKey {
    hash: hmac::Key,
    seal: LockedKey,
}

impl NameKey {
    /// How much longer a sealed record is than the record.
    pub const OVERHEAD: usize = 1 + OVERHEAD;

    pub(crate) fn derive(keyring_key: &LockedKey) -> NameKey {
        NameKey {
            hash: hmac::Key::new(HMAC_SHA256, derive::<32>(keyring_key, &[], HASH_LABEL).as_slice()),
            seal: LockedKey::take_from(&mut derive(keyring_key, &[], SEAL_LABEL)),
        }
    }

    /// What stands for a text in a context.
    #[must_use]
    pub fn hash(&self, context: &str, text: &str) -> [u8; HASH] {
        let mut hash = [0; HASH];
        hash.copy_from_slice(&mac(&self.hash, context, text.as_bytes())[..HASH]);
        hash
    }

    /// Seals a record for its place in the store.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond 64 GiB.
    pub fn seal(&self, stream: &str, subject: &str, record: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_drawn((stream, subject), &Draw::random(), record)
    }

    /// Opens a record that was sealed for this place.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it was not, or was changed.
    pub fn open(&self, stream: &str, subject: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let corrupt = |fault| Error::Corrupt { record: Record::Names, fault };
        if sealed.len() < NameKey::OVERHEAD {
            return Err(corrupt(Fault::Length));
        }
        let Some((&FORMAT, body)) = sealed.split_first() else { return Err(corrupt(Fault::Format)) };
        let associated_data = place(stream, subject);
        Seal { key: &self.seal, purpose: &SEAL_RECORD, associated_data: &associated_data }.open(body).map_err(corrupt)
    }

    /// Seals a hint, always to the same bytes: whoever repeats it is noticed. Each hint has a salt of its own, and so a key
    /// of its own.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond 64 GiB.
    pub fn seal_hint(&self, topic: &str, hint: &str) -> Result<Vec<u8>, Error> {
        let place = hint_place(topic);
        let mut whole = place.clone();
        whole.extend_from_slice(hint.as_bytes());
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&mac(&self.hash, NONCE_CONTEXT, &whole)[..12]);
        let draw = Draw { salt: mac(&self.hash, SALT_CONTEXT, &whole), nonce };
        let mut sealed = Vec::new();
        Seal { key: &self.seal, purpose: &SEAL_HINT, associated_data: &place }
            .seal(&draw, hint.as_bytes(), &mut sealed)
            .map_err(|_| Error::TooLong { bytes: hint.len() })?;
        Ok(sealed)
    }

    /// Opens a hint that was sealed for this topic.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it was not, or was changed.
    pub fn open_hint(&self, topic: &str, sealed: &[u8]) -> Result<String, Error> {
        let corrupt = |fault| Error::Corrupt { record: Record::Names, fault };
        let opened = Seal { key: &self.seal, purpose: &SEAL_HINT, associated_data: &hint_place(topic) }.open(sealed);
        String::from_utf8(opened.map_err(corrupt)?.to_vec()).map_err(|_| corrupt(Fault::Format))
    }

    pub(crate) fn seal_drawn(
        &self,
        (stream, subject): (&str, &str),
        draw: &Draw,
        record: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::with_capacity(NameKey::OVERHEAD + record.len());
        sealed.push(FORMAT);
        Seal { key: &self.seal, purpose: &SEAL_RECORD, associated_data: &place(stream, subject) }
            .seal(draw, record, &mut sealed)
            .map_err(|_| Error::TooLong { bytes: record.len() })?;
        Ok(sealed)
    }
}

fn place(stream: &str, subject: &str) -> Vec<u8> {
    Fields::new(FORMAT, "names/record").text(stream).text(subject).finish()
}

fn hint_place(topic: &str) -> Vec<u8> {
    Fields::new(FORMAT, "names/hint").text(topic).finish()
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(…)")
    }
}
