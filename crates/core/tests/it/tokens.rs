use claviger_core::{subject_token, token_to_name};
use proptest::prelude::*;

/// Not cryptographic, but different for different short inputs: length, sums and the first bytes.
fn fake_hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0u8; 32];
    for (at, byte) in bytes.iter().enumerate() {
        let slot = &mut hash[at % 32];
        *slot = slot.wrapping_mul(31).wrapping_add(*byte).wrapping_add(1);
    }
    hash
}

fn token(name: &str) -> String {
    subject_token(name, fake_hash)
}

#[test]
fn examples() {
    for (name, expected) in [
        ("DB_PASSWORD", "DB_PASSWORD"),
        ("my key", "my=20key"),
        ("a.b*c>d%", "a=2Eb=2Ac=3Ed=25"),
        ("a=b", "a=3Db"),
        ("=h", "=3Dh"),
        ("é", "=C3=A9"),
    ] {
        assert_eq!(token(name), expected);
    }
}

#[test]
fn over_200_bytes_the_token_is_a_hash() {
    let fits = "a".repeat(200);
    assert_eq!(token(&fits), fits);
    let escaped = ".".repeat(67);
    for name in [&"a".repeat(201), &escaped] {
        let token = token(name);
        assert!(token.starts_with("=h") && token.len() == 66, "{token}");
        assert_eq!(token_to_name(&token), None);
    }
    assert_ne!(token(&"a".repeat(201)), token(&"a".repeat(202)));
}

#[test]
fn what_no_name_is_written_as_is_not_read() {
    for text in ["=", "=2", "=2e", "=41", "=5F", "=2D", "a.b", "a b", "é", "=FF", "=h00", "==20", "=C3", "=+1", "= 1"]
    {
        assert_eq!(token_to_name(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn a_token_is_one_plain_segment(name in any::<String>()) {
        let token = token(&name);
        prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=-".contains(&byte)));
        prop_assert!(token.len() <= 200);
    }

    #[test]
    fn a_token_is_read_back(name in ".{0,16}") {
        prop_assert_eq!(token_to_name(&token(&name)), Some(name));
    }

    #[test]
    fn only_written_tokens_are_read(text in "[a=2E5FC3A9h_.-]{0,12}") {
        if let Some(name) = token_to_name(&text) {
            prop_assert_eq!(token(&name), text);
        }
    }

    #[test]
    fn different_names_have_different_tokens(one in "[=2Ea.h]{0,6}", other in "[=2Ea.h]{0,6}") {
        prop_assert_eq!(one == other, token(&one) == token(&other));
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = token_to_name(&text);
    }
}
