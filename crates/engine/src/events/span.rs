//! Which streams a set of patterns can have events from.

use claviger_core::Pattern;
use claviger_store::Stream;

use super::cursor::STREAMS;

/// The streams to read for these patterns: the fewer, the less often a subscription is woken for nothing. At least one.
pub(super) fn streams_of(patterns: &[Pattern]) -> Vec<Stream> {
    let is_needed = |stream: &Stream| patterns.iter().any(|pattern| may_come_from(pattern, *stream));
    let mut needed: Vec<Stream> = STREAMS.iter().map(|(stream, _)| *stream).filter(is_needed).collect();
    if needed.is_empty() {
        // Nothing fits; the subscription stands all the same.
        needed.push(Stream::Access);
    }
    needed
}

fn may_come_from(pattern: &Pattern, stream: Stream) -> bool {
    let names: &[&[&str]] = match stream {
        Stream::Events => return pattern.literal_head() != Some("system"),
        Stream::Secrets => &[&["system", "secret", "*", "*"]],
        _ => &[&["system", "apikey", "*"], &["system", "environment", "*"], &["system", "space", "*"]],
    };
    names.iter().any(|name| overlaps(pattern, name))
}

/// Whether a name can fit both the pattern and these segments, where `*` stands for any.
fn overlaps(pattern: &Pattern, name: &[&str]) -> bool {
    let mut name = name.iter();
    for wanted in pattern.as_str().split('.') {
        match (wanted, name.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) | (_, Some(&"*")) => {}
            (wanted, Some(&segment)) if wanted == segment => {}
            _ => return false,
        }
    }
    name.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_streams_that_can_have_a_fitting_event_are_read() {
        use Stream::{Access, Events, Secrets};
        for (patterns, streams) in [
            (&["order.created"][..], &[Events][..]),
            (&["order.*", "system.secret.KEY.updated"], &[Events, Secrets]),
            (&["system.secret.*.updated"], &[Secrets]),
            (&["system.secret.>"], &[Secrets]),
            (&["system.apikey.revoked"], &[Access]),
            (&["system.space.created"], &[Access]),
            (&["system.*.created"], &[Access]),
            (&["system.*.*.created"], &[Secrets]),
            (&["system.>"], &[Secrets, Access]),
            (&["*.secret.KEY.updated"], &[Events, Secrets]),
            (&["*"], &[Events]),
            (&[">"], &[Events, Secrets, Access]),
            (&["system.unknown"], &[Access]),
        ] {
            let patterns: Vec<Pattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(streams_of(&patterns), streams, "{patterns:?}");
        }
    }
}
