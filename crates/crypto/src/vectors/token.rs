use std::collections::HashSet;

use claviger_core::{subject_token, token_to_name};
use serde::Deserialize;

use super::read;
use crate::sha256;

#[derive(Deserialize)]
struct File {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Token {
    name: String,
    token: String,
}

#[test]
fn tokens_are_as_written() {
    let file: File = read("token.json");
    for vector in &file.tokens {
        assert_eq!(subject_token(&vector.name, sha256), vector.token, "{}", vector.name);
        let hashed = vector.token.starts_with("=h");
        assert_eq!(token_to_name(&vector.token), (!hashed).then(|| vector.name.clone()), "{}", vector.name);
    }
}

#[test]
fn different_names_have_different_tokens() {
    let file: File = read("token.json");
    let tokens: HashSet<&str> = file.tokens.iter().map(|vector| vector.token.as_str()).collect();
    assert_eq!(tokens.len(), file.tokens.len());
}
