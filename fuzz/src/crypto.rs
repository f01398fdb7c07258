//! Envelopes, keyrings, API keys.

use std::sync::LazyLock;

use claviger_crypto::{ApiKey, Binding, Keyring, MasterKey, sha256};

const ENVIRONMENT: &str = "default";
const BINDING: Binding<'static> =
    Binding::Secret { environment: ENVIRONMENT, space: None, name: "A", version: 1, metadata: b"" };
const OTHER_BINDING: Binding<'static> =
    Binding::Secret { environment: ENVIRONMENT, space: None, name: "A", version: 2, metadata: b"" };
const VALUE: &[u8] = b"a value that nobody guesses";

struct Genuine {
    master: MasterKey,
    keyring: Keyring,
    record: Vec<u8>,
    data_key: Vec<u8>,
    envelope: Vec<u8>,
    api_key: String,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let master = MasterKey::generate();
    let (keyring, record) = Keyring::create(&master);
    let (_, data_key) = keyring.create_data_key(ENVIRONMENT);
    keyring.load_data_key(ENVIRONMENT, &data_key).expect("its own data key");
    let envelope = keyring.seal(&BINDING, VALUE).expect("sealed");
    let api_key = ApiKey::generate(ENVIRONMENT).reveal().to_string();
    Genuine { master, keyring, record, data_key, envelope, api_key }
});

/// The genuine bytes, changed from a place on that the first byte names; cut there when nothing else follows.
fn changed(genuine: &[u8], data: &[u8]) -> Vec<u8> {
    let Some((&at, changes)) = data.split_first() else { return genuine.to_vec() };
    let at = usize::from(at) % genuine.len();
    if changes.is_empty() {
        return genuine[..at].to_vec();
    }
    let mut bytes = genuine.to_vec();
    for (byte, change) in bytes[at..].iter_mut().zip(changes) {
        *byte ^= change;
    }
    bytes
}

/// Nothing but the envelope itself opens, and only in its place. What is sealed is what opens.
pub fn envelope(data: &[u8]) {
    let Genuine { keyring, envelope, .. } = &*GENUINE;
    assert!(keyring.open_sealed(&BINDING, data).is_err());
    let bytes = changed(envelope, data);
    assert!(keyring.open_sealed(&OTHER_BINDING, &bytes).is_err());
    match keyring.open_sealed(&BINDING, &bytes) {
        Ok(opened) => assert!(bytes == *envelope && opened.expose() == VALUE),
        Err(_) => assert_ne!(bytes, *envelope),
    }
    let sealed = keyring.seal(&BINDING, data).expect("sealed");
    assert_eq!(keyring.open_sealed(&BINDING, &sealed).expect("it opens").expose(), data);
}

/// Nothing but the record itself opens, of a keyring or of a data key.
pub fn keyring(data: &[u8]) {
    let Genuine { master, keyring, record, data_key, .. } = &*GENUINE;
    assert!(Keyring::open(master, data).is_err());
    assert!(keyring.load_data_key(ENVIRONMENT, data).is_err());
    let bytes = changed(record, data);
    assert_eq!(Keyring::open(master, &bytes).is_ok(), bytes == *record);
    // The checksum needs no key: whoever changes the record can make it fit.
    let bytes = with_checksum(bytes);
    match Keyring::open(master, &bytes) {
        Ok(opened) => assert!(bytes == *record && opened.mac("", data) == keyring.mac("", data)),
        Err(_) => assert_ne!(bytes, *record),
    }
    let bytes = changed(data_key, data);
    assert!(keyring.load_data_key("other", &bytes).is_err());
    assert_eq!(keyring.load_data_key(ENVIRONMENT, &bytes).is_ok(), bytes == *data_key);
}

/// The record with the checksum of its content.
fn with_checksum(mut record: Vec<u8>) -> Vec<u8> {
    if let Some((content, checksum)) = record.split_last_chunk_mut::<32>() {
        *checksum = sha256(content);
    }
    record
}

/// What is read as an API key is printed the same, and what is not is not repeated.
pub fn api_key(data: &[u8]) {
    let Genuine { keyring, api_key, .. } = &*GENUINE;
    let changed = changed(api_key.as_bytes(), data);
    for text in [data, &changed].into_iter().filter_map(|bytes| std::str::from_utf8(bytes).ok()) {
        match ApiKey::parse(text) {
            Ok(key) => {
                assert_eq!(key.reveal().as_str(), text);
                assert!(text.starts_with(&format!("clv_{}_{}_", key.environment(), key.id())));
                let _ = keyring.hash_api_key(key.id(), key.secret_part());
            }
            Err(error) => {
                assert!(!repeats(&format!("{error} {error:?}"), text));
                assert_ne!(text, api_key);
            }
        }
    }
}

/// Whether a message repeats a text. Letters, digits and the punctuation of our own messages do not count: a fuzzer that
/// sees what it is compared with finds those words by itself.
fn repeats(message: &str, text: &str) -> bool {
    let is_foreign =
        |c: char| !(c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "`'\"(){}[],.:;_-".contains(c));
    text.len() >= 12 && text.contains(is_foreign) && message.contains(text)
}
