//! Reads a JSON string that holds a value straight from the input into memory that is wiped: `serde_json` would keep what
//! it unescapes in a buffer of its own.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::SecretText;

/// For `#[serde(deserialize_with)]` of a member that holds a value. The input has to be borrowed, as
/// `serde_json::from_slice` does.
///
/// # Errors
/// When it is not a string, in the deserializer's words.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    unescape(raw.get()).map(SecretText::new).ok_or_else(|| D::Error::custom("not a string"))
}

/// The text that a JSON string stands for. `None` if it is none, or has half of a surrogate pair.
fn unescape(json: &str) -> Option<Zeroizing<String>> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    // No escape is shorter than what it stands for: the buffer never moves.
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (character, after) = escape(&rest[at + 1..])?;
        text.push(character);
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// Reads what stands after a backslash.
fn escape(text: &str) -> Option<(char, &str)> {
    let kind = text.chars().next()?;
    let after = &text[kind.len_utf8()..];
    let character = match kind {
        '"' | '\\' | '/' => kind,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return code_point(after),
        _ => return None,
    };
    Some((character, after))
}

fn code_point(text: &str) -> Option<(char, &str)> {
    let (first, after) = unit(text)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, after));
    }
    let (second, after) = unit(after.strip_prefix("\\u")?)?;
    let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((first - 0xD800) << 10) + low)?, after))
}

fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok())?.map(|unit| (unit, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        #[serde(deserialize_with = "read")]
        value: SecretText,
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        for json in [
            r#""""#,
            r#""plain""#,
            r#""line\nline\r\n\ttab \"quoted\" \\ \/ \b\f""#,
            r#""\u0041\u00e9\u20ac\ud83d\ude00\u0000""#,
            "\"é€😀\"",
            r#""\\u0041""#,
        ] {
            let holder: Holder = serde_json::from_str(&format!("{{\"value\": {json}}}")).unwrap();
            assert_eq!(holder.value.reveal(), serde_json::from_str::<String>(json).unwrap(), "{json}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for json in
            ["1", "null", "{}", "[\"a\"]", "true", r#""\ud83d""#, r#""\ud83dx""#, r#""\ude00""#, r#""\ud83d\u0041""#]
        {
            assert!(serde_json::from_str::<Holder>(&format!("{{\"value\": {json}}}")).is_err(), "{json}");
        }
    }
}
