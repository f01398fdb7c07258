//! Stored forms: what the bytes of a record mean.
//!
//! A record is a format byte, a 32-byte HMAC over stream, subject and body, and the body: JSON, whose sealed parts are
//! envelopes in base64. Nothing outside this module knows the stored forms.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod event;
pub(crate) mod function;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod summary;

use claviger_crypto::Keyring;
use claviger_store::{Record, Stream, Subject};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

const FORMAT: u8 = 1;
const MAC_BYTES: usize = 32;

/// Encodes and signs a body for its place.
pub(crate) fn sign<T: Serialize>(keyring: &Keyring, stream: Stream, subject: &Subject, body: &T) -> Vec<u8> {
    let mut bytes = vec![0; 1 + MAC_BYTES];
    bytes[0] = FORMAT;
    // Stored types are plain structs with string keys: encoding them cannot fail.
    serde_json::to_writer(&mut bytes, body).expect("a stored type encodes as JSON");
    let mac = keyring.mac(&context(stream, subject), &bytes[1 + MAC_BYTES..]);
    bytes[1..=MAC_BYTES].copy_from_slice(&mac);
    bytes
}

/// Verifies and decodes a record.
pub(crate) fn verify<T: DeserializeOwned>(keyring: &Keyring, stream: Stream, stored: &Record) -> Result<T, Error> {
    let corrupt = |what| Error::Corrupt { stream: stream.name(), revision: stored.revision, what };
    let (head, body) = stored.bytes.split_at_checked(1 + MAC_BYTES).ok_or(corrupt("it is too short"))?;
    if head[0] != FORMAT {
        return Err(corrupt("its format is unknown"));
    }
    if !keyring.verify_mac(&context(stream, &stored.subject), body, &head[1..]) {
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
