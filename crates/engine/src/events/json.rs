//! Event data: JSON text on one line.

use serde_json::value::RawValue;

use crate::Error;

/// Largest event data, in bytes.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Deepest nesting of arrays and objects in event data.
pub const MAX_EVENT_DEPTH: usize = 128;

/// Checks that the bytes are one JSON text within the limits, and takes the white space between its tokens out, so that
/// what is stored is one line. Everything else, numbers too, stays as it was written. Errors never repeat content.
pub(super) fn compact(data: &[u8]) -> Result<Box<RawValue>, Error> {
    if data.len() > MAX_EVENT_BYTES {
        return Err(Error::BodyTooLarge { what: "an event's data", length: data.len(), limit: MAX_EVENT_BYTES });
    }
    // The library's own errors name a line and a column, and quote nothing when the target is raw.
    let raw: &RawValue = serde_json::from_slice(data).map_err(|error| {
        Error::invalid(format!("the event's data is not JSON at line {}, column {}", error.line(), error.column()))
    })?;
    let line = strip("the event's data", raw.get())?;
    RawValue::from_string(line).map_err(|_| Error::Bug { what: "JSON without its white space is JSON" })
}

/// The text of a JSON value without the white space between tokens. The error says what it is.
pub(crate) fn strip(what: &str, json: &str) -> Result<String, Error> {
    let mut line = String::with_capacity(json.len());
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for c in json.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            ' ' | '\t' | '\r' | '\n' => continue,
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth > MAX_EVENT_DEPTH {
            return Err(Error::invalid(format!("{what} is nested deeper than {MAX_EVENT_DEPTH} levels")));
        }
        line.push(c);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_one_line_and_otherwise_as_written() {
        for (given, stored) in [
            ("null", "null"),
            (" {\r\n \"a b\" : [ 1.0 , 1e2 ,\t-0 ] } \n", r#"{"a b":[1.0,1e2,-0]}"#),
            (r#"{ "a\" b" : "c \\" , "d" : " [ { " }"#, r#"{"a\" b":"c \\","d":" [ { "}"#),
            (r#""\u00e9 é""#, r#""\u00e9 é""#),
        ] {
            assert_eq!(compact(given.as_bytes()).unwrap().get(), stored);
        }
    }

    #[test]
    fn what_is_not_json_is_refused_without_being_repeated() {
        let canary = "canary-6b1f";
        for given in [
            "",
            " ",
            "{",
            "nul",
            "1 2",
            "{\"a\":}",
            "'a'",
            "{\"a\":1,}",
            "[1,]",
            "NaN",
            "\u{feff}1",
            "\"a\u{1}b\"",
            &format!("{{{canary}: 1}}"),
            &format!("\"{canary}"),
            canary,
            &format!("{{\"a\": {canary}}}"),
        ] {
            let error = compact(given.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "invalid_request", "{given}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        assert!(compact(b"\"\xff\"").is_err());
    }

    #[test]
    fn depth_and_length_are_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(compact(nested(MAX_EVENT_DEPTH).as_bytes()).is_ok());
        assert_eq!(compact(nested(MAX_EVENT_DEPTH + 1).as_bytes()).unwrap_err().code(), "invalid_request");
        assert!(compact(nested(100_000).as_bytes()).is_err());
        let text = |length: usize| format!("\"{}\"", "a".repeat(length - 2));
        assert!(compact(text(MAX_EVENT_BYTES).as_bytes()).is_ok());
        assert_eq!(compact(text(MAX_EVENT_BYTES + 1).as_bytes()).unwrap_err().code(), "event_too_large");
    }
}
