use std::sync::LazyLock;

use claviger_crypto::{Keyring, MasterKey, NameKey};
use proptest::prelude::*;

static KEY: LazyLock<NameKey> = LazyLock::new(|| Keyring::create(&MasterKey::generate()).0.name_key());

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,3}", "[a\\x00é]{0,9}", "\\PC{0,40}"]
}

proptest! {
    #[test]
    fn what_is_sealed_opens_at_its_place_alone(
        place in (text(), text()), other in (text(), text()), record in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let sealed = KEY.seal(&place.0, &place.1, &record).expect("seals");
        prop_assert_eq!(sealed.len(), NameKey::OVERHEAD + record.len());
        prop_assert_eq!(&*KEY.open(&place.0, &place.1, &sealed).expect("opens"), &record);
        prop_assert_eq!(KEY.open(&other.0, &other.1, &sealed).is_ok(), place == other);
    }

    #[test]
    fn a_hint_is_sealed_alike_each_time_and_opens_at_its_topic_alone(
        one in (text(), text()), other in (text(), text()),
    ) {
        let sealed = KEY.seal_hint(&one.0, &one.1).expect("seals");
        prop_assert_eq!(KEY.open_hint(&one.0, &sealed), Ok(one.1.clone()));
        prop_assert_eq!(KEY.open_hint(&other.0, &sealed).is_ok(), one.0 == other.0);
        let second = KEY.seal_hint(&other.0, &other.1).expect("seals");
        prop_assert_eq!(second == sealed, one == other);
    }

    #[test]
    fn hashes_are_equal_for_equal_texts_in_equal_contexts_alone(one in (text(), text()), other in (text(), text())) {
        prop_assert_eq!(KEY.hash(&one.0, &one.1) == KEY.hash(&other.0, &other.1), one == other);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KEY.open("stream", "subject", &bytes).is_err());
        prop_assert!(KEY.open_hint("topic", &bytes).is_err());
    }
}

#[test]
fn the_key_stays_under_another_master_key_and_not_in_a_renewed_keyring() {
    let (master, new_master) = (MasterKey::generate(), MasterKey::generate());
    let (keyring, _) = Keyring::create(&master);
    let sealed = keyring.name_key().seal("stream", "subject", b"record").expect("seals");
    let hash = keyring.name_key().hash("context", "text");

    let rewrapped = Keyring::open(&new_master, &keyring.rewrap(&new_master)).expect("opens").name_key();
    assert_eq!(*rewrapped.open("stream", "subject", &sealed).expect("opens"), b"record");
    assert_eq!(rewrapped.hash("context", "text"), hash);

    let renewed = keyring.renew(&new_master).0.name_key();
    assert!(renewed.open("stream", "subject", &sealed).is_err());
    assert_ne!(renewed.hash("context", "text"), hash);
}

#[test]
fn a_record_is_never_sealed_to_the_same_bytes_twice() {
    let [one, other] = [(); 2].map(|()| KEY.seal("stream", "subject", b"record").expect("seals"));
    assert_ne!(one[1..33], other[1..33]);
    assert_ne!(one[77..], other[77..]);
}

#[test]
fn debug_output_shows_nothing() {
    assert_eq!(format!("{:?}", *KEY), "NameKey(…)");
}
