//! Stores whose names are sealed.

mod conformance;
mod damage;
mod places;
mod starting;

use std::sync::Arc;

use claviger_core::Revision;
use claviger_crypto::{Keyring, MasterKey};
use claviger_engine::{Error, Names, SealedLedger};
use claviger_store::{Append, Expected, Filter, Ledger, MemoryLedger, Record, Stream, Subject};

use crate::support::Store;

fn keyring() -> Keyring {
    Keyring::create(&MasterKey::generate()).0
}

/// A ledger with sealed names, and what is really stored.
fn sealed() -> (SealedLedger, Arc<MemoryLedger>) {
    let inner = Arc::new(MemoryLedger::new());
    (SealedLedger::new(inner.clone(), &keyring()), inner)
}

fn subject(text: &str) -> Subject {
    Subject::parse(text).expect("a subject")
}

async fn append(ledger: &dyn Ledger, stream: Stream, place: &str, bytes: &[u8]) -> Revision {
    let append = Append::new(stream, subject(place), bytes.to_vec(), Expected::Any);
    ledger.append(vec![append]).await.remove(0).expect("appended")
}

async fn all(ledger: &dyn Ledger, stream: Stream) -> Vec<Record> {
    ledger.read(stream, &Filter::All, Revision::ZERO, 1_000).await.expect("read")
}

/// A store whose engines seal names.
fn sealed_store() -> Store {
    Store { names: Names::Sealed, ..Store::memory() }
}

fn is_corrupt<T>(outcome: &Result<T, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code() == "store_corrupt")
}
