use serde::Deserialize;

use super::{DataKeyVector, Hex, damaged, draw, read, word};
use crate::{DataKeyId, Error, Fault, Keyring, MasterKey, MasterKeyError, Record};

#[derive(Deserialize)]
struct File {
    keyrings: Vec<KeyringVector>,
    wrong_master_key: Vec<WrongMasterKey>,
    corrupt_keyrings: Vec<CorruptKeyring>,
    data_keys: Vec<DataKeyVector>,
    corrupt_data_keys: Vec<CorruptDataKey>,
    duplicate_data_key: DataKeyVector,
    master_key_texts: Vec<String>,
    refused_master_key_texts: Vec<RefusedText>,
}

#[derive(Deserialize)]
struct KeyringVector {
    name: String,
    master_key: Hex,
    fingerprint: String,
    keyring_key: Hex,
    pepper: Hex,
    salt: Hex,
    nonce: Hex,
    record: Hex,
}

#[derive(Deserialize)]
struct WrongMasterKey {
    name: String,
    master_key: Hex,
    record: Hex,
    expected: String,
    given: String,
}

#[derive(Deserialize)]
struct CorruptKeyring {
    name: String,
    master_key: Hex,
    record: Hex,
    error: String,
}

#[derive(Deserialize)]
struct CorruptDataKey {
    name: String,
    environment: String,
    record: Hex,
    error: String,
}

#[derive(Deserialize)]
struct RefusedText {
    text: String,
    error: String,
}

impl File {
    fn keyring(&self) -> Keyring {
        let vector = &self.keyrings[0];
        Keyring::open(&vector.master_key.master_key(), &vector.record.0).expect("the keyring opens")
    }
}

#[test]
fn every_keyring_opens_and_holds_the_same_keys() {
    let file: File = read("keyring.json");
    for vector in &file.keyrings {
        let master = vector.master_key.master_key();
        assert_eq!(master.fingerprint().to_string(), vector.fingerprint, "{}", vector.name);
        let keyring = Keyring::open(&master, &vector.record.0).expect(&vector.name);
        assert_eq!(keyring.wrap(&master, &draw(&vector.salt, &vector.nonce)), vector.record.0, "{}", vector.name);
    }
}

#[test]
fn wrapping_again_makes_the_same_record() {
    let file: File = read("keyring.json");
    for vector in &file.keyrings {
        let keyring = Keyring::new(vector.keyring_key.locked(), vector.pepper.locked());
        let record = keyring.wrap(&vector.master_key.master_key(), &draw(&vector.salt, &vector.nonce));
        assert_eq!(record, vector.record.0, "{}", vector.name);
    }
}

#[test]
fn a_wrong_master_key_is_told_apart_from_damage() {
    let file: File = read("keyring.json");
    for vector in &file.wrong_master_key {
        match Keyring::open(&vector.master_key.master_key(), &vector.record.0) {
            Err(Error::WrongMasterKey { expected, given }) => {
                assert_eq!(expected.to_string(), vector.expected, "{}", vector.name);
                assert_eq!(given.to_string(), vector.given, "{}", vector.name);
            }
            outcome => panic!("{}: {outcome:?}", vector.name),
        }
    }
}

#[test]
fn corrupt_keyring_records_are_refused_by_the_right_check() {
    let file: File = read("keyring.json");
    for vector in &file.corrupt_keyrings {
        match Keyring::open(&vector.master_key.master_key(), &vector.record.0) {
            Err(Error::Corrupt { record: Record::Keyring, fault }) => {
                assert_eq!(word(fault), vector.error, "{}", vector.name);
            }
            outcome => panic!("{}: {outcome:?}", vector.name),
        }
    }
}

#[test]
fn damage_anywhere_in_a_keyring_record_is_corruption_and_no_wrong_key() {
    let file: File = read("keyring.json");
    let vector = &file.keyrings[0];
    let master = vector.master_key.master_key();
    for record in damaged(&vector.record.0) {
        let outcome = Keyring::open(&master, &record);
        assert!(matches!(outcome, Err(Error::Corrupt { record: Record::Keyring, .. })), "{outcome:?}");
    }
}

#[test]
fn every_data_key_loads_and_wraps_again_to_the_same_record() {
    let file: File = read("keyring.json");
    let (keyring, keyring_key) = (file.keyring(), file.keyrings[0].keyring_key.locked());
    for vector in &file.data_keys {
        let id = keyring.load_data_key(&vector.environment, &vector.record.0);
        assert_eq!(id, Ok(DataKeyId::from_bytes(vector.id.array())), "{}", vector.name);
        let record = vector.data_key().wrap(&keyring_key, &draw(&vector.salt, &vector.nonce));
        assert_eq!(record, vector.record.0, "{}", vector.name);
    }
}

#[test]
fn corrupt_data_key_records_are_refused_by_the_right_check() {
    let file: File = read("keyring.json");
    let keyring = file.keyring();
    for vector in &file.corrupt_data_keys {
        match keyring.load_data_key(&vector.environment, &vector.record.0) {
            Err(Error::Corrupt { record: Record::DataKey, fault }) => {
                assert_eq!(word(fault), vector.error, "{}", vector.name);
            }
            outcome => panic!("{}: {outcome:?}", vector.name),
        }
        assert!(!keyring.has_data_key(&vector.environment), "{}", vector.name);
    }
}

#[test]
fn damage_anywhere_in_a_data_key_record_is_noticed() {
    let file: File = read("keyring.json");
    let (keyring, vector) = (file.keyring(), &file.data_keys[0]);
    for record in damaged(&vector.record.0) {
        assert!(keyring.load_data_key(&vector.environment, &record).is_err());
    }
}

#[test]
fn a_second_key_with_the_id_of_a_loaded_one_is_refused() {
    let file: File = read("keyring.json");
    let (keyring, first, second) = (file.keyring(), &file.data_keys[0], &file.duplicate_data_key);
    keyring.load_data_key(&first.environment, &first.record.0).expect("the first loads");
    let outcome = keyring.load_data_key(&second.environment, &second.record.0);
    assert_eq!(outcome, Err(Error::Corrupt { record: Record::DataKey, fault: Fault::Duplicate }));
}

#[test]
fn master_keys_are_read_and_their_text_is_wiped() {
    let file: File = read("keyring.json");
    let expected = file.keyrings[0].fingerprint.as_str();
    for text in &file.master_key_texts {
        let mut bytes = text.clone().into_bytes();
        let master = MasterKey::from_hex(&mut bytes).expect("a valid master key");
        assert_eq!(master.fingerprint().to_string(), expected);
        assert_eq!(*master.to_hex(), text.trim_end().to_lowercase());
        assert!(bytes.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn other_texts_are_refused_without_being_shown_and_wiped_too() {
    let file: File = read("keyring.json");
    for vector in &file.refused_master_key_texts {
        let mut bytes = vector.text.clone().into_bytes();
        let error = match MasterKey::from_hex(&mut bytes) {
            Err(MasterKeyError::Length { digits }) => format!("length {digits}"),
            Err(MasterKeyError::BadDigit { position }) => format!("position {position}"),
            Ok(_) => panic!("{:?} was taken", vector.text),
        };
        assert_eq!(error, vector.error, "{:?}", vector.text);
        assert!(bytes.iter().all(|byte| *byte == 0));
    }
}
