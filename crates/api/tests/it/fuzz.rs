//! The fuzzing targets that try this crate, without a fuzzer.

#[path = "../../../../fuzz/src/smoke.rs"]
mod smoke;
#[path = "../../../../fuzz/src/api.rs"]
#[allow(unreachable_pub, reason = "the fuzzer calls them too")]
mod targets;

use smoke::smoke;

#[test]
fn frames_of_any_bytes() {
    smoke("frame", targets::frame);
}

#[test]
fn bodies_of_any_bytes() {
    smoke("set_secret", targets::set_secret);
}
