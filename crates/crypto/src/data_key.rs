//! Data keys: what seals the values of one environment.
//!
//! ```text
//! record   = format (1) ‖ data key id (8) ‖ body of the 32-byte key under the keyring key
//! envelope = format (1) ‖ data key id (8) ‖ body of the value under the data key
//! ```

use std::fmt;

use claviger_core::SecretValue;

use crate::{
    Binding, Error, Fault, LockedKey,
    fields::Fields,
    sealed::{Draw, OVERHEAD, SEAL, Seal, WRAP_DATA_KEY},
};

pub(crate) const FORMAT: u8 = 1;
const HEADER: usize = 1 + 8;

/// Names a data key: 8 random bytes, shown as 16 hexadecimal digits. Public.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataKeyId([u8; 8]);

impl DataKeyId {
    /// The id that these bytes are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> DataKeyId {
        DataKeyId(bytes)
    }

    /// The bytes, as they stand in an envelope.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKeyId({self})")
    }
}

/// An opened data key.
pub(crate) struct DataKey {
    pub(crate) id: DataKeyId,
    pub(crate) environment: Box<str>,
    pub(crate) key: LockedKey,
}

impl DataKey {
    /// The record to store.
    pub(crate) fn wrap(&self, keyring_key: &LockedKey, draw: &Draw) -> Vec<u8> {
        let mut record = header(self.id, self.key.bytes().len());
        let associated_data = wrap_data(self.id, &self.environment);
        Seal { key: keyring_key, purpose: &WRAP_DATA_KEY, associated_data: &associated_data }
            .seal(draw, self.key.bytes(), &mut record)
            .expect("a key is short");
        record
    }

    /// Opens a record made by [`DataKey::wrap`] for the same environment.
    pub(crate) fn unwrap(keyring_key: &LockedKey, environment: &str, record: &[u8]) -> Result<DataKey, Fault> {
        let (id, body) = split(record)?;
        let associated_data = wrap_data(id, environment);
        let mut plaintext =
            Seal { key: keyring_key, purpose: &WRAP_DATA_KEY, associated_data: &associated_data }.open(body)?;
        let key = <&mut [u8; 32]>::try_from(plaintext.as_mut_slice()).map_err(|_| Fault::Length)?;
        Ok(DataKey { id, environment: environment.into(), key: LockedKey::take_from(key) })
    }

    pub(crate) fn seal(&self, binding: &Binding<'_>, draw: &Draw, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut envelope = header(self.id, plaintext.len());
        let associated_data = binding.associated_data(FORMAT, self.id);
        Seal { key: &self.key, purpose: &SEAL, associated_data: &associated_data }
            .seal(draw, plaintext, &mut envelope)
            .map_err(|_| Error::TooLong { bytes: plaintext.len() })?;
        Ok(envelope)
    }

    /// Opens the body that [`split`] found in an envelope that names this data key.
    pub(crate) fn open(&self, binding: &Binding<'_>, body: &[u8]) -> Result<SecretValue, Fault> {
        if *self.environment != *binding.environment() {
            return Err(Fault::Environment);
        }
        let associated_data = binding.associated_data(FORMAT, self.id);
        let mut plaintext = Seal { key: &self.key, purpose: &SEAL, associated_data: &associated_data }.open(body)?;
        Ok(SecretValue::new(std::mem::take(&mut *plaintext)))
    }
}

/// The start of a record or envelope, with room for the rest.
fn header(id: DataKeyId, plaintext: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + OVERHEAD + plaintext);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&id.0);
    bytes
}

/// Takes a record or an envelope apart: the data key's id and the body.
pub(crate) fn split(bytes: &[u8]) -> Result<(DataKeyId, &[u8]), Fault> {
    if bytes.len() < HEADER + OVERHEAD {
        return Err(Fault::Length);
    }
    let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or(Fault::Length)?;
    let [FORMAT, id @ ..] = *header else {
        return Err(Fault::Format);
    };
    Ok((DataKeyId(id), body))
}

fn wrap_data(id: DataKeyId, environment: &str) -> Vec<u8> {
    Fields::new(FORMAT, "data-key").bytes(&id.0).text(environment).finish()
}
