use std::borrow::Cow;

use claviger_core::{MIN_MASKABLE_BYTES, Mask, Redactor, RedactorBuilder, SecretName, SecretValue, contains_mask};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::support::{mask, naive, occurs, redactor};

#[test]
fn masks_name_the_secret_and_its_version() {
    let name: SecretName = "STRIPE_KEY".parse().expect("valid");
    assert_eq!(Mask::new(&name, 7).as_str(), "«STRIPE_KEY@7»");
    for (name, expected) in [
        ("my key/π", "«my key/π@1»"),
        (r#"a"b\c<d>&'e"#, "«a=22b=5Cc=3Cd=3E=26=27e@1»"),
        ("a=22b", "«a=3D22b@1»"),
        ("«x@1»", "«=C2=ABx=401=C2=BB@1»"),
    ] {
        assert_eq!(mask(name).as_str(), expected);
    }
}

#[test]
fn masks_are_recognized() {
    for text in ["«A@1»", "Bearer «my key@12»!", "««A@1»", "» «A@1»", "«a«b@1»", "«x@1» «y»"] {
        assert!(contains_mask(text.as_bytes()), "{text}");
    }
    for text in ["", "«»", "«A»", "«A@»", "«@1»", "«A@1", "A@1»", "«A@1x»", "«A\n@1»", "\u{c2}«", "»«"]
    {
        assert!(!contains_mask(text.as_bytes()), "{text}");
    }
    assert!(!contains_mask(&[0xc2]));
}

#[test]
fn short_values_are_not_tracked() {
    let mut builder = RedactorBuilder::new();
    assert!(!builder.track(mask("A"), &SecretValue::new(b"12345".to_vec())));
    assert!(!builder.track(mask("B"), &SecretValue::new(Vec::new())));
    let redactor = builder.build();
    assert!(redactor.is_empty());
    assert_eq!(redactor.redact("12345"), "12345");
    let mut builder = RedactorBuilder::new();
    assert!(builder.track(mask("A"), &SecretValue::new(vec![b'x'; MIN_MASKABLE_BYTES])));
    assert_eq!(builder.build().redact("axxxxxxb"), "a«A@1»b");
}

#[test]
fn a_text_without_values_is_borrowed() {
    let redactor = redactor(&["hunter22"]);
    assert!(matches!(redactor.redact("nothing here"), Cow::Borrowed(_)));
    assert!(matches!(redactor.redact_bytes(b"hunter2"), Cow::Borrowed(_)));
    assert!(matches!(redactor.redact_json(r#"{"a":"b\n"}"#), Cow::Borrowed(_)));
}

#[test]
fn the_longer_of_two_values_wins_and_leaves_nothing() {
    let redactor = redactor(&["secret", "secret-and-more", "and-more-still"]);
    assert_eq!(redactor.redact("a secret b"), "a «S0@1» b");
    assert_eq!(redactor.redact("a secret-and-more b"), "a «S1@1» b");
    assert_eq!(redactor.redact("a secret-and-more-still b"), "a «S1@1» b");
    assert_eq!(redactor.redact("a secret-and-more-stil b"), "a «S1@1»-stil b");
}

#[test]
fn of_equal_values_the_first_mask_is_shown() {
    assert_eq!(redactor(&["hunter22", "hunter22"]).redact("hunter22"), "«S0@1»");
}

#[test]
fn overlapping_occurrences_leave_no_residue() {
    let redactor = redactor(&["ababab", "bababc"]);
    assert_eq!(redactor.redact("xabababababy"), "x«S0@1»y");
    assert_eq!(redactor.redact("xabababcy"), "x«S0@1»y");
    assert_eq!(redactor.redact("abababbababc"), "«S0@1»«S1@1»");
}

#[test]
fn a_value_that_is_not_text_takes_whole_characters_with_it() {
    let value = "é12345é".as_bytes();
    let redactor = redactor(&[&value[1..value.len() - 1]]);
    assert_eq!(redactor.redact("<é12345é>"), "<«S0@1»>");
    assert_eq!(redactor.redact("<è12345é>"), "<è12345é>");
}

#[test]
fn debug_shows_no_value() {
    let redactor = redactor(&["hunter22"]);
    let mut stream = redactor.stream();
    stream.push(b"hunter", &mut Vec::new());
    let shown = format!("{redactor:?} {stream:?} {:?}", redactor.redact("-"));
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn clones_share_what_they_track() {
    let first = redactor(&["hunter22"]);
    let second = first.clone();
    drop(first);
    assert!(second.contains(b"say hunter22"));
}

proptest! {
    #[test]
    fn like_a_naive_redactor(values in vec("[ab]{4,9}", 0..6), text in "[abc]{0,200}") {
        let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
        let redactor = redactor(&values);
        let shown = redactor.redact_bytes(text.as_bytes()).into_owned();
        let expected = naive(&values, text.as_bytes());
        prop_assert_eq!(text_of(&shown), text_of(&expected));
        prop_assert_eq!(redactor.redact(&text).into_owned(), text_of(&shown));
        prop_assert_eq!(redactor.contains(text.as_bytes()), shown != text.as_bytes());
    }

    #[test]
    fn a_value_of_any_bytes_never_remains(
        value in vec(any::<u8>(), 6..40), before in vec(any::<u8>(), 0..20), after in vec(any::<u8>(), 0..20),
    ) {
        let text = [&before[..], &value, &after].concat();
        let shown = redactor(&[&value]).redact_bytes(&text).into_owned();
        prop_assert!(!occurs(&shown, &value));
        prop_assert!(occurs(&shown, mask("S0").as_str().as_bytes()));
    }

    #[test]
    fn arbitrary_input_never_panics(values in vec(vec(any::<u8>(), 0..30), 0..5), text in ".{0,60}", bytes in vec(any::<u8>(), 0..60)) {
        let redactor = redactor(&values);
        let _ = (redactor.redact(&text), redactor.redact_bytes(&bytes), redactor.redact_json(&text));
        let _ = contains_mask(&bytes);
    }

    #[test]
    fn every_mask_is_recognized_and_tells_its_secret(names in vec(any_name(), 2), version in any::<u64>()) {
        let masks: Vec<Mask> = names.iter().map(|name| Mask::new(name, version)).collect();
        prop_assert!(contains_mask(masks[0].as_str().as_bytes()));
        prop_assert_eq!(names[0] == names[1], masks[0] == masks[1]);
        let json = serde_json::to_string(masks[0].as_str()).expect("text");
        prop_assert_eq!(json, format!("\"{}\"", masks[0]));
        prop_assert!(!masks[0].as_str().contains(['<', '>', '&', '\'', '"', '\\', '$', '`', '%', '\n']));
    }
}

proptest! {
    // Debug builds take long for long values.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn long_values_are_masked_whole_and_in_part(
        value in vec(any::<u8>(), 1_000..3_000), cut in 0usize..1_500, before in "[a-z]{0,5}",
    ) {
        let redactor = redactor(&[&value]);
        let text = [before.as_bytes(), &value, b"!"].concat();
        let expected = [before.as_bytes(), mask("S0").as_str().as_bytes(), b"!"].concat();
        prop_assert_eq!(redactor.redact_bytes(&text), expected);
        let rest = &value[cut.min(value.len())..];
        prop_assert!(rest.len() < 2_047 || redactor.contains(rest));
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn any_name() -> impl Strategy<Value = SecretName> {
    "[a-b\"«»@1=<\\\\é% ]{1,4}".prop_filter_map("not a name", |text| text.parse().ok())
}

proptest! {
    #[test]
    fn redactors_put_together_are_as_good_as_one(
        values in vec("[abc]{6,12}", 1..6),
        cut in any::<Index>(),
        text in "[abc ]{0,80}",
    ) {
        let whole = redactor(&values);
        let cut = cut.index(values.len());
        // The masks of the second part go on counting.
        let mut rest = RedactorBuilder::new();
        for (at, value) in values.iter().enumerate().skip(cut) {
            rest.track(mask(&format!("S{at}")), &SecretValue::new(value.clone().into_bytes()));
        }
        let parts = Redactor::of_all(&[redactor(&values[..cut]), rest.build()]);
        prop_assert_eq!(parts.redact(&text), whole.redact(&text));
        prop_assert_eq!(parts.compact().redact(&text), whole.redact(&text));
        let mut streamed = Vec::new();
        let mut stream = parts.stream();
        for byte in text.bytes() {
            stream.push(&[byte], &mut streamed);
        }
        stream.finish(&mut streamed);
        prop_assert_eq!(streamed, whole.redact(&text).into_owned().into_bytes());
    }
}
