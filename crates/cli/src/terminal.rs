//! Standard error, and what a terminal may be shown.

use std::{
    borrow::Cow,
    fmt,
    io::{self, IsTerminal, Write},
};

/// Writes a line to standard error. That nobody reads it is no error.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether colors and bold type may be used on standard error.
pub(crate) fn styles_stderr() -> bool {
    io::stderr().is_terminal() && allows_color()
}

/// Whether colors and bold type may be used on standard output.
pub(crate) fn styles_stdout() -> bool {
    io::stdout().is_terminal() && allows_color()
}

/// <https://no-color.org>: any text but the empty one forbids it.
fn allows_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The text without anything that a terminal would obey: control characters but line breaks, and those that change the
/// direction of writing, are shown by their code points.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            shown.push_str(&format!("<{:04X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_obeyed(c: char) -> bool {
    let is_bidirectional =
        matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n') || is_bidirectional
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(plain("two\nlines"), "two\nlines");
        assert_eq!(plain("\u{1b}[31mred\u{202e}"), "<001B>[31mred<202E>");
    }
}
