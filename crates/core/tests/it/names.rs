use claviger_core::{EnvironmentName, FunctionId, NameError, SecretName, SpaceName};
use proptest::prelude::*;
use unicode_normalization::{UnicodeNormalization, is_nfc};

fn secret(text: &str) -> Result<SecretName, NameError> {
    text.parse()
}

#[test]
fn secret_names_that_are_accepted() {
    let longest = "é".repeat(1_024);
    for text in
        ["A", "root", "default", "system", "_", "*", ">", "my key", "a/b", "...", "%2e", "=", "日本", "«x»", &longest]
    {
        assert_eq!(secret(text).as_ref().map(SecretName::as_str), Ok(text));
    }
}

#[test]
fn secret_names_that_are_refused() {
    let what = "a secret name";
    let bad = |position, code| NameError::BadCharacter { what, position, code };
    let too_long = "é".repeat(1_025);
    for (text, expected) in [
        ("", NameError::Empty { what }),
        (".", NameError::Reserved { what, word: "." }),
        ("..", NameError::Reserved { what, word: ".." }),
        (" a", NameError::OuterSpace { what }),
        ("a\u{a0}", NameError::OuterSpace { what }),
        ("a\n", NameError::OuterSpace { what }),
        ("a\0b", bad(2, 0)),
        ("éb\u{7f}c", bad(3, 0x7f)),
        ("a\u{85}b", bad(2, 0x85)),
        ("\u{202e}a", bad(1, 0x202e)),
        ("a\u{2066}", bad(2, 0x2066)),
        ("a\u{200f}b", bad(2, 0x200f)),
        ("a\u{61c}b", bad(2, 0x61c)),
        ("e\u{301}", NameError::NotNormalized { what }),
        ("\u{212b}", NameError::NotNormalized { what }),
        (&too_long, NameError::TooLong { what, length: 1_025, limit: 1_024 }),
    ] {
        assert_eq!(secret(text), Err(expected), "{text:?}");
    }
}

#[test]
fn errors_do_not_echo_the_name() {
    for text in ["hunter22\0", "hunter22\u{202e}", " hunter22", "hunter22e\u{301}"] {
        let error = secret(text).expect_err("refused");
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}

#[test]
fn environments_spaces_and_functions() {
    let environment = |text: &str| text.parse::<EnvironmentName>();
    let longest = format!("a{}", "b".repeat(38));
    for text in ["default", "prod-eu-1", "a", "a-", &longest] {
        assert!(environment(text).is_ok(), "{text}");
    }
    let too_long = format!("{longest}c");
    for text in ["", "all", "Prod", "1a", "-a", "a_b", "a.b", "é", "a b", "..", "%2e", &too_long] {
        assert!(environment(text).is_err(), "{text}");
    }
    assert!("é".repeat(200).parse::<SpaceName>().is_ok());
    assert!("é".repeat(201).parse::<SpaceName>().is_err());
    let function = |text: &str| text.parse::<FunctionId>();
    for text in ["send", "Send.mail_v2-b", "9"] {
        assert!(function(text).is_ok(), "{text}");
    }
    for text in ["", ".a", "-a", "_a", "a b", "a/b", "é", &"a".repeat(129)] {
        assert!(function(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_secret_name_keeps_the_published_rule(text in prop_oneof![".{0,40}", "[a\u{301}\u{200e}\u{a0} .\0é]{0,6}", any::<String>()]) {
        let inner = text.trim() == text;
        let clean = !text.chars().any(|c| c.is_control() || "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c));
        let length = (1..=1_024).contains(&text.chars().count());
        let expected = inner && clean && length && is_nfc(&text) && text != "." && text != "..";
        prop_assert_eq!(secret(&text).is_ok(), expected);
    }

    #[test]
    fn an_accepted_name_is_unchanged_normalized_and_read_back(text in any::<String>()) {
        let normalized: String = text.nfc().collect();
        if let Ok(name) = secret(&normalized) {
            prop_assert_eq!(name.as_str(), &normalized);
            prop_assert_eq!(name.as_str().nfc().collect::<String>(), name.as_str());
            prop_assert_eq!(secret(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn an_environment_name_keeps_the_published_rule(text in prop_oneof!["[a-c0-1-]{0,42}", "[a-zA-Z0-9_. é-]{0,5}", "a?l?l?"]) {
        let bytes = text.as_bytes();
        let expected = bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && bytes.len() <= 39
            && text != "all";
        let name = text.parse::<EnvironmentName>();
        prop_assert_eq!(name.is_ok(), expected);
        prop_assert!(name.is_err() || name.is_ok_and(|name| name.to_string() == text));
    }
}
