//! The fuzzing targets that try this crate, without a fuzzer.

#[path = "../../../../fuzz/src/smoke.rs"]
mod smoke;
#[path = "../../../../fuzz/src/engine.rs"]
#[allow(unreachable_pub, reason = "the fuzzer calls them too")]
mod targets;

use smoke::smoke;

#[test]
fn texts_like_cursors() {
    smoke("cursor", targets::cursor);
}

#[test]
fn records_of_any_bytes() {
    smoke("record", targets::record);
}
