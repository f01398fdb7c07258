use std::sync::Arc;

use claviger_core::ErrorKind;
use claviger_crypto::{Binding, Error, Fault, Keyring, MasterKey, Record};

const EVENT: Binding<'_> = Binding::Event { environment: "default", event_id: "one" };

fn keyring() -> Keyring {
    Keyring::create(&MasterKey::generate()).0
}

#[test]
fn what_was_sealed_opens_after_a_restart_and_under_a_new_master_key() {
    let (master, new_master) = (MasterKey::generate(), MasterKey::generate());
    let (keyring, record) = Keyring::create(&master);
    let (_, data_key) = keyring.create_data_key("default");
    keyring.load_data_key("default", &data_key).expect("its own data key");
    let envelope = keyring.seal(&EVENT, b"value").expect("there is a data key");
    let code = keyring.mac("context", b"bytes");
    let rewrapped = keyring.rewrap(&new_master);
    for (master, record) in [(&master, &record), (&new_master, &rewrapped)] {
        let reopened = Keyring::open(master, record).expect("the right master key");
        reopened.load_data_key("default", &data_key).expect("its own data key");
        assert_eq!(reopened.open_sealed(&EVENT, &envelope).expect("opens").expose(), b"value");
        assert!(reopened.verify_mac("context", b"bytes", &code));
    }
    let expected = new_master.fingerprint();
    let given = master.fingerprint();
    let error = Keyring::open(&master, &rewrapped).expect_err("the old master key");
    assert_eq!(error, Error::WrongMasterKey { expected, given });
    assert_eq!(error.kind(), ErrorKind::NoKey);
    let text = error.to_string();
    assert!(text.contains(&expected.to_string()) && text.contains(&given.to_string()), "{text}");
    assert_eq!(expected.to_string().len(), 8);
}

#[test]
fn a_renewed_keyring_keeps_the_pepper_and_nothing_else() {
    let (master, new_master) = (MasterKey::generate(), MasterKey::generate());
    let (former, former_record) = Keyring::create(&master);
    let (_, data_key) = former.create_data_key("default");
    former.load_data_key("default", &data_key).expect("its own data key");
    let envelope = former.seal(&EVENT, b"value").expect("there is a data key");
    let code = former.mac("context", b"bytes");

    let (renewed, record) = former.renew(&new_master);
    let reopened = Keyring::open(&new_master, &record).expect("the new master key");
    for keyring in [&renewed, &reopened] {
        assert_eq!(keyring.hash_api_key("id", b"secret part"), former.hash_api_key("id", b"secret part"));
        assert!(!keyring.has_data_key("default"));
        assert!(!keyring.verify_mac("context", b"bytes", &code));
        let refused = Err(Error::Corrupt { record: Record::DataKey, fault: Fault::Commitment });
        assert_eq!(keyring.load_data_key("default", &data_key), refused);
        assert!(matches!(keyring.open_sealed(&EVENT, &envelope), Err(Error::UnknownDataKey { .. })));
    }
    assert_eq!(renewed.mac("context", b"bytes"), reopened.mac("context", b"bytes"));

    let (_, new_data_key) = renewed.create_data_key("default");
    reopened.load_data_key("default", &new_data_key).expect("a data key of the renewed keyring");
    let envelope = reopened.seal(&EVENT, b"value").expect("there is a data key");
    let unknown = former.load_data_key("default", &new_data_key);
    assert_eq!(unknown, Err(Error::Corrupt { record: Record::DataKey, fault: Fault::Commitment }));
    assert!(former.open_sealed(&EVENT, &envelope).is_err());
    let error = Keyring::open(&master, &record).expect_err("the former master key");
    assert_eq!(error, Error::WrongMasterKey { expected: new_master.fingerprint(), given: master.fingerprint() });
    assert!(Keyring::open(&new_master, &former_record).is_err());
}

#[test]
fn a_data_key_seals_only_once_its_record_is_loaded() {
    let keyring = keyring();
    let (id, record) = keyring.create_data_key("default");
    assert!(!keyring.has_data_key("default"));
    let error = keyring.seal(&EVENT, b"value").expect_err("no data key yet");
    assert_eq!(error, Error::NoDataKey { environment: "default".into() });
    assert_eq!(keyring.load_data_key("default", &record), Ok(id));
    assert!(keyring.has_data_key("default") && !keyring.has_data_key("prod"));
    assert!(keyring.seal(&EVENT, b"value").is_ok());
}

#[test]
fn the_newest_loaded_data_key_seals_and_older_ones_still_open() {
    let keyring = keyring();
    let (first, first_record) = keyring.create_data_key("default");
    let (second, second_record) = keyring.create_data_key("default");
    keyring.load_data_key("default", &first_record).expect("loads");
    let old = keyring.seal(&EVENT, b"old").expect("seals");
    keyring.load_data_key("default", &second_record).expect("loads");
    assert_eq!(keyring.load_data_key("default", &first_record), Ok(first));
    let new = keyring.seal(&EVENT, b"new").expect("seals");
    assert_eq!(old[1..9], first.to_bytes());
    assert_eq!(new[1..9], second.to_bytes());
    assert_eq!(keyring.open_sealed(&EVENT, &old).expect("opens").expose(), b"old");
    assert_eq!(keyring.open_sealed(&EVENT, &new).expect("opens").expose(), b"new");
}

#[test]
fn a_data_key_record_belongs_to_its_environment_and_keyring() {
    let keyring = keyring();
    let (_, record) = keyring.create_data_key("default");
    let refused = |fault| Err(Error::Corrupt { record: Record::DataKey, fault });
    assert_eq!(keyring.load_data_key("prod", &record), refused(Fault::Tag));
    assert_eq!(self::keyring().load_data_key("default", &record), refused(Fault::Commitment));
    keyring.load_data_key("default", &record).expect("loads");
    assert_eq!(keyring.load_data_key("prod", &record), refused(Fault::Tag));
}

#[test]
fn an_envelope_whose_data_key_is_not_loaded_names_it() {
    let master = MasterKey::generate();
    let (keyring, record) = Keyring::create(&master);
    let (id, data_key) = keyring.create_data_key("default");
    keyring.load_data_key("default", &data_key).expect("loads");
    let envelope = keyring.seal(&EVENT, b"value").expect("seals");
    let reopened = Keyring::open(&master, &record).expect("opens");
    let error = reopened.open_sealed(&EVENT, &envelope).expect_err("not loaded");
    assert_eq!(error, Error::UnknownDataKey { id });
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn threads_share_a_keyring() {
    let keyring = Arc::new(keyring());
    let (_, record) = keyring.create_data_key("default");
    keyring.load_data_key("default", &record).expect("loads");
    let threads: Vec<_> = (0..4_u8)
        .map(|thread| {
            let keyring = Arc::clone(&keyring);
            std::thread::spawn(move || {
                for turn in 0..50 {
                    let (_, record) = keyring.create_data_key("default");
                    keyring.load_data_key("default", &record).expect("loads");
                    let envelope = keyring.seal(&EVENT, &[thread, turn]).expect("seals");
                    assert_eq!(keyring.open_sealed(&EVENT, &envelope).expect("opens").expose(), [thread, turn]);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}
