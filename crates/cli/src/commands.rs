//! The commands, a file each. Those that talk to a server know nothing that it does not tell everybody.

pub(crate) mod api_key;
pub(crate) mod completion;
pub(crate) mod config_file;
pub(crate) mod environment;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod function;
mod json_argument;
mod name;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod secret;
mod secret_block;
mod secret_explain;
mod secret_table;
pub(crate) mod secret_value;
pub(crate) mod space;
pub(crate) mod subscribe;
pub(crate) mod version;

use std::time::Duration;

/// Reads a duration such as `90s`, `15m`, `24h` or `30d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("a duration is a number and a unit: `90s`, `15m`, `24h`, `30d`".to_owned()),
    };
    let number: u32 = digits.parse().map_err(|_| "a duration begins with a whole number".to_owned())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// A field of a list in one cell.
fn joined(items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        for text in ["", "10", "h", "-1h", "1.5h", "1w", "99999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
