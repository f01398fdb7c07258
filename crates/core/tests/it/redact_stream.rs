use claviger_core::Redactor;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::support::{naive, redactor};

fn in_chunks(redactor: &Redactor, text: &[u8], cuts: &[Index]) -> Vec<u8> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([text.len()]).collect();
    ends.sort_unstable();
    let (mut stream, mut out, mut start) = (redactor.stream(), Vec::new(), 0);
    for end in ends {
        stream.push(&text[start..end], &mut out);
        start = end;
    }
    stream.finish(&mut out);
    out
}

fn byte_by_byte(redactor: &Redactor, text: &[u8]) -> Vec<u8> {
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for byte in text {
        stream.push(&[*byte], &mut out);
    }
    stream.finish(&mut out);
    out
}

#[test]
fn ordinary_text_is_not_held_back() {
    let mut stream = redactor(&["hunter22"]).stream();
    let mut out = Vec::new();
    stream.push(b"a line\n", &mut out);
    assert_eq!(out, b"a line\n");
    stream.push(b"the hunt", &mut out);
    assert_eq!(out, b"a line\nthe ");
    stream.push(b"er22", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), "a line\nthe «S0@1»");
    stream.push(b" is over, hunter", &mut out);
    stream.finish(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), "a line\nthe «S0@1» is over, hunter");
}

#[test]
fn a_cut_text_does_not_end_with_the_beginning_of_a_value() {
    let redactor = redactor(&["hunter22-\u{1f511}"]);
    for (text, shown) in [
        ("it is hunter22-\u{1f511}", "it is «S0@1»"),
        ("it is hunter22-\u{1f511} and hun", "it is «S0@1» and "),
        ("it is hunter22-\u{fffd}", "it is "),
        ("hunter", ""),
        ("nothing of it", "nothing of it"),
    ] {
        assert_eq!(redactor.redact_cut(text), shown, "{text}");
    }
}

#[test]
fn a_finished_stream_begins_a_new_text() {
    let mut stream = redactor(&["hunter22"]).stream();
    let mut out = Vec::new();
    stream.push(b"hunter22", &mut out);
    stream.finish(&mut out);
    stream.push(b"hunter22", &mut out);
    stream.finish(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), "«S0@1»«S0@1»");
}

/// Bytes of a long value.
const LONG: usize = 8 * 1024;

#[test]
fn little_is_held_back_however_long_the_value() {
    let value: Vec<u8> = (0..5_000u32).flat_map(|number| number.to_be_bytes()).collect();
    let text = [&value[..], b"end"].concat();
    let mut stream = redactor(&[&value[..LONG]]).stream();
    let (mut out, mut pushed) = (Vec::new(), 0);
    for chunk in text.chunks(100) {
        stream.push(chunk, &mut out);
        pushed += chunk.len();
        assert!(out.len() + LONG + 1_023 >= pushed, "{} bytes out of {pushed}", out.len());
    }
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        values in vec("[ab]{6,12}", 1..6), text in "[abc]{0,300}", cuts in vec(any::<Index>(), 0..20),
    ) {
        let values: Vec<Vec<u8>> = values.into_iter().map(String::into_bytes).collect();
        let (redactor, text) = (redactor(&values), text.as_bytes());
        let expected = naive(&values, text);
        prop_assert_eq!(redactor.redact_bytes(text), expected.clone());
        prop_assert_eq!(in_chunks(&redactor, text, &cuts), expected.clone());
        prop_assert_eq!(byte_by_byte(&redactor, text), expected);
    }

    #[test]
    fn chunks_do_not_matter_for_any_bytes(
        values in vec(vec(any::<u8>(), 6..20), 1..4), order in vec((any::<Index>(), vec(any::<u8>(), 0..8)), 0..10), cuts in vec(any::<Index>(), 0..20),
    ) {
        let redactor = redactor(&values);
        let mut text = Vec::new();
        for (which, between) in order {
            text.extend_from_slice(&values[which.index(values.len())]);
            text.extend_from_slice(&between);
        }
        let expected = redactor.redact_bytes(&text).into_owned();
        prop_assert_eq!(in_chunks(&redactor, &text, &cuts), expected.clone());
        prop_assert_eq!(byte_by_byte(&redactor, &text), expected);
    }
}

proptest! {
    // Debug builds take long for long values.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn chunks_do_not_matter_for_long_values(
        value in vec(0u8..3, 1_000..2_500), parts in vec((any::<Index>(), any::<Index>()), 1..5), cuts in vec(any::<Index>(), 0..20),
    ) {
        let redactor = redactor(&[&value]);
        let mut text = Vec::new();
        for (from, to) in parts {
            let (from, to) = (from.index(value.len()), to.index(value.len()));
            text.extend_from_slice(&value[from.min(to)..=from.max(to)]);
            text.extend_from_slice(&value);
        }
        prop_assert_eq!(in_chunks(&redactor, &text, &cuts), redactor.redact_bytes(&text).into_owned());
    }
}
