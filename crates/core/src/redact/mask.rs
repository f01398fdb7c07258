//! What stands in the place of a value.

use std::fmt::{self, Write as _};

use crate::SecretName;

const OPEN: &str = "«";
const CLOSE: &str = "»";

/// The text shown instead of a value: `«NAME@version»`.
///
/// Characters of the name that mean something to JSON, markup, URLs, shells or to the mask itself are
/// written `=XX` for each of their bytes, so a mask can stand inside any quoted text without escaping.
/// Two secrets never share a mask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mask(Box<str>);

impl Mask {
    /// The mask of one version of a secret.
    #[must_use]
    pub fn new(name: &SecretName, version: u64) -> Mask {
        let mut text = String::from(OPEN);
        for c in name.as_str().chars() {
            push_name_character(&mut text, c);
        }
        let _ = write!(text, "@{version}{CLOSE}");
        Mask(text.into())
    }

    /// The mask as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn push_name_character(text: &mut String, c: char) {
    let plain = match c {
        ' ' | '_' | '-' | '.' | ':' | '/' => true,
        '«' | '»' => false,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        _ => !c.is_whitespace(),
    };
    if plain {
        text.push(c);
    } else {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(text, "={byte:02X}");
        }
    }
}

/// Whether the bytes have a mask in them: `«`, a name, `@`, a version in digits, `»`. Such bytes were
/// shown to somebody instead of a value, so they are refused as a value.
#[must_use]
pub fn contains_mask(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(end) = position(rest, CLOSE) {
        let (before, after) = (&rest[..end], &rest[end + CLOSE.len()..]);
        if last_position(before, OPEN).is_some_and(|start| is_body(&before[start + OPEN.len()..])) {
            return true;
        }
        rest = after;
    }
    false
}

fn is_body(body: &[u8]) -> bool {
    let Some(at) = body.iter().rposition(|&byte| byte == b'@') else { return false };
    let (name, version) = (&body[..at], &body[at + 1..]);
    let no_controls = !name.is_empty() && !name.iter().any(u8::is_ascii_control);
    no_controls && !version.is_empty() && version.iter().all(u8::is_ascii_digit)
}

fn position(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes())
}

fn last_position(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted.as_bytes())
}
