//! What every service of the engine holds.

use std::sync::Arc;

use claviger_core::Timestamp;
use claviger_crypto::Keyring;
use claviger_store::{Append, Expected, Index, Ledger, Queue, Record, Stream, Subject};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Clock, Error, LiveValues, record};

/// The store, the keys, the clock. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Values in use right now, masked in every log line.
    pub(crate) live: LiveValues,
    /// Background tasks of the engine, and the signal that ends them.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An append of a signed record.
    pub(crate) fn sign<T: Serialize>(&self, stream: Stream, subject: Subject, body: &T, expected: Expected) -> Append {
        record::sign(&self.keyring, (stream, subject), body, expected)
    }

    /// Reads a signed record back. One that does not verify is corruption.
    pub(crate) fn verify<T: DeserializeOwned>(&self, stream: Stream, stored: &Record) -> Result<T, Error> {
        record::verify(&self.keyring, stream, stored)
    }

    /// Appends one record.
    pub(crate) async fn append(&self, append: Append) -> Result<claviger_core::Revision, Error> {
        let results = self.ledger.append(vec![append]).await;
        let one = results.into_iter().next().ok_or(Error::Bug { what: "the ledger answered fewer results" })?;
        Ok(one?)
    }
}
