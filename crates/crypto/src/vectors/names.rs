use serde::Deserialize;

use super::{Hex, damaged, draw, read, word};
use crate::{Error, Keyring, NameKey, Record};

#[derive(Deserialize)]
struct File {
    master_key: Hex,
    keyring: Hex,
    hashes: Vec<Hash>,
    records: Vec<SealedRecord>,
    refused_records: Vec<RefusedRecord>,
    hints: Vec<Hint>,
    refused_hints: Vec<RefusedHint>,
}

#[derive(Deserialize)]
struct Hash {
    context: String,
    text: String,
    hash: Hex,
}

#[derive(Deserialize)]
struct SealedRecord {
    name: String,
    stream: String,
    subject: String,
    salt: Hex,
    nonce: Hex,
    record: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
struct RefusedRecord {
    name: String,
    stream: String,
    subject: String,
    sealed: Hex,
    error: String,
}

#[derive(Deserialize)]
struct Hint {
    topic: String,
    hint: String,
    sealed: Hex,
}

#[derive(Deserialize)]
struct RefusedHint {
    name: String,
    topic: String,
    sealed: Hex,
    error: String,
}

impl File {
    fn key(&self) -> NameKey {
        Keyring::open(&self.master_key.master_key(), &self.keyring.0).expect("the keyring opens").name_key()
    }
}

fn fault<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    match outcome {
        Err(Error::Corrupt { record: Record::Names, fault }) => word(fault),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn hashes_are_as_written() {
    let file: File = read("names.json");
    let key = file.key();
    for vector in &file.hashes {
        assert_eq!(key.hash(&vector.context, &vector.text), vector.hash.array(), "{}: {}", vector.context, vector.text);
    }
}

#[test]
fn records_open_and_sealing_again_makes_the_same_bytes() {
    let file: File = read("names.json");
    let key = file.key();
    for vector in &file.records {
        let SealedRecord { name, stream, subject, .. } = vector;
        assert_eq!(*key.open(stream, subject, &vector.sealed.0).expect(name), vector.record.0, "{name}");
        let again = key.seal_drawn((stream, subject), &draw(&vector.salt, &vector.nonce), &vector.record.0);
        assert_eq!(again, Ok(vector.sealed.0.clone()), "{name}");
        assert_eq!(vector.sealed.0.len(), NameKey::OVERHEAD + vector.record.0.len(), "{name}");
    }
}

#[test]
fn what_is_no_record_of_this_place_is_refused_by_the_right_check() {
    let file: File = read("names.json");
    let key = file.key();
    for vector in &file.refused_records {
        let found = fault(key.open(&vector.stream, &vector.subject, &vector.sealed.0));
        assert_eq!(found, vector.error, "{}", vector.name);
    }
}

#[test]
fn no_record_opens_in_place_of_another() {
    let file: File = read("names.json");
    let key = file.key();
    for (at, place) in file.records.iter().enumerate() {
        for (other, vector) in file.records.iter().enumerate() {
            assert_eq!(
                key.open(&place.stream, &place.subject, &vector.sealed.0).is_ok(),
                at == other,
                "{}",
                vector.name
            );
        }
    }
}

#[test]
fn damage_anywhere_in_a_sealed_record_is_noticed() {
    let file: File = read("names.json");
    let (key, vector) = (file.key(), &file.records[0]);
    for sealed in damaged(&vector.sealed.0) {
        fault(key.open(&vector.stream, &vector.subject, &sealed));
    }
}

#[test]
fn hints_are_as_written_and_open() {
    let file: File = read("names.json");
    let key = file.key();
    for vector in &file.hints {
        assert_eq!(key.seal_hint(&vector.topic, &vector.hint), Ok(vector.sealed.0.clone()), "{}", vector.topic);
        assert_eq!(key.open_hint(&vector.topic, &vector.sealed.0), Ok(vector.hint.clone()), "{}", vector.topic);
    }
}

#[test]
fn what_is_no_hint_of_this_topic_is_refused_by_the_right_check() {
    let file: File = read("names.json");
    let key = file.key();
    for vector in &file.refused_hints {
        assert_eq!(fault(key.open_hint(&vector.topic, &vector.sealed.0)), vector.error, "{}", vector.name);
    }
    for sealed in damaged(&file.hints[0].sealed.0) {
        fault(key.open_hint(&file.hints[0].topic, &sealed));
    }
}
