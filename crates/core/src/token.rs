//! Names as subject tokens.

/// Longest token written out in full, in bytes; a longer one is replaced by its hash.
const MAX_TOKEN_BYTES: usize = 200;

/// Encodes a name as one token of a subject: bytes in `[A-Za-z0-9_-]` stay, every other byte is
/// written `=XX` (two upper-case hex digits). Over 200 bytes the token is `=h` and `hash(name)` in
/// hex, where `hash` is a collision-resistant 32-byte hash supplied by the caller (SHA-256).
/// Injective: equal tokens mean equal names.
pub fn subject_token(name: &str, hash: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            token.push(char::from(byte));
        } else {
            push_escape(&mut token, byte);
        }
    }
    if token.len() <= MAX_TOKEN_BYTES {
        return token;
    }
    let mut hashed = String::with_capacity(2 + 64);
    hashed.push_str("=h");
    for byte in hash(name.as_bytes()) {
        hashed.push_str(&format!("{byte:02x}"));
    }
    hashed
}

fn push_escape(token: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    token.push('=');
    token.push(char::from(HEX[usize::from(byte >> 4)]));
    token.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Reads a token back into the name it stands for. `None` for a hashed token and for anything
/// [`subject_token`] does not write.
#[must_use]
pub fn token_to_name(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = match first {
            b'=' => {
                let digits = tail.get(..2)?;
                if !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'A'..=b'F')) {
                    return None;
                }
                let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                    return None;
                }
                bytes.push(byte);
                &tail[2..]
            }
            b'_' | b'-' => {
                bytes.push(first);
                tail
            }
            _ if first.is_ascii_alphanumeric() => {
                bytes.push(first);
                tail
            }
            _ => return None,
        };
    }
    String::from_utf8(bytes).ok()
}
