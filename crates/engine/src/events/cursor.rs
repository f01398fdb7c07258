//! Saved positions.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use claviger_core::{Incarnation, Revision};
use claviger_store::Stream;

use crate::Error;

/// How far each stream has been read: everything up to and including the revision.
pub type Positions = BTreeMap<Stream, Revision>;

/// The streams that events come from, with the byte that stands for each in a cursor.
pub(super) const STREAMS: [(Stream, u8); 3] = [(Stream::Events, b'e'), (Stream::Secrets, b's'), (Stream::Access, b'a')];

const FORMAT: u8 = 1;
const POSITION: usize = 1 + 8;

/// A saved position of a subscription: the store's incarnation, and how far each stream has been delivered. Opaque to
/// clients: text of `[A-Za-z0-9_-]`, less than 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) incarnation: Incarnation,
    pub(super) positions: Positions,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.incarnation.0.to_be_bytes());
        for (stream, letter) in STREAMS {
            if let Some(revision) = self.positions.get(&stream) {
                bytes.push(letter);
                bytes.extend_from_slice(&revision.0.to_be_bytes());
            }
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    /// [`Error::InvalidCursor`] for anything that [`Cursor`] does not print.
    fn from_str(text: &str) -> Result<Cursor, Error> {
        read(text).filter(|cursor| cursor.to_string() == text).ok_or(Error::InvalidCursor)
    }
}

fn read(text: &str) -> Option<Cursor> {
    // The longest there is has 48 characters: no need to decode more.
    let bytes = URL_SAFE_NO_PAD.decode(text.get(..text.len().min(100))?).ok()?;
    let (&FORMAT, rest) = bytes.split_first()? else { return None };
    let (incarnation, rest) = rest.split_first_chunk()?;
    let mut positions = Positions::new();
    for position in rest.chunks(POSITION) {
        let (letter, revision) = position.split_first()?;
        let (stream, _) = STREAMS.iter().find(|(_, known)| known == letter)?;
        positions.insert(*stream, Revision(u64::from_be_bytes(revision.try_into().ok()?)));
    }
    Some(Cursor { incarnation: Incarnation(u64::from_be_bytes(*incarnation)), positions })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(positions: &[(Stream, u64)]) -> Cursor {
        let positions = positions.iter().map(|&(stream, revision)| (stream, Revision(revision))).collect();
        Cursor { incarnation: Incarnation(0x0123_4567_89ab_cdef), positions }
    }

    #[test]
    fn printing_and_reading_are_inverse() {
        for positions in [
            &[][..],
            &[(Stream::Events, 0)],
            &[(Stream::Secrets, u64::MAX)],
            &[(Stream::Events, 7), (Stream::Secrets, 8), (Stream::Access, 9)],
        ] {
            let cursor = cursor(positions);
            let text = cursor.to_string();
            assert_eq!(text.parse::<Cursor>().unwrap(), cursor);
            assert!(text.len() < 100 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let good = cursor(&[(Stream::Events, 7), (Stream::Secrets, 8)]).to_string();
        let raw = URL_SAFE_NO_PAD.decode(&good).unwrap();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let swapped = [&raw[..9], &raw[18..27], &raw[9..18]].concat();
        let twice = [&raw[..], &raw[9..18]].concat();
        let mut format = raw.clone();
        format[0] = 2;
        let mut letter = raw.clone();
        letter[9] = b'x';
        for bad in [
            String::new(),
            "é".into(),
            "é".repeat(100),
            "42".into(),
            format!("{good}="),
            format!(" {good}"),
            encode(&raw[..raw.len() - 1]),
            encode(&swapped),
            encode(&twice),
            encode(&format),
            encode(&letter),
            "A".repeat(10_000),
        ] {
            assert!(matches!(bad.parse::<Cursor>(), Err(Error::InvalidCursor)), "{bad}");
        }
    }
}
