//! The fuzzing targets that try this crate, without a fuzzer.

#[path = "../../../../fuzz/src/smoke.rs"]
mod smoke;
#[path = "../../../../fuzz/src/crypto.rs"]
#[allow(unreachable_pub, reason = "the fuzzer calls them too")]
mod targets;

use smoke::smoke;

#[test]
fn envelopes_that_nobody_sealed() {
    smoke("envelope", targets::envelope);
}

#[test]
fn keyrings_that_nobody_wrapped() {
    smoke("keyring", targets::keyring);
}

#[test]
fn texts_like_api_keys() {
    smoke("api_key", targets::api_key);
}
