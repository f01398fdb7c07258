use claviger_core::{Pattern, PatternError};
use proptest::prelude::*;

/// Tries every way in which the segments could stand for each other.
fn naive(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([">"], [_, ..]) => name.iter().all(|segment| !segment.is_empty()),
        (["*", pattern @ ..], [segment, name @ ..]) => !segment.is_empty() && naive(pattern, name),
        ([wanted, pattern @ ..], [segment, name @ ..]) => wanted == segment && naive(pattern, name),
        _ => false,
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

fn any_pattern() -> impl Strategy<Value = String> {
    "(a|b|\\*)(\\.(a|b|\\*)){0,3}(\\.>)?|>"
}

#[test]
fn examples() {
    for (pattern, name, expected) in [
        ("a", "a", true),
        ("a", "A", false),
        ("a", "a.b", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.>", "a.b.c", true),
        ("a.>", "a", false),
        (">", "a", true),
        ("*.b.>", "a.b.c", true),
        ("*", "", false),
        (">", "", false),
        ("a.>", "a.", false),
        (">", "a..b", false),
    ] {
        assert_eq!(pattern.parse::<Pattern>().expect("a pattern").matches(name), expected, "{pattern} on {name}");
    }
}

#[test]
fn what_is_refused() {
    for (text, expected) in [
        ("", PatternError::EmptySegment { segment: 1 }),
        ("a..b", PatternError::EmptySegment { segment: 2 }),
        ("a.", PatternError::EmptySegment { segment: 2 }),
        (">.a", PatternError::RestNotLast { segment: 1 }),
        ("a.>.>", PatternError::RestNotLast { segment: 2 }),
        ("a*", PatternError::BadSegment { segment: 1 }),
        ("a.b>", PatternError::BadSegment { segment: 2 }),
        ("a.**", PatternError::BadSegment { segment: 2 }),
        ("a b", PatternError::BadSegment { segment: 1 }),
        ("a.\u{0}", PatternError::BadSegment { segment: 2 }),
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(expected), "{text:?}");
    }
    assert_eq!("a".repeat(513).parse::<Pattern>(), Err(PatternError::TooLong));
    assert_eq!(["a"; 33].join(".").parse::<Pattern>(), Err(PatternError::TooLong));
    assert!(["a"; 32].join(".").parse::<Pattern>().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn like_a_naive_matcher(text in any_pattern(), name in "[ab.]{0,7}") {
        let pattern: Pattern = text.parse().expect("a pattern");
        prop_assert_eq!(pattern.matches(&name), naive(&segments(&text), &segments(&name)), "{} on {}", text, name);
    }

    #[test]
    fn read_and_written_without_change(text in any::<String>()) {
        if let Ok(pattern) = text.parse::<Pattern>() {
            prop_assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn covering_means_matching_whatever_the_other_matches(one in any_pattern(), other in any_pattern(), name in "[abc](\\.[abc]){0,4}") {
        let [one, other] = [one, other].map(|text| text.parse::<Pattern>().expect("a pattern"));
        prop_assert!(!(one.covers(&other) && other.matches(&name)) || one.matches(&name));
        prop_assert!(one.covers(&one));
        // A name that only `other`'s wildcards produce tells the two apart when `one` does not cover it.
        let witnesses = ["c", "c.c", "c.c.c"].map(|rest| other.as_str().replace('>', rest).replace('*', "c"));
        let all = witnesses.iter().all(|name| one.matches(name));
        prop_assert_eq!(one.covers(&other), all, "{} covers {}", one, other);
    }

    #[test]
    fn the_literal_head_is_in_every_match(text in any_pattern(), name in "[ab](\\.[ab]){0,4}") {
        let pattern: Pattern = text.parse().expect("a pattern");
        if let Some(head) = pattern.literal_head().filter(|_| pattern.matches(&name)) {
            prop_assert_eq!(Some(head), name.split('.').next());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), name in any::<String>()) {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let _ = pattern.matches(&name);
        }
    }
}
