//! JSON in and out of frames.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;

/// The most JSON the server takes for an event's data, a step's result or a run's result.
const MOST_BYTES: usize = 256 * 1024;

/// Writes a value; `what` names it in errors.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, what: impl Fn() -> String) -> Result<Box<RawValue>, Error> {
    // The reason is left out on purpose: messages of serializers may quote the value.
    let json = to_raw_value(value).map_err(|_| Error::NotJson { what: what() })?;
    let bytes = json.get().len();
    if bytes > MOST_BYTES {
        return Err(Error::TooLarge { what: what(), bytes });
    }
    Ok(json)
}

/// Reads a value; `what` names it in errors, which do not quote it.
pub(crate) fn decode<T: DeserializeOwned>(json: &RawValue, what: impl Fn() -> String) -> Result<T, Error> {
    serde_json::from_str(json.get()).map_err(|_| Error::Mismatch { what: what(), expected: std::any::type_name::<T>() })
}

/// `null`.
pub(crate) fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}
