use std::sync::LazyLock;

use claviger_crypto::{Binding, Keyring, MasterKey, View};
use proptest::prelude::*;

/// One keyring with two environments for all cases.
static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let (keyring, _) = Keyring::create(&MasterKey::generate());
    for environment in ["default", "prod"] {
        let (_, record) = keyring.create_data_key(environment);
        keyring.load_data_key(environment, &record).expect("its own record");
    }
    keyring
});

/// The parts of any binding; few different texts, so that near misses are common.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    kind: u8,
    environment: &'static str,
    texts: [String; 2],
    space: Option<String>,
    number: u8,
    metadata: Vec<u8>,
    view: View,
}

impl Place {
    fn binding(&self) -> Binding<'_> {
        let Place { environment, view, .. } = *self;
        let [first, second] = self.texts.each_ref().map(String::as_str);
        match self.kind {
            0 => Binding::Secret {
                environment,
                space: self.space.as_deref(),
                name: first,
                version: self.number.into(),
                metadata: &self.metadata,
            },
            1 => Binding::Event { environment, event_id: first },
            2 => Binding::RunInput { environment, run: first },
            3 => Binding::StepResult { environment, run: first, step: second, view },
            4 => Binding::RunOutput { environment, run: first, view },
            5 => Binding::StepCondition { environment, run: first, step: second },
            _ => Binding::RunError { environment, run: first, attempt: self.number.into(), view },
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,3}", "[a\\x00é]{0,9}", Just("default".to_owned()), "\\PC{0,40}"]
}

fn place() -> impl Strategy<Value = Place> {
    let environment = prop_oneof![Just("default"), Just("prod")];
    let view = prop_oneof![Just(View::True), Just(View::Redacted)];
    let metadata = proptest::collection::vec(any::<u8>(), 0..4);
    (0..7_u8, environment, [text(), text()], proptest::option::of(text()), 0..3_u8, metadata, view).prop_map(
        |(kind, environment, texts, space, number, metadata, view)| Place {
            kind,
            environment,
            texts,
            space,
            number,
            metadata,
            view,
        },
    )
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        (0..65_537_usize, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

proptest! {
    #[test]
    fn what_is_sealed_opens(place in place(), value in value()) {
        let envelope = KEYRING.seal(&place.binding(), &value).expect("both environments have a data key");
        prop_assert_eq!(envelope.len(), 101 + value.len());
        let opened = KEYRING.open_sealed(&place.binding(), &envelope).expect("the same binding");
        prop_assert_eq!(opened.expose(), value);
    }

    #[test]
    fn another_binding_does_not_open(sealed in place(), other in place(), value in value()) {
        prop_assume!(sealed.binding() != other.binding());
        let envelope = KEYRING.seal(&sealed.binding(), &value).expect("seals");
        prop_assert!(KEYRING.open_sealed(&other.binding(), &envelope).is_err());
    }

    #[test]
    fn a_changed_byte_does_not_open(
        place in place(), value in value(), at in any::<proptest::sample::Index>(), change in 1..=255_u8,
    ) {
        let mut envelope = KEYRING.seal(&place.binding(), &value).expect("seals");
        let at = at.index(envelope.len());
        envelope[at] ^= change;
        prop_assert!(KEYRING.open_sealed(&place.binding(), &envelope).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(place in place(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KEYRING.open_sealed(&place.binding(), &bytes).is_err());
        prop_assert!(KEYRING.load_data_key("default", &bytes).is_err());
        prop_assert!(Keyring::open(&MasterKey::generate(), &bytes).is_err());
    }

    #[test]
    fn codes_verify_for_their_context_and_bytes_alone(
        left in ("[ab]{0,4}", proptest::collection::vec(97..99_u8, 0..4)),
        right in ("[ab]{0,4}", proptest::collection::vec(97..99_u8, 0..4)),
    ) {
        let code = KEYRING.mac(&left.0, &left.1);
        prop_assert_eq!(KEYRING.verify_mac(&right.0, &right.1, &code), left == right);
    }
}

#[test]
fn the_same_value_is_never_sealed_to_the_same_bytes() {
    let binding = Binding::Event { environment: "default", event_id: "one" };
    let one = KEYRING.seal(&binding, b"value").expect("seals");
    let other = KEYRING.seal(&binding, b"value").expect("seals");
    for field in [9..41, 41..53, 53..85, 85..101] {
        assert_ne!(one[field.clone()], other[field]);
    }
}

#[test]
fn no_stored_byte_string_holds_the_value() {
    let value = b"canary-4f9d2c77-canary";
    let binding = Binding::Event { environment: "default", event_id: "one" };
    let envelope = KEYRING.seal(&binding, value).expect("seals");
    assert!(!envelope.windows(6).any(|window| value.windows(6).any(|part| part == window)));
}
