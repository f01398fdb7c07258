//! What workers and callers send.

use claviger_api::{SetSecret, worker::FromWorker};

/// Any message is a frame or an error that does not repeat it.
pub fn frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match FromWorker::parse(text) {
        Ok(frame) => drop(format!("{frame:?}")),
        Err(error) => assert!(!repeats(&format!("{error} {error:?}"), text)),
    }
}

/// Any body sets a secret or not; the value is what `serde_json` reads, and is never shown.
pub fn set_secret(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<SetSecret>(data) else { return };
    let body: serde_json::Value = serde_json::from_slice(data).expect("what is read is JSON");
    // Members in their order are read too; the server refuses them before.
    let value = body.get("value").or(body.get(0)).and_then(serde_json::Value::as_str).expect("a value is text");
    assert_eq!(set.value.reveal(), value);
    let shown = format!("{:?}", set.value);
    assert!(value.len() < 12 || !shown.contains(value));
}

/// Whether a message repeats a text. Letters, digits and the punctuation of our own messages do not count: a fuzzer that
/// sees what it is compared with finds those words by itself.
fn repeats(message: &str, text: &str) -> bool {
    let is_foreign =
        |c: char| !(c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "`'\"(){}[],.:;_-".contains(c));
    text.len() >= 12 && text.contains(is_foreign) && message.contains(text)
}
