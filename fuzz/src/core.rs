//! Names, patterns, redaction.

use claviger_core::{
    EnvironmentName, EventName, FunctionId, MIN_MASKABLE_BYTES, Mask, NameError, Pattern, Redactor, RedactorBuilder,
    SecretName, SecretValue, SpaceName, contains_mask, subject_token, token_to_name,
};

/// Whatever is accepted as a name is unchanged, and its token is one plain segment that is read back.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_name::<SecretName>(text);
    check_name::<SpaceName>(text);
    check_name::<EnvironmentName>(text);
    check_name::<FunctionId>(text);
    check_name::<EventName>(text);
    let token = subject_token(text, unlike);
    assert!(token.len() <= 200 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=-".contains(&byte)));
    if !token.starts_with("=h") {
        assert_eq!(token_to_name(&token).as_deref(), Some(text));
    }
    if let Some(name) = token_to_name(text).filter(|_| text.len() <= 200) {
        assert_eq!(subject_token(&name, unlike), text);
    }
}

fn check_name<T: std::str::FromStr<Err = NameError> + ToString>(text: &str) {
    match text.parse::<T>() {
        Ok(name) => assert_eq!(name.to_string(), text),
        Err(error) => assert!(!repeats(&error.to_string(), text), "the error repeats the name"),
    }
}

/// Stands for a hash; only its length matters here.
fn unlike(bytes: &[u8]) -> [u8; 32] {
    [bytes.len() as u8; 32]
}

/// A pattern and names, on a line each: matching agrees with trying every way, and covering with matching.
pub fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(pattern) = first.parse::<Pattern>() else { return };
    assert_eq!(pattern.to_string(), first);
    for name in rest.lines() {
        let segments: Vec<&str> = name.split('.').collect();
        let wanted: Vec<&str> = first.split('.').collect();
        assert_eq!(pattern.matches(name), fits(&wanted, &segments), "{first} on {name}");
        if let Ok(other) = name.parse::<Pattern>() {
            // What is covered cannot fit anything else.
            let example = other.as_str().replace('*', "x").replace('>', "x.y");
            assert!(!pattern.covers(&other) || pattern.matches(&example), "{first} covers {name}");
            for name in rest.lines().filter(|name| pattern.covers(&other) && other.matches(name)) {
                assert!(pattern.matches(name), "{first} covers {other}, but does not fit {name}");
            }
        }
    }
}

fn fits(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([">"], [_, ..]) => name.iter().all(|segment| !segment.is_empty()),
        (["*", pattern @ ..], [segment, name @ ..]) => !segment.is_empty() && fits(pattern, name),
        ([wanted, pattern @ ..], [segment, name @ ..]) => wanted == segment && fits(pattern, name),
        _ => false,
    }
}

/// Values and at last a text, separated by 0xFF; the first byte says how the text is cut. However it is cut and whether
/// the values are in one redactor or several, the outcome is the same, and no value remains in it.
pub fn redactor(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else { return };
    let mut parts: Vec<&[u8]> = data.split(|byte| *byte == 0xFF).collect();
    let Some(text) = parts.pop() else { return };
    parts.truncate(4);
    let values: Vec<&[u8]> = parts.into_iter().map(|value| &value[..value.len().min(2_048)]).collect();
    let single = |(at, value): (usize, &&[u8])| {
        let name = format!("S{at}").parse::<SecretName>().expect("a name");
        let mut builder = RedactorBuilder::new();
        let is_tracked = builder.track(Mask::new(&name, 1), &SecretValue::new(value.to_vec()));
        assert_eq!(is_tracked, value.len() >= MIN_MASKABLE_BYTES);
        builder.build()
    };
    let singles: Vec<Redactor> = values.iter().enumerate().map(single).collect();
    let joined = Redactor::of_all(&singles);
    let whole = joined.compact().redact_bytes(text).into_owned();
    assert_eq!(joined.redact_bytes(text), whole);
    let (mut stream, mut streamed) = (joined.stream(), Vec::new());
    for chunk in text.chunks(usize::from(step).max(1)) {
        stream.push(chunk, &mut streamed);
    }
    stream.finish(&mut streamed);
    assert_eq!(streamed, whole);
    // What touches a mask could be taken for a value that has a part of one in it.
    if values.iter().all(|value| value.is_ascii()) {
        assert!(!joined.contains(&whole), "a form remains");
    }
    for value in values.into_iter().filter(|value| value.len() >= MIN_MASKABLE_BYTES) {
        leaves_nothing(&joined, value, text);
    }
    let _ = contains_mask(text);
    if let Ok(text) = std::str::from_utf8(text) {
        let shown = joined.redact_json(text);
        let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert!(!is_json(text) || is_json(&shown), "JSON stays JSON");
    }
}

/// A value that stands in the middle of a text is masked, as it is, in hexadecimal and in JSON.
fn leaves_nothing(redactor: &Redactor, value: &[u8], text: &[u8]) {
    let (before, after) = text.split_at(text.len() / 2);
    let planted = |form: &[u8]| [before, form, after].concat();
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!occurs(&redactor.redact_bytes(&planted(hex.as_bytes())), hex.as_bytes()), "hexadecimal remains");
    // A value that begins or ends as a mask does can arise where a mask is put in.
    if value.iter().any(|byte| "«»".as_bytes().contains(byte)) {
        return;
    }
    assert!(!occurs(&redactor.redact_bytes(&planted(value)), value), "the value remains");
    if let (Ok(value), Ok(text)) = (std::str::from_utf8(value), String::from_utf8(planted(value))) {
        assert!(!redactor.redact(&text).contains(value), "the value remains in a text");
        // However it is escaped.
        let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for json in [serde_json::to_string(&text).expect("text"), format!("\"{escapes}\"")] {
            let shown: String = serde_json::from_str(&redactor.redact_json(&json)).expect("a JSON string stays one");
            assert!(!shown.contains(value), "the value remains in JSON");
        }
    }
}

fn occurs(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Whether a message repeats a text. Letters, digits and the punctuation of our own messages do not count: a fuzzer that
/// sees what it is compared with finds those words by itself.
fn repeats(message: &str, text: &str) -> bool {
    let is_foreign =
        |c: char| !(c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "`'\"(){}[],.:;_-".contains(c));
    text.len() >= 12 && text.contains(is_foreign) && message.contains(text)
}
