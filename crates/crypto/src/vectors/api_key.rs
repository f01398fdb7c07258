use serde::Deserialize;

use super::{Hex, read};
use crate::{ApiKey, ApiKeyError, Keyring};

#[derive(Deserialize)]
struct File {
    master_key: Hex,
    keyring: Hex,
    opens: Vec<Opens>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Opens {
    key: String,
    environment: String,
    id: String,
    secret_part: String,
    hash: Hex,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    key: String,
    error: String,
}

#[test]
fn keys_have_the_parts_and_the_hash_that_are_written() {
    let file: File = read("api_key.json");
    let keyring = Keyring::open(&file.master_key.master_key(), &file.keyring.0).expect("the keyring opens");
    for vector in &file.opens {
        let key = ApiKey::parse(&vector.key).expect("a valid key");
        assert_eq!(key.environment(), vector.environment);
        assert_eq!(key.id(), vector.id);
        assert_eq!(key.secret_part(), vector.secret_part.as_bytes());
        assert_eq!(*key.reveal(), vector.key);
        assert_eq!(keyring.hash_api_key(key.id(), key.secret_part()), vector.hash.array());
    }
}

#[test]
fn other_texts_are_refused_for_the_right_reason() {
    let file: File = read("api_key.json");
    for vector in &file.refused {
        let error = match ApiKey::parse(&vector.key).expect_err(&vector.name) {
            ApiKeyError::Prefix => "prefix".to_owned(),
            ApiKeyError::Parts => "parts".to_owned(),
            ApiKeyError::Length { length } => format!("length {length}"),
            ApiKeyError::Digit => "digit".to_owned(),
            ApiKeyError::Id => "id".to_owned(),
            ApiKeyError::Environment => "environment".to_owned(),
            ApiKeyError::Checksum => "checksum".to_owned(),
        };
        assert_eq!(error, vector.error, "{}", vector.name);
    }
}
