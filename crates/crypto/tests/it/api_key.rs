use claviger_crypto::{ALL_ENVIRONMENTS, ApiKey, ApiKeyError, Keyring, MasterKey};
use proptest::prelude::*;

#[test]
fn generated_keys_parse() {
    for environment in ["default", "prod", "eu-west-1", ALL_ENVIRONMENTS] {
        for _ in 0..200 {
            let key = ApiKey::generate(environment);
            let text = key.reveal();
            let parsed = ApiKey::parse(&text).expect("a generated key is valid");
            assert_eq!(parsed.environment(), environment);
            assert_eq!(parsed.id(), key.id());
            assert_eq!(parsed.secret_part(), key.secret_part());
            assert_eq!(text.len(), 4 + environment.len() + 1 + 8 + 1 + 43 + 6);
        }
    }
}

#[test]
fn generated_keys_differ() {
    let (one, other) = (ApiKey::generate("default"), ApiKey::generate("default"));
    assert_ne!(one.id(), other.id());
    assert_ne!(one.secret_part(), other.secret_part());
}

/// Over 43,000 draws each of 62 digits is expected 693 times; bytes reduced modulo 62 would show eight
/// of them about 840 times.
#[test]
fn digits_of_the_secret_part_are_equally_likely() {
    let mut counts = [0_i32; 128];
    for _ in 0..1000 {
        for byte in ApiKey::generate("default").secret_part() {
            counts[usize::from(*byte)] += 1;
        }
    }
    let counts: Vec<i32> = counts.into_iter().filter(|count| *count > 0).collect();
    assert_eq!(counts.len(), 62);
    let squares: i32 = counts.iter().map(|count| (count - 693).pow(2)).sum();
    // Chi-square with 61 degrees of freedom: 61 is expected, more than 140 is rarer than one in ten
    // million, and the biased draw would come to more than 280.
    assert!(squares / 693 < 140, "{counts:?}");
}

#[test]
fn every_change_of_one_character_is_refused() {
    let key = ApiKey::generate("prod");
    let text = key.reveal();
    for at in 0..text.len() {
        for byte in 0..128_u8 {
            let mut changed = text.as_bytes().to_vec();
            if changed[at] == byte {
                continue;
            }
            changed[at] = byte;
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(ApiKey::parse(&changed).is_err(), "position {at}, byte {byte}");
        }
    }
}

#[test]
fn cut_and_lengthened_keys_are_refused() {
    let text = ApiKey::generate(ALL_ENVIRONMENTS).reveal();
    for length in 0..text.len() {
        assert!(ApiKey::parse(&text[..length]).is_err());
        assert!(ApiKey::parse(&text[text.len() - length..]).is_err());
    }
    assert_eq!(ApiKey::parse(&format!("{}A", *text)).err(), Some(ApiKeyError::Length { length: 50 }));
}

#[test]
#[should_panic(expected = "an environment that can exist")]
fn a_key_for_an_impossible_environment_is_a_bug() {
    let _ = ApiKey::generate("not_a_name");
}

#[test]
fn hashes_depend_on_id_secret_part_and_keyring_but_not_on_the_master_key() {
    let master = MasterKey::generate();
    let (keyring, _) = Keyring::create(&master);
    let (one, other) = (ApiKey::generate("default"), ApiKey::generate("default"));
    let hash = keyring.hash_api_key(one.id(), one.secret_part());
    assert_ne!(hash, keyring.hash_api_key(other.id(), one.secret_part()));
    assert_ne!(hash, keyring.hash_api_key(one.id(), other.secret_part()));
    assert_ne!(hash, Keyring::create(&master).0.hash_api_key(one.id(), one.secret_part()));
    let new_master = MasterKey::generate();
    let reopened = Keyring::open(&new_master, &keyring.rewrap(&new_master)).expect("the new key opens it");
    assert_eq!(hash, reopened.hash_api_key(one.id(), one.secret_part()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,120}", tail in "[a-z0-9_A-Zé]{0,80}") {
        for text in [text, format!("clv_{tail}"), format!("clv_default_abcdefgh_{tail}")] {
            prop_assert!(ApiKey::parse(&text).is_err());
        }
    }

    #[test]
    fn errors_do_not_show_the_text(canary in "[A-Z]{12,40}") {
        for text in [canary.clone(), format!("clv_{canary}"), format!("clv_default_{canary}_{canary}")] {
            let error = ApiKey::parse(&text).expect_err("not a key");
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(&canary));
        }
    }
}
