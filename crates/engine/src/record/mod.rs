//! Stored forms: what the bytes of a record mean.
//!
//! A record is a format byte, a 32-byte HMAC over stream, subject and all that follows, the revision of the record before
//! it on its subject (8 big-endian bytes, see [`order`]), and the body: JSON, whose sealed parts are envelopes in base64.
//! Nothing outside this module knows the stored forms.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod event;
pub(crate) mod function;
pub(crate) mod order;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod space;
pub(crate) mod summary;

use claviger_crypto::Keyring;
use claviger_store::{Append, Expected, Record, Stream, Subject};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const FORMAT: u8 = 1;
const MAC_BYTES: usize = 32;
/// Where what is signed begins: with the revision of the record before.
const SIGNED: usize = 1 + MAC_BYTES;
const BODY: usize = SIGNED + order::BYTES;

/// Encodes and signs a body for its place, and for the record that it is to follow there.
pub(crate) fn sign<T: Serialize>(
    keyring: &Keyring,
    (stream, subject): (Stream, Subject),
    body: &T,
    expected: Expected,
) -> Append {
    let bytes = encode(keyring, &context(stream, &subject), &order::encode(expected), body);
    Append::new(stream, subject, bytes, expected)
}

/// Encodes and signs a body in place of that of a verified record: for the same place, after the same record.
pub(crate) fn sign_again<T: Serialize>(keyring: &Keyring, stream: Stream, verified: &Record, body: &T) -> Vec<u8> {
    encode(keyring, &context(stream, &verified.subject), &verified.bytes[SIGNED..BODY], body)
}

fn encode<T: Serialize>(keyring: &Keyring, context: &str, before: &[u8], body: &T) -> Vec<u8> {
    let mut bytes = vec![0; BODY];
    bytes[0] = FORMAT;
    bytes[SIGNED..].copy_from_slice(before);
    // Stored types are plain structs with string keys: encoding them cannot fail.
    serde_json::to_writer(&mut bytes, body).expect("a stored type encodes as JSON");
    let mac = keyring.mac(context, &bytes[SIGNED..]);
    bytes[1..SIGNED].copy_from_slice(&mac);
    bytes
}

/// Verifies and decodes a record.
pub(crate) fn verify<T: DeserializeOwned>(keyring: &Keyring, stream: Stream, stored: &Record) -> Result<T, Error> {
    let corrupt = |what| Error::Corrupt { stream: stream.name(), revision: stored.revision, what };
    let Some((head, body)) = stored.bytes.split_at_checked(BODY) else { return Err(corrupt("it is too short")) };
    if head[0] != FORMAT {
        return Err(corrupt("its format is unknown"));
    }
    if !keyring.verify_mac(&context(stream, &stored.subject), &stored.bytes[SIGNED..], &head[1..SIGNED]) {
        return Err(corrupt("its signature does not verify"));
    }
    serde_json::from_slice(body).map_err(|_| corrupt("its body does not decode"))
}

fn context(stream: Stream, subject: &Subject) -> String {
    format!("{}/{}", stream.name(), subject.as_str())
}

/// Serializes bytes as base64 text.
pub(crate) mod base64_bytes {
    use std::sync::Arc;

    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(&*text).map(Arc::from).map_err(|_| D::Error::custom("not base64"))
    }
}
