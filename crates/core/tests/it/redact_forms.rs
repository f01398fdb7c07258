use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::{collection::vec, prelude::*};

use crate::support::{mask, redactor};

/// A value with everything that some writer escapes.
const AWKWARD: &str = "a\"b\\c/d'e<f>g&h i$j`k!l%m+n=é😀\to";

fn assert_masked(value: &str, form: &str) {
    let redactor = redactor(&[value]);
    assert_eq!(redactor.redact(&format!("<{form}>")), "<«S0@1»>", "form {form} of {value}");
}

#[test]
fn escapes_of_different_writers() {
    for (value, form) in [
        ("pass\"word", r#"pass\"word"#),
        ("pass\"word", r#"pass\\\"word"#),
        ("pass\"word", r#"pass\u0022word"#),
        ("pass/word", r"pass\/word"),
        ("pass<word", r"pass\u003cword"),
        ("pass<word", r"pass\u003Cword"),
        ("passwörd", r"passw\u00f6rd"),
        ("passwörd", r"passw\u00F6rd"),
        ("passwörd", "passw%C3%B6rd"),
        ("passwörd", "passw%c3%b6rd"),
        ("passwörd", "passw&#246;rd"),
        ("passwörd", "passw&#xF6;rd"),
        ("pass😀word", r"pass\ud83d\ude00word"),
        ("pass\u{1}word", r"pass\u0001word"),
        ("pass word&1", "pass%20word%261"),
        ("pass word&1", "pass+word%261"),
        ("pass(word)~", "pass%28word%29%7E"),
        ("pass(word)~", "pass(word)~"),
        ("pass(word)&", "pass(word)%26"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&#39;f"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&#x27;f"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&apos;f"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&#34;e&#39;f"),
        ("a&b<c>d\"e'f", "a&#38;b&#60;c&#62;d&#34;e&#39;f"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d\"e'f"),
        ("it's secret", r"it'\''s secret"),
        ("it's secret", r#"it'"'"'s secret"#),
        ("it's secret", r"it\'s\ secret"),
        ("it's secret", r"it'\\''s secret"),
        ("cost $5 `x` \"y\"", r#"cost \$5 \`x\` \"y\""#),
        ("two\nlines", r"two\nlines"),
        ("two\nlines", r"two\\nlines"),
        ("two\nlines", "two%0Alines"),
        ("hunter22\n", "hunter22"),
        ("  hunter22\r\n", "hunter22"),
    ] {
        assert_masked(value, form);
    }
}

#[test]
fn base64_in_other_text_is_masked() {
    let user = STANDARD.encode("user:p?ss~word?>");
    assert_eq!(redactor(&["p?ss~word?>"]).redact(&user), "dXNlcjp«S0@1»");
    let slashes = STANDARD.encode("???>>>???");
    assert!(slashes.contains('/') && slashes.contains('+'));
    assert_masked("???>>>???", &slashes.replace('/', r"\/"));
    assert_masked("???>>>???", &slashes.replace('/', "%2F").replace('+', "%2B"));
}

#[test]
fn lines_of_a_multi_line_value_are_masked_on_their_own() {
    let redactor = redactor(&["first line\r\n  second \"line\"\nshort\nlast line\n"]);
    assert_eq!(redactor.redact("[first line]"), "[«S0@1»]");
    assert_eq!(redactor.redact("[second \"line\"]"), "[«S0@1»]");
    assert_eq!(redactor.redact(r#"["second \"line\""]"#), r#"["«S0@1»"]"#);
    assert_eq!(redactor.redact("[last line]"), "[«S0@1»]");
    assert_eq!(redactor.redact("[short]"), "[short]");
}

#[test]
fn bytes_shown_as_text_are_masked() {
    let value = b"pass\xffword";
    assert_eq!(redactor(&[value]).redact(&String::from_utf8_lossy(value)), "«S0@1»");
    let unreadable = redactor(&[[0xff; 8]]);
    assert!(!unreadable.contains("\u{fffd}".repeat(8).as_bytes()));
}

#[test]
fn an_awkward_value_is_masked_inside_json_twice() {
    let once = serde_json::to_string(AWKWARD).expect("text");
    let twice = serde_json::to_string(&once).expect("text");
    let redactor = redactor(&[AWKWARD]);
    assert_eq!(redactor.redact(&once), "\"«S0@1»\"");
    assert_eq!(redactor.redact(&twice), "\"\\\"«S0@1»\\\"\"");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(bytes: &[u8]) -> String {
    let unit = |&byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(unit).collect()
}

proptest! {
    #[test]
    fn base64_at_every_alignment(
        before in vec(any::<u8>(), 0..7), value in vec(any::<u8>(), 6..50), after in vec(any::<u8>(), 0..7),
    ) {
        let data = [&before[..], &value, &after].concat();
        let redactor = redactor(&[&value]);
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            let text = engine.encode(&data);
            let shown = redactor.redact(&text).into_owned();
            // What remains are the characters with at least one bit from outside the value.
            let left = (before.len() * 8).div_ceil(6);
            let right = text.trim_end_matches('=').len() - (before.len() + value.len()) * 8 / 6;
            let (head, tail) = shown.split_once(mask("S0").as_str()).expect("a mask");
            prop_assert!(head.len() <= left && text.starts_with(head));
            prop_assert!(tail.len() <= right + 2 && text.ends_with(tail));
            prop_assert!(!after.is_empty() || tail.is_empty(), "{} in {}", tail, text);
        }
    }

    #[test]
    fn hex_and_percent(value in vec(any::<u8>(), 6..50)) {
        let redactor = redactor(&[&value]);
        for form in [hex(&value), hex(&value).to_uppercase(), percent(&value)] {
            prop_assert_eq!(redactor.redact(&form).into_owned(), "«S0@1»", "{}", form);
        }
    }

    #[test]
    fn json_strings(value in ".{6,40}") {
        let redactor = redactor(&[&value]);
        let text = serde_json::to_string(&value).expect("text");
        prop_assert_eq!(redactor.redact(&text).into_owned(), "\"«S0@1»\"");
    }

    #[test]
    fn utf16(value in ".{6,40}") {
        let redactor = redactor(&[&value]);
        let little: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            prop_assert_eq!(redactor.redact_bytes(&bytes).into_owned(), "«S0@1»".as_bytes());
        }
    }
}
