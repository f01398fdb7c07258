//! Envelopes, keyrings, API keys.

use std::sync::LazyLock;

use claviger_crypto::{ApiKey, Binding, Keyring, MasterKey};

const ENVIRONMENT: &str = "default";
const BINDING: Binding<'static> =
    Binding::Secret { environment: ENVIRONMENT, space: None, name: "A", version: 1, metadata: b"" };

struct Genuine {
    master: MasterKey,
    keyring: Keyring,
    record: Vec<u8>,
    envelope: Vec<u8>,
    api_key: String,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let master = MasterKey::generate();
    let (keyring, record) = Keyring::create(&master);
    let (_, data_key) = keyring.create_data_key(ENVIRONMENT);
    keyring.load_data_key(ENVIRONMENT, &data_key).expect("its own data key");
    let envelope = keyring.seal(&BINDING, b"a value that nobody guesses").expect("sealed");
    let api_key = ApiKey::generate(ENVIRONMENT).reveal().to_string();
    Genuine { master, keyring, record, envelope, api_key }
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

/// Nothing but the envelope itself opens.
pub fn envelope(data: &[u8]) {
    let Genuine { keyring, envelope, .. } = &*GENUINE;
    assert!(keyring.open_sealed(&BINDING, data).is_err());
    let bytes = changed(envelope, data);
    assert_eq!(keyring.open_sealed(&BINDING, &bytes).is_ok(), bytes == *envelope);
}

/// Nothing but the record itself opens, of a keyring or of a data key.
pub fn keyring(data: &[u8]) {
    let Genuine { master, keyring, record, .. } = &*GENUINE;
    assert!(Keyring::open(master, data).is_err());
    assert!(keyring.load_data_key(ENVIRONMENT, data).is_err());
    let bytes = changed(record, data);
    assert_eq!(Keyring::open(master, &bytes).is_ok(), bytes == *record);
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
