//! The opened keyring.
//!
//! ```text
//! record = format (1) ‖ fingerprint of the master key (4)
//!          ‖ body of keyring key (32) and pepper (32) under the master key ‖ SHA-256 of all before (32)
//! ```
//!
//! The checksum needs no key. It tells a damaged record from one that belongs to another master key,
//! and protects nothing: that is what the body's commitment and tag are for.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use claviger_core::SecretValue;
use zeroize::Zeroizing;

use crate::{
    Binding, DataKeyId, Error, Fault, Fingerprint, LockedKey, MasterKey, NameKey, Record,
    data_key::{DataKey, FORMAT, split},
    fields::Fields,
    primitives::{constant_time_eq, derive, mac, random_bytes, sha256},
    sealed::{Draw, OVERHEAD, Seal, WRAP_KEYRING},
};

const FINGERPRINT: usize = 4;
const KEYS: usize = 64;
const CHECKSUM: usize = 32;
const RECORD: usize = 1 + FINGERPRINT + OVERHEAD + KEYS + CHECKSUM;
const MAC_LABEL: &[u8] = b"claviger/v1/mac";

/// The keyring key, the pepper and the loaded data keys: everything that opens, seals and
/// authenticates. Shared between threads as it is.
pub struct Keyring {
    key: LockedKey,
    pepper: LockedKey,
    record_mac: hmac::Key,
    api_key_mac: hmac::Key,
    data_keys: RwLock<DataKeys>,
}

/// The loaded data keys, and which of them seals for each environment.
#[derive(Default)]
struct DataKeys {
    by_id: HashMap<DataKeyId, Arc<DataKey>>,
    active: HashMap<Box<str>, Arc<DataKey>>,
}

impl Keyring {
    /// Draws a new keyring. The bytes are the keyring record, to be stored.
    #[must_use]
    pub fn create(master: &MasterKey) -> (Keyring, Vec<u8>) {
        let keyring = Keyring::new(LockedKey::generate(), LockedKey::generate());
        let record = keyring.rewrap(master);
        (keyring, record)
    }

    /// Opens a keyring record. No data key is loaded yet.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when the record is sound but belongs to another master key,
    /// [`Error::Corrupt`] when it is not what was stored.
    pub fn open(master: &MasterKey, record: &[u8]) -> Result<Keyring, Error> {
        let corrupt = |fault| Error::Corrupt { record: Record::Keyring, fault };
        let (expected, body) = split_record(record).map_err(corrupt)?;
        let given = master.fingerprint();
        if given != expected {
            return Err(Error::WrongMasterKey { expected, given });
        }
        let mut keys = Seal { key: master.key(), purpose: &WRAP_KEYRING, associated_data: &wrap_data(given) }
            .open(body)
            .map_err(corrupt)?;
        let (key, pepper) = keys.split_first_chunk_mut::<32>().ok_or(corrupt(Fault::Length))?;
        let pepper = <&mut [u8; 32]>::try_from(pepper).map_err(|_| corrupt(Fault::Length))?;
        Ok(Keyring::new(LockedKey::take_from(key), LockedKey::take_from(pepper)))
    }

    /// A new keyring record for another master key, with the same keys in it.
    #[must_use]
    pub fn rewrap(&self, new_master: &MasterKey) -> Vec<u8> {
        self.wrap(new_master, &Draw::random())
    }

    /// Draws a new keyring key and keeps the pepper, so that API keys go on being accepted. The bytes are its keyring
    /// record. Nothing that the former keyring sealed, wrapped or authenticated opens with it, and no data key is loaded.
    #[must_use]
    pub fn renew(&self, new_master: &MasterKey) -> (Keyring, Vec<u8>) {
        let mut pepper = Zeroizing::new(*self.pepper.bytes());
        let keyring = Keyring::new(LockedKey::generate(), LockedKey::take_from(&mut pepper));
        let record = keyring.rewrap(new_master);
        (keyring, record)
    }

    /// Draws a data key for an environment. The bytes are its record, to be stored: the key seals
    /// nothing before the stored record was given to [`Keyring::load_data_key`].
    #[must_use]
    pub fn create_data_key(&self, environment: &str) -> (DataKeyId, Vec<u8>) {
        let id = DataKeyId::from_bytes(random_bytes());
        let data_key = DataKey { id, environment: environment.into(), key: LockedKey::generate() };
        (id, data_key.wrap(&self.key, &Draw::random()))
    }

    /// Opens a data key's record. The key becomes the one that seals for its environment, unless it
    /// was loaded before: then nothing changes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record is not what was stored for this environment by this keyring.
    pub fn load_data_key(&self, environment: &str, record: &[u8]) -> Result<DataKeyId, Error> {
        let corrupt = |fault| Error::Corrupt { record: Record::DataKey, fault };
        let loaded = DataKey::unwrap(&self.key, environment, record).map_err(corrupt)?;
        let id = loaded.id;
        let mut data_keys = self.write();
        if let Some(present) = data_keys.by_id.get(&id) {
            let same =
                present.environment == loaded.environment && constant_time_eq(present.key.bytes(), loaded.key.bytes());
            return if same { Ok(id) } else { Err(corrupt(Fault::Duplicate)) };
        }
        let loaded = Arc::new(loaded);
        data_keys.by_id.insert(id, Arc::clone(&loaded));
        data_keys.active.insert(environment.into(), loaded);
        Ok(id)
    }

    /// True when something can be sealed for the environment.
    #[must_use]
    pub fn has_data_key(&self, environment: &str) -> bool {
        self.read().active.contains_key(environment)
    }

    /// Seals a value with the active data key of the binding's environment.
    ///
    /// # Errors
    /// [`Error::NoDataKey`] when the environment has none loaded, [`Error::TooLong`] beyond 64 GiB.
    pub fn seal(&self, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        let environment = binding.environment();
        let data_key = self.read().active.get(environment).cloned();
        let data_key = data_key.ok_or_else(|| Error::NoDataKey { environment: environment.to_owned() })?;
        data_key.seal(binding, &Draw::random(), plaintext)
    }

    /// Opens an envelope that was sealed with the same binding.
    ///
    /// # Errors
    /// [`Error::UnknownDataKey`] when the data key it names is not loaded, [`Error::Corrupt`] when it
    /// is not what was sealed for this place.
    pub fn open_sealed(&self, binding: &Binding<'_>, envelope: &[u8]) -> Result<SecretValue, Error> {
        let corrupt = |fault| Error::Corrupt { record: Record::Envelope, fault };
        let (id, body) = split(envelope).map_err(corrupt)?;
        let data_key = self.read().by_id.get(&id).cloned().ok_or(Error::UnknownDataKey { id })?;
        data_key.open(binding, body).map_err(corrupt)
    }

    /// Authenticates bytes that are stored unsealed. The context says what they are and where they
    /// stand (stream and subject): HMAC-SHA-256 over the context, preceded by its length as 8
    /// big-endian bytes, and the bytes. The key is derived from the keyring key.
    #[must_use]
    pub fn mac(&self, context: &str, bytes: &[u8]) -> [u8; 32] {
        mac(&self.record_mac, context, bytes)
    }

    /// True when the code was made by [`Keyring::mac`] for the same context and bytes. In constant time.
    #[must_use]
    pub fn verify_mac(&self, context: &str, bytes: &[u8], mac: &[u8]) -> bool {
        constant_time_eq(&self.mac(context, bytes), mac)
    }

    /// What is stored of an API key: HMAC-SHA-256 of its id and secret part under the pepper, which
    /// stays the same when the master key or the keyring key changes. Compare in constant time.
    #[must_use]
    pub fn hash_api_key(&self, id: &str, secret_part: &[u8]) -> [u8; 32] {
        mac(&self.api_key_mac, id, secret_part)
    }

    /// The key that hides names in a store. Derived from the keyring key: it stays the same under another master key, and
    /// is another one for a renewed keyring.
    #[must_use]
    pub fn name_key(&self) -> NameKey {
        NameKey::derive(&self.key)
    }

    /// False when the system did not let the keyring key be kept out of swap (`RLIMIT_MEMLOCK`).
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.key.is_locked() && self.pepper.is_locked()
    }

    pub(crate) fn new(key: LockedKey, pepper: LockedKey) -> Keyring {
        let record_mac = hmac::Key::new(HMAC_SHA256, derive::<32>(&key, &[], MAC_LABEL).as_slice());
        let api_key_mac = hmac::Key::new(HMAC_SHA256, pepper.bytes());
        Keyring { key, pepper, record_mac, api_key_mac, data_keys: RwLock::default() }
    }

    pub(crate) fn wrap(&self, master: &MasterKey, draw: &Draw) -> Vec<u8> {
        let fingerprint = master.fingerprint();
        let mut keys = Zeroizing::new([0; KEYS]);
        keys[..32].copy_from_slice(self.key.bytes());
        keys[32..].copy_from_slice(self.pepper.bytes());
        let mut record = Vec::with_capacity(RECORD);
        record.push(FORMAT);
        record.extend_from_slice(&fingerprint.0);
        Seal { key: master.key(), purpose: &WRAP_KEYRING, associated_data: &wrap_data(fingerprint) }
            .seal(draw, keys.as_slice(), &mut record)
            .expect("two keys are short");
        let checksum = sha256(&record);
        record.extend_from_slice(&checksum);
        record
    }

    /// A panic elsewhere cannot leave the maps half changed in a way that matters: each insertion
    /// stands for itself.
    fn read(&self) -> RwLockReadGuard<'_, DataKeys> {
        self.data_keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, DataKeys> {
        self.data_keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}

fn split_record(record: &[u8]) -> Result<(Fingerprint, &[u8]), Fault> {
    if record.len() != RECORD {
        return Err(Fault::Length);
    }
    let (content, checksum) = record.split_last_chunk::<CHECKSUM>().ok_or(Fault::Length)?;
    if sha256(content) != *checksum {
        return Err(Fault::Checksum);
    }
    let (header, body) = content.split_first_chunk::<{ 1 + FINGERPRINT }>().ok_or(Fault::Length)?;
    let [FORMAT, fingerprint @ ..] = *header else {
        return Err(Fault::Format);
    };
    Ok((Fingerprint(fingerprint), body))
}

fn wrap_data(master: Fingerprint) -> Vec<u8> {
    Fields::new(FORMAT, "keyring").bytes(&master.0).finish()
}
