//! The forms that ordinary software turns a value into.

use zeroize::Zeroizing;

use super::MIN_MASKABLE_BYTES;

mod base64;
mod json;
mod markup;
mod percent;
mod shell;

/// One form of a value; wiped when dropped.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// Longest form that is looked for as a whole, in bytes.
const PIECE_BYTES: usize = 1024;
/// Shortest line of a multi-line value that is looked for, in bytes.
const MIN_LINE_BYTES: usize = 8;

/// Hexadecimal digits in one case.
type Digits = &'static [u8; 16];
const LOWER: Digits = b"0123456789abcdef";
const UPPER: Digits = b"0123456789ABCDEF";

/// All forms of a value, cut into pieces, none shorter than [`MIN_MASKABLE_BYTES`].
pub(super) fn forms_of(value: &[u8]) -> Vec<Bytes> {
    let mut forms = Vec::new();
    push_encodings(value, &mut forms);
    let trimmed = value.trim_ascii();
    if trimmed.len() < value.len() && trimmed.len() >= MIN_MASKABLE_BYTES {
        push_encodings(trimmed, &mut forms);
    }
    drop_repeated(&mut forms);
    push_nested(&mut forms);
    for line in lines(value) {
        push_escapes(line, &mut forms);
    }
    push_utf16(value, &mut forms);
    forms.retain(|form| form.len() >= MIN_MASKABLE_BYTES);
    drop_repeated(&mut forms);
    forms.into_iter().flat_map(pieces).collect()
}

fn drop_repeated(forms: &mut Vec<Bytes>) {
    forms.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
    forms.dedup();
}

fn push_encodings(value: &[u8], forms: &mut Vec<Bytes>) {
    push_escapes(value, forms);
    base64::push_all(value, forms);
    forms.extend([LOWER, UPPER].map(|digits| collect(value.iter().flat_map(|&byte| hex_pair(byte, digits)))));
}

/// The value itself and its escapes.
fn push_escapes(value: &[u8], forms: &mut Vec<Bytes>) {
    forms.push(copied(value));
    percent::push_all(value, forms);
    let text = readable(value);
    forms.push(copied(text.as_bytes()));
    json::push_all(&text, forms);
    markup::push_all(&text, forms);
    shell::push_all(&text, forms);
}

/// The value as a program shows it that takes it for text; empty if nothing readable is left then.
fn readable(value: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(value).into_owned());
    let telling = text.chars().filter(|&c| c != char::REPLACEMENT_CHARACTER).count();
    if telling < MIN_MASKABLE_BYTES && std::str::from_utf8(value).is_err() { Zeroizing::default() } else { text }
}

/// A text inside a JSON string or a URL is escaped once more.
fn push_nested(forms: &mut Vec<Bytes>) {
    for at in 0..forms.len() {
        let Ok(text) = std::str::from_utf8(&forms[at]) else { continue };
        let nested = [json::nested(text), json::nested_with_solidus(text), percent::nested(text)];
        forms.extend(nested.into_iter().flatten());
    }
}

fn push_utf16(value: &[u8], forms: &mut Vec<Bytes>) {
    for part in [value, value.trim_ascii()].into_iter().chain(lines(value)) {
        if part.len() >= MIN_MASKABLE_BYTES
            && let Ok(text) = std::str::from_utf8(part)
        {
            forms.push(collect(text.encode_utf16().flat_map(u16::to_le_bytes)));
            forms.push(collect(text.encode_utf16().flat_map(u16::to_be_bytes)));
        }
    }
}

/// The lines of a multi-line value that are long enough, without surrounding white space.
fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let multi_line = value.trim_ascii().contains(&b'\n');
    let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(move |line| multi_line && line.len() >= MIN_LINE_BYTES)
}

/// Cuts a long form; the last piece overlaps the one before it.
fn pieces(form: Bytes) -> Vec<Bytes> {
    if form.len() <= PIECE_BYTES {
        return vec![form];
    }
    let last = &form[form.len() - PIECE_BYTES..];
    form.chunks_exact(PIECE_BYTES).chain([last]).map(copied).collect()
}

fn hex_pair(byte: u8, digits: Digits) -> [u8; 2] {
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

fn copied(bytes: &[u8]) -> Bytes {
    Zeroizing::new(bytes.to_vec())
}

/// Collects bytes into a buffer that never grows, so that no copy is left behind.
fn collect(bytes: impl Iterator<Item = u8> + Clone) -> Bytes {
    let mut form = Zeroizing::new(Vec::with_capacity(bytes.clone().count()));
    form.extend(bytes);
    form
}

/// The text with every character written by `escape`; `None` if that makes nothing longer, which is
/// when nothing had to be escaped. ASCII letters and digits never are.
fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Option<Bytes> {
    let mut unit = Zeroizing::new(String::with_capacity(32));
    let mut length = text.len();
    for c in text.chars().filter(|c| !c.is_ascii_alphanumeric()) {
        unit.clear();
        escape(c, &mut unit);
        length += unit.len() - c.len_utf8();
    }
    if length == text.len() {
        return None;
    }
    let mut form = Zeroizing::new(String::with_capacity(length));
    for c in text.chars() {
        if c.is_ascii_alphanumeric() { form.push(c) } else { escape(c, &mut form) }
    }
    Some(Zeroizing::new(std::mem::take(&mut *form).into_bytes()))
}
