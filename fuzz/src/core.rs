//! Names, patterns, redaction.

use claviger_core::{
    EnvironmentName, EventName, FunctionId, Mask, NameError, Pattern, Redactor, RedactorBuilder, SecretName,
    SecretValue, SpaceName, contains_mask, subject_token, token_to_name,
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

/// A pattern and a name, on a line each: matching agrees with trying every way.
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
/// the values are in one redactor or several, the outcome is the same.
pub fn redactor(data: &[u8]) {
    let Some((&step, data)) = data.split_first() else { return };
    let mut parts: Vec<&[u8]> = data.split(|byte| *byte == 0xFF).collect();
    let Some(text) = parts.pop() else { return };
    parts.truncate(4);
    let single = |(at, value): (usize, &&[u8])| {
        let name = format!("S{at}").parse::<SecretName>().expect("a name");
        let mut builder = RedactorBuilder::new();
        builder.track(Mask::new(&name, 1), &SecretValue::new(value[..value.len().min(2_048)].to_vec()));
        builder.build()
    };
    let singles: Vec<Redactor> = parts.iter().enumerate().map(single).collect();
    let joined = Redactor::of_all(&singles);
    let whole = joined.compact().redact_bytes(text).into_owned();
    assert_eq!(joined.redact_bytes(text), whole);
    let (mut stream, mut streamed) = (joined.stream(), Vec::new());
    for chunk in text.chunks(usize::from(step).max(1)) {
        stream.push(chunk, &mut streamed);
    }
    stream.finish(&mut streamed);
    assert_eq!(streamed, whole);
    let _ = contains_mask(text);
    if let Ok(text) = std::str::from_utf8(text) {
        let shown = joined.redact_json(text);
        let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert!(!is_json(text) || is_json(&shown), "JSON stays JSON");
    }
}

/// Whether a message repeats a text. Letters, digits and the punctuation of our own messages do not count: a fuzzer that
/// sees what it is compared with finds those words by itself.
fn repeats(message: &str, text: &str) -> bool {
    let is_foreign =
        |c: char| !(c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "`'\"(){}[],.:;_-".contains(c));
    text.len() >= 12 && text.contains(is_foreign) && message.contains(text)
}
