//! The few building blocks that other modules and crates share.

use aws_lc_rs::{
    digest::{self, SHA256},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac, rand,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::LockedKey;

/// SHA-256 of the bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, bytes).as_ref());
    hash
}

/// Bytes from the cryptographic random source.
///
/// # Panics
/// When the system has no random source.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes);
    bytes
}

pub(crate) fn fill_random(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the system has a random source");
}

/// An id that follows from its parts: the first 16 bytes of SHA-256 over each part, preceded by its
/// length as 8 big-endian bytes. Different lists of parts never hash the same input.
#[must_use]
pub fn derive_id(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = digest::Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finish().as_ref()[..16]);
    id
}

/// Equality in time that depends on the lengths only.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// HMAC-SHA-256 over the context, preceded by its length as 8 big-endian bytes, and the bytes.
pub(crate) fn mac(key: &hmac::Key, context: &str, bytes: &[u8]) -> [u8; 32] {
    let mut hmac = hmac::Context::with_key(key);
    hmac.update(&(context.len() as u64).to_be_bytes());
    hmac.update(context.as_bytes());
    hmac.update(bytes);
    let mut code = [0; 32];
    code.copy_from_slice(hmac.sign().as_ref());
    code
}

/// HKDF-SHA-256 (RFC 5869): `N` bytes, at most 8,160.
pub(crate) fn derive<const N: usize>(key: &LockedKey, salt: &[u8], label: &[u8]) -> Zeroizing<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut derived = Zeroizing::new([0; N]);
    Salt::new(HKDF_SHA256, salt)
        .extract(key.bytes())
        .expand(&[label], Length(N))
        .and_then(|output| output.fill(derived.as_mut_slice()))
        .expect("the length is within the limit of HKDF");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_of_the_whole_slice() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"samf"));
        assert!(!constant_time_eq(b"same", b"sam"));
        assert!(!constant_time_eq(b"same", b""));
    }

    #[test]
    fn ids_depend_on_where_a_part_ends() {
        let ids = [derive_id(&[]), derive_id(&[b""]), derive_id(&[b"ab"]), derive_id(&[b"a", b"b"]), {
            derive_id(&[b"ab", b""])
        }];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id));
        }
    }
}
