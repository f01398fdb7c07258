//! Quoting of POSIX shells (POSIX.1-2024, Shell Command Language, section 2.2).

use super::{Bytes, escaped};

/// The text in single quotes, in double quotes, behind backslashes and in dollar-single-quotes,
/// without the outer quotes.
pub(super) fn push_all(text: &str, forms: &mut Vec<Bytes>) {
    forms.extend(quoted(text, "'\\''"));
    forms.extend(quoted(text, "'\"'\"'"));
    forms.extend(backslashed(text, |c| matches!(c, '$' | '`' | '"' | '\\')));
    forms.extend(backslashed(text, |c| matches!(c, '$' | '`' | '"' | '\\' | '!')));
    forms.extend(backslashed(text, |c| c.is_ascii() && !is_safe(c) && c != '\n'));
    forms.extend(escaped(text, |c, out| match c {
        '\'' => out.push_str("\\'"),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => out.push(c),
    }));
}

fn quoted(text: &str, quote: &str) -> Option<Bytes> {
    escaped(text, |c, out| match c {
        '\'' => out.push_str(quote),
        _ => out.push(c),
    })
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> Option<Bytes> {
    escaped(text, |c, out| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    })
}

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.,:/@%+=".contains(c)
}
