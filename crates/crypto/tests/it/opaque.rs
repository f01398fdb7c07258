use claviger_crypto::{ApiKey, Keyring, LockedKey, MasterKey};

#[test]
fn debug_of_a_key_shows_nothing() {
    let master = MasterKey::generate();
    let (keyring, _) = Keyring::create(&master);
    assert_eq!(format!("{:?}", LockedKey::generate()), "LockedKey(…)");
    assert_eq!(format!("{:#?}", LockedKey::generate()), "LockedKey(…)");
    assert_eq!(format!("{master:?}"), "MasterKey(…)");
    assert_eq!(format!("{keyring:?}"), "Keyring(…)");
    assert_eq!(format!("{keyring:#?}"), "Keyring(…)");
    assert_eq!(format!("{:?}", ApiKey::generate("default")), "ApiKey(…)");
}

#[test]
fn debug_of_public_ids_shows_them_as_display_does() {
    let master = MasterKey::generate();
    let (id, _) = Keyring::create(&master).0.create_data_key("default");
    assert_eq!(format!("{id:?}"), format!("DataKeyId({id})"));
    assert_eq!(format!("{:?}", master.fingerprint()), format!("Fingerprint({})", master.fingerprint()));
}

#[test]
fn errors_about_a_master_key_do_not_show_it() {
    let digits = MasterKey::generate().to_hex();
    let mut text = format!("{}x", &digits[1..]).into_bytes();
    let error = MasterKey::from_hex(&mut text).expect_err("the last character is no digit");
    assert_eq!(error.to_string(), "a master key is 64 hexadecimal digits, position 64 has something else");
}

#[test]
fn keys_go_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<LockedKey>();
    check::<MasterKey>();
    check::<Keyring>();
    check::<ApiKey>();
}
