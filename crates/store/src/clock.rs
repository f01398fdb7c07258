//! The backend's clock, which stamps records.

use std::time::{SystemTime, UNIX_EPOCH};

use claviger_core::Timestamp;

/// Now; the epoch when the machine's clock is before it.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since_epoch)
}
