//! The vectors in `spec/vectors`: each is opened, made again bit for bit, and refused where it must be.
//!
//! They live inside the crate because making one again needs a chosen salt and nonce, which nothing
//! outside can choose.

mod api_key;
mod envelope;
mod keyring;
mod mac;
mod names;
mod token;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};

use crate::{DataKeyId, Fault, LockedKey, MasterKey, data_key::DataKey, sealed::Draw};

/// Reads one of the files.
fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors").join(file);
    let text = std::fs::read_to_string(&path).expect("the vectors are part of the project");
    serde_json::from_str(&text).expect("the vectors have the expected form")
}

/// Bytes, written in hexadecimal.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.map(Hex).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

impl Hex {
    fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().expect("the vector has the right length")
    }

    fn locked(&self) -> LockedKey {
        LockedKey::take_from(&mut self.array())
    }

    fn master_key(&self) -> MasterKey {
        let mut bytes = self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
        MasterKey::from_hex(&mut bytes).expect("a valid master key")
    }
}

#[derive(Deserialize)]
struct DataKeyVector {
    environment: String,
    id: Hex,
    key: Hex,
    salt: Hex,
    nonce: Hex,
    name: String,
    record: Hex,
}

impl DataKeyVector {
    fn data_key(&self) -> DataKey {
        DataKey {
            id: DataKeyId::from_bytes(self.id.array()),
            environment: self.environment.as_str().into(),
            key: self.key.locked(),
        }
    }
}

fn draw(salt: &Hex, nonce: &Hex) -> Draw {
    Draw { salt: salt.array(), nonce: nonce.array() }
}

/// The word for a fault in the files.
fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Length => "length",
        Fault::Checksum => "checksum",
        Fault::Format => "format",
        Fault::Environment => "environment",
        Fault::Commitment => "commitment",
        Fault::Tag => "tag",
        Fault::Duplicate => "duplicate",
    }
}

/// Every way to change one bit, and every way to cut bytes off the end.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut copy = bytes.to_vec();
        copy[bit / 8] ^= 1 << (bit % 8);
        copy
    });
    flipped.chain((0..bytes.len()).map(|length| bytes[..length].to_vec()))
}
