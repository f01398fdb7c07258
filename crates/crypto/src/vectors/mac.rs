use serde::Deserialize;

use super::{Hex, read};
use crate::{Keyring, derive_id};

#[derive(Deserialize)]
struct File {
    master_key: Hex,
    keyring: Hex,
    verify: Vec<Verifies>,
    refused: Vec<Refused>,
    derived_ids: Vec<DerivedId>,
}

#[derive(Deserialize)]
struct Verifies {
    context: String,
    bytes: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    context: String,
    bytes: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
struct DerivedId {
    parts: Vec<Hex>,
    id: Hex,
}

impl File {
    fn keyring(&self) -> Keyring {
        Keyring::open(&self.master_key.master_key(), &self.keyring.0).expect("the keyring opens")
    }
}

#[test]
fn codes_are_as_written_and_verify() {
    let file: File = read("mac.json");
    let keyring = file.keyring();
    for vector in &file.verify {
        assert_eq!(keyring.mac(&vector.context, &vector.bytes.0), vector.mac.array(), "{}", vector.context);
        assert!(keyring.verify_mac(&vector.context, &vector.bytes.0, &vector.mac.0), "{}", vector.context);
    }
}

#[test]
fn other_codes_do_not_verify() {
    let file: File = read("mac.json");
    let keyring = file.keyring();
    for vector in &file.refused {
        assert!(!keyring.verify_mac(&vector.context, &vector.bytes.0, &vector.mac.0), "{}", vector.name);
    }
}

#[test]
fn derived_ids_are_as_written() {
    let file: File = read("mac.json");
    for vector in &file.derived_ids {
        let parts: Vec<&[u8]> = vector.parts.iter().map(|part| part.0.as_slice()).collect();
        assert_eq!(derive_id(&parts), vector.id.array());
    }
}
