//! The fuzzing targets that try this crate, without a fuzzer.

#[path = "../../../../fuzz/src/smoke.rs"]
mod smoke;
#[path = "../../../../fuzz/src/core.rs"]
#[allow(unreachable_pub, reason = "the fuzzer calls them too")]
mod targets;

use smoke::smoke;

#[test]
fn names_and_tokens() {
    smoke("names", targets::names);
}

#[test]
fn patterns_and_names() {
    smoke("pattern", targets::pattern);
}

#[test]
fn redactors_whole_in_parts_and_in_chunks() {
    smoke("redactor", targets::redactor);
}
