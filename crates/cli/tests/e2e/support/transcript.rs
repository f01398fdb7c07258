//! Keeps what programs and servers said, to be searched afterwards.

use std::sync::{Arc, Mutex, PoisonError};

/// Everything that was said at one place, in order. Clones write into the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(Arc<Mutex<Vec<u8>>>);

impl Transcript {
    pub(crate) fn add(&self, bytes: impl AsRef<[u8]>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes.as_ref());
        all.push(b'\n');
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
