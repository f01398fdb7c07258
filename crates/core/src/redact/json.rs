//! Masks values in JSON texts without breaking them.

use std::{
    borrow::Cow,
    fmt::Write as _,
    iter::{Peekable, from_fn},
    ops::Range,
};

use zeroize::Zeroizing;

use super::{Redactor, index::Found};

/// What stands between two structural characters: a string with its quotes, a number or a word.
struct Token {
    all: Range<usize>,
    /// Without quotes.
    body: Range<usize>,
}

pub(super) fn redact<'t>(redactor: &Redactor, text: &'t str) -> Cow<'t, str> {
    let Some(tokens) = tokens(text).collect::<Option<Vec<Token>>>() else {
        return redactor.redact(text);
    };
    let mut from = 0;
    let found = from_fn(|| {
        let found = redactor.find(text.as_bytes(), from)?;
        from = found.start + 1;
        Some(found)
    });
    let mut crossings = Crossings { found: found.peekable(), furthest: None };
    let (mut out, mut copied) = (String::new(), 0);
    for token in tokens {
        let replacement = match crossings.touching(&token) {
            Some(found) => Some(quoted(redactor.mask(found).as_str())),
            None => redact_token(redactor, text, &token),
        };
        if let Some(replacement) = replacement {
            out.push_str(&text[copied..token.all.start]);
            out.push_str(&replacement);
            copied = token.all.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The tokens of a JSON text; the last item is `None` if a string does not end.
fn tokens(text: &str) -> impl Iterator<Item = Option<Token>> {
    let bytes = text.as_bytes();
    let is_structure = |byte: &u8| byte.is_ascii_whitespace() || b"[]{},:".contains(byte);
    let mut at = 0;
    from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| !is_structure(byte))?;
        if bytes[start] != b'"' {
            let ends = |byte: &u8| is_structure(byte) || *byte == b'"';
            at = bytes[start..].iter().position(ends).map_or(bytes.len(), |length| start + length);
            return Some(Some(Token { all: start..at, body: start..at }));
        }
        let Some(end) = string_end(bytes, start + 1) else {
            at = bytes.len();
            return Some(None);
        };
        at = end + 1;
        Some(Some(Token { all: start..at, body: start + 1..end }))
    })
}

fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The occurrences that are not inside one token.
struct Crossings<I: Iterator<Item = Found>> {
    found: Peekable<I>,
    furthest: Option<Found>,
}

impl<I: Iterator<Item = Found>> Crossings<I> {
    /// One that touches the token. Tokens arrive in the order of the text.
    fn touching(&mut self, token: &Token) -> Option<Found> {
        while let Some(found) = self.found.next_if(|found| found.start < token.all.end) {
            let inside = found.start >= token.body.start && found.end <= token.body.end;
            if !inside && self.furthest.is_none_or(|furthest| furthest.end < found.end) {
                self.furthest = Some(found);
            }
        }
        self.furthest.filter(|found| found.end > token.all.start)
    }
}

/// The token with its values masked; `None` if there are none.
fn redact_token(redactor: &Redactor, text: &str, token: &Token) -> Option<String> {
    let body = &text[token.body.clone()];
    if token.body == token.all {
        return redactor.find(body.as_bytes(), 0).map(|found| quoted(redactor.mask(found).as_str()));
    }
    let redacted = match body.contains('\\') {
        true => match redactor.redact(&unescaped(body)) {
            Cow::Owned(shown) => Cow::Owned(escaped(&shown)),
            Cow::Borrowed(_) => Cow::Borrowed(body),
        },
        false => redactor.redact(body),
    };
    // Escaping may spell a value where there was none, as `\n` does for one that begins with `n`.
    match redactor.find(redacted.as_bytes(), 0) {
        Some(found) => Some(quoted(redactor.mask(found).as_str())),
        None if matches!(redacted, Cow::Owned(_)) => Some(quoted(&redacted)),
        None => None,
    }
}

fn quoted(body: &str) -> String {
    format!("\"{body}\"")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// The characters that the body of a JSON string stands for. What is no proper escape is left as it is.
fn unescaped(body: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(body.len()));
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (c, length) = unescape(&rest[at..]).unwrap_or(('\\', 1));
        out.push(c);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// The character that the escape at the start of the text stands for, and the escape's length.
fn unescape(text: &str) -> Option<(char, usize)> {
    let c = match text.as_bytes().get(1)? {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'u' => return unescape_units(text),
        _ => return None,
    };
    Some((c, 2))
}

fn unescape_units(text: &str) -> Option<(char, usize)> {
    let first = unit(text)?;
    let second = text.get(6..).and_then(unit);
    let units = [Some(first), second].into_iter().flatten();
    match char::decode_utf16(units).next()? {
        Ok(c) => Some((c, 6 * c.len_utf16())),
        Err(_) => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}
