//! Escapes of HTML and XML, as different writers use them.

use std::fmt::Write as _;

use super::{Bytes, escaped};

/// What a writer makes of the characters it escapes.
type Dialect = &'static [(char, &'static str)];

const DIALECTS: [Dialect; 10] = [
    &[('&', "&amp;"), ('<', "&lt;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('"', "&quot;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&apos;")],
    &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")],
    &[('&', "&#38;"), ('<', "&#60;"), ('>', "&#62;"), ('"', "&#34;"), ('\'', "&#39;")],
    &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&#39;"),
        ('/', "&#x2F;"),
        ('`', "&#x60;"),
        ('=', "&#x3D;"),
    ],
];

/// How a writer refers to a character by its number; `None` if it leaves the character as it is.
type Reference = Option<fn(char, &mut String)>;

const REFERENCES: [Reference; 4] = [None, Some(push_decimal), Some(push_lower), Some(push_upper)];

/// Every dialect's form of the text: line breaks and characters outside ASCII as they are, and by
/// their numbers.
pub(super) fn push_all(text: &str, forms: &mut Vec<Bytes>) {
    let references = if text.contains(is_numbered) { &REFERENCES[..] } else { &REFERENCES[..1] };
    for dialect in DIALECTS {
        for &reference in references {
            forms.extend(escaped(text, |c, out| push(c, dialect, reference, out)));
        }
    }
}

fn push(c: char, dialect: Dialect, reference: Reference, out: &mut String) {
    let named = dialect.iter().find(|(escaped, _)| *escaped == c);
    match (named, reference) {
        (Some((_, name)), _) => out.push_str(name),
        (None, Some(push_reference)) if is_numbered(c) => push_reference(c, out),
        _ => out.push(c),
    }
}

/// Whether some writers refer to the character by its number.
fn is_numbered(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t') || !c.is_ascii()
}

fn push_decimal(c: char, out: &mut String) {
    let _ = write!(out, "&#{};", u32::from(c));
}

fn push_lower(c: char, out: &mut String) {
    let _ = write!(out, "&#x{:x};", u32::from(c));
}

fn push_upper(c: char, out: &mut String) {
    let _ = write!(out, "&#x{:X};", u32::from(c));
}
