//! Percent-encoding (RFC 3986, section 2.1; form encoding of the WHATWG URL Standard, section 5).

use super::{Bytes, Digits, LOWER, UPPER, collect, hex_pair};

/// Characters that writers leave as they are besides ASCII letters and digits: everything reserved is
/// encoded, URI components, path segments, whole URIs.
const KEPT: [&[u8]; 4] = [b"-._~", b"-._~!'()*", b"-._~$&+=:@!'()*,;", b"-._~!'()*;/?:@&=+$,#"];
/// The same for forms, where a space is a plus sign.
const KEPT_IN_FORMS: [&[u8]; 2] = [b"-._*", b"-._~"];

/// Every writer's form of the value.
pub(super) fn push_all(value: &[u8], forms: &mut Vec<Bytes>) {
    for digits in [LOWER, UPPER] {
        for kept in KEPT {
            forms.extend(encoded(value, |byte| unit(byte, kept, digits)));
        }
        for kept in KEPT_IN_FORMS {
            forms.extend(encoded(value, |byte| form_unit(byte, kept, digits)));
        }
    }
}

/// A text inside a URL; `None` if it needs no encoding.
pub(super) fn nested(text: &str) -> Option<Bytes> {
    encoded(text.as_bytes(), |byte| unit(byte, KEPT[0], UPPER))
}

/// One encoded byte: one or three bytes.
type Unit = std::iter::Take<std::array::IntoIter<u8, 3>>;

fn encoded(value: &[u8], unit: impl Fn(u8) -> Unit + Copy) -> Option<Bytes> {
    let changes = value.iter().any(|&byte| !unit(byte).eq([byte]));
    changes.then(|| collect(value.iter().flat_map(move |&byte| unit(byte))))
}

fn form_unit(byte: u8, kept: &[u8], digits: Digits) -> Unit {
    match byte {
        b' ' => [b'+', 0, 0].into_iter().take(1),
        _ => unit(byte, kept, digits),
    }
}

fn unit(byte: u8, kept: &[u8], digits: Digits) -> Unit {
    let [high, low] = hex_pair(byte, digits);
    match byte.is_ascii_alphanumeric() || kept.contains(&byte) {
        true => [byte, 0, 0].into_iter().take(1),
        false => [b'%', high, low].into_iter().take(3),
    }
}
