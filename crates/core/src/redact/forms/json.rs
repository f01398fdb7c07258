//! Escapes of JSON strings (RFC 8259, section 7), as different writers use them.

use super::{Bytes, Digits, LOWER, UPPER, escaped, hex_pair};

/// The choices that writers make.
#[derive(Clone, Copy)]
struct Dialect {
    digits: Digits,
    /// Characters outside ASCII are escaped too.
    ascii_only: bool,
    /// `/` is written `\/`.
    solidus: bool,
    /// Further characters written `\u00XX`.
    more: &'static str,
}

const PLAIN: Dialect = Dialect { digits: LOWER, ascii_only: false, solidus: false, more: "" };

/// Every dialect's form of the text.
pub(super) fn push_all(text: &str, forms: &mut Vec<Bytes>) {
    for digits in [LOWER, UPPER] {
        for ascii_only in [false, true] {
            for more in ["", "<>&", "<>&'\"+`"] {
                let dialect = Dialect { digits, ascii_only, solidus: false, more };
                forms.extend(dialect.form(text));
                forms.extend(Dialect { solidus: true, ..dialect }.form(text));
            }
        }
    }
}

/// The text inside a JSON string; `None` if it needs no escapes.
pub(super) fn nested(text: &str) -> Option<Bytes> {
    PLAIN.form(text)
}

/// The text inside a JSON string whose writer escapes the solidus; `None` if it needs no escapes.
pub(super) fn nested_with_solidus(text: &str) -> Option<Bytes> {
    Dialect { solidus: true, ..PLAIN }.form(text)
}

impl Dialect {
    fn form(self, text: &str) -> Option<Bytes> {
        escaped(text, |c, out| self.push(c, out))
    }

    fn push(self, c: char, out: &mut String) {
        match c {
            _ if self.more.contains(c) => self.push_units(c, out),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' if self.solidus => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => self.push_units(c, out),
            _ if self.ascii_only && !c.is_ascii() => self.push_units(c, out),
            _ => out.push(c),
        }
    }

    fn push_units(self, c: char, out: &mut String) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str("\\u");
            for byte in unit.to_be_bytes() {
                out.extend(hex_pair(byte, self.digits).map(char::from));
            }
        }
    }
}
