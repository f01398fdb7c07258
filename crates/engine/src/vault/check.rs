//! Which values may be set.

use claviger_core::{MIN_MASKABLE_BYTES, SecretValue, contains_mask};

use super::Short;
use crate::Error;

const MAX_DESCRIPTION: usize = 1_000;

/// Whether a value can be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maskable {
    Yes,
    No,
}

/// Checks a value against the published rules.
pub(super) fn check_value(value: &SecretValue, short: Short) -> Result<Maskable, Error> {
    let length = value.len();
    if length > SecretValue::MAX_BYTES {
        return Err(Error::ValueTooLarge { length, limit: SecretValue::MAX_BYTES });
    }
    if contains_mask(value.expose()) {
        return Err(Error::ValueIsMask);
    }
    match (length < MIN_MASKABLE_BYTES, short) {
        (false, _) => Ok(Maskable::Yes),
        (true, Short::Accept) => Ok(Maskable::No),
        (true, Short::Refuse) => Err(Error::ValueTooShort { length, limit: MIN_MASKABLE_BYTES }),
    }
}

pub(super) fn check_description(description: Option<&str>) -> Result<(), Error> {
    match description {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            Err(Error::invalid("a description has at most 1,000 characters"))
        }
        _ => Ok(()),
    }
}
