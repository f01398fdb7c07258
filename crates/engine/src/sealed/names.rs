//! What stands in a sealed store for a subject, a filter, a message id and a record.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use claviger_crypto::{Keyring, NameKey};
use claviger_store::{Append, Filter, Record, Stream, Subject};

/// A first token this short stays as it is: it is the word for a kind of thing. Ours are shorter.
const KIND_BYTES: usize = 32;

/// Most tokens of a sealed subject. The last of so many stands for all that follow it in the subject.
const DEPTH: usize = 40;

/// Length of the length of a subject, in front of it.
const LENGTH: usize = 2;

/// Most bytes by which a record grows.
pub(super) const OVERHEAD: usize = NameKey::OVERHEAD + LENGTH + Subject::MAX_BYTES;

/// Seals and opens what a ledger is given and gives.
#[derive(Debug)]
pub(super) struct Sealer {
    key: NameKey,
}

impl Sealer {
    pub(super) fn new(keyring: &Keyring) -> Sealer {
        Sealer { key: keyring.name_key() }
    }

    /// The subject that a subject is stored under.
    pub(super) fn subject(&self, stream: Stream, subject: &Subject) -> Subject {
        let (context, text) = (format!("subject/{stream}"), subject.as_str());
        let ends = text.match_indices('.').map(|(at, _)| at).chain([text.len()]);
        let tokens: Vec<String> = ends
            .take(DEPTH)
            .enumerate()
            .map(|(position, end)| match position {
                0 if end <= KIND_BYTES => text[..end].to_owned(),
                // Of the whole, since no token follows that would cover the rest.
                _ if position + 1 == DEPTH => token(&self.key.hash(&context, text)),
                _ => token(&self.key.hash(&context, &text[..end])),
            })
            .collect();
        Subject::new(&tokens.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A filter that passes the sealed forms of all that passes the given one, and of others only if a subject in it has more
    /// tokens than a sealed one can have.
    pub(super) fn filter(&self, stream: Stream, filter: &Filter) -> Filter {
        match filter {
            Filter::All => Filter::All,
            Filter::Exact(subject) => Filter::Exact(self.subject(stream, subject)),
            Filter::Under(prefix) => {
                let tokens: Vec<&str> = prefix.tokens().take(DEPTH - 1).collect();
                Filter::Under(self.subject(stream, &Subject::new(&tokens)))
            }
        }
    }

    /// The entry that is stored for an entry.
    pub(super) fn append(&self, append: Append) -> Append {
        let Append { stream, subject, bytes, expected, message_id, follows } = append;
        let message_id = message_id.map(|id| token(&self.key.hash(&format!("message-id/{stream}"), &id)));
        if is_plain(stream, &subject) {
            return Append { stream, subject, bytes, expected, message_id, follows };
        }
        let place = self.subject(stream, &subject);
        let sealed = self.key.seal(stream.name(), place.as_str(), &framed(&subject, &bytes));
        let bytes = sealed.expect("a record is shorter than 64 GiB");
        Append { stream, subject: place, bytes, expected, message_id, follows }
    }

    /// The record that a stored record is; `None` when it was changed, or made for another place.
    pub(super) fn open(&self, stream: Stream, stored: &Record) -> Option<Record> {
        if is_plain(stream, &stored.subject) {
            return Some(stored.clone());
        }
        let opened = self.key.open(stream.name(), stored.subject.as_str(), &stored.bytes).ok()?;
        let (length, rest) = opened.split_first_chunk::<LENGTH>()?;
        let (subject, bytes) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let subject = Subject::parse(std::str::from_utf8(subject).ok()?)?;
        Some(Record { subject, bytes: bytes.into(), ..stored.clone() })
    }
}

/// Whether records stand there as they are: what is needed before there is a key. It holds no names.
fn is_plain(stream: Stream, subject: &Subject) -> bool {
    stream == Stream::Keyring && subject.tokens().nth(1).is_none()
}

fn framed(subject: &Subject, bytes: &[u8]) -> Vec<u8> {
    let subject = subject.as_str().as_bytes();
    let length = u16::try_from(subject.len()).expect("a subject is short");
    [&length.to_be_bytes(), subject, bytes].concat()
}

/// A hash as a token of a subject.
pub(super) fn token(hash: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use claviger_crypto::MasterKey;
    use serde_json::Value;

    use super::*;

    #[test]
    fn subjects_are_sealed_as_the_vectors_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/names.json");
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let master = MasterKey::from_hex(&mut file["master_key"].as_str().unwrap().as_bytes().to_vec()).unwrap();
        let keyring = Keyring::open(&master, &hex(file["keyring"].as_str().unwrap())).unwrap();
        let sealer = Sealer::new(&keyring);
        let vectors = file["subjects"].as_array().unwrap();
        assert!(vectors.len() > 10);
        for vector in vectors {
            let text = |member: &str| vector[member].as_str().unwrap();
            let stream = Stream::ALL.into_iter().find(|stream| stream.name() == text("stream")).unwrap();
            let subject = Subject::parse(text("subject")).unwrap();
            assert_eq!(sealer.subject(stream, &subject).as_str(), text("sealed"), "{subject}");
        }
    }
}
