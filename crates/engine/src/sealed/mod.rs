//! Stores whose names are sealed: whoever can watch the store, and has no key, learns no name.
//!
//! What such a store holds, beside the keyring and the marker that says so:
//!
//! - Subjects whose tokens are hashes, but for the first, which says what kind of thing it is. A token's hash covers the
//!   stream and all tokens before it, so that filters work as they do on plain subjects, and the same name under two
//!   environments, or in two streams, has hashes that nobody can connect.
//! - Records that hold their subject and their bytes under one seal, bound to stream and sealed subject.
//! - Message ids, topics of the queue and hints, which are hashed or sealed too.
//!
//! The number of things, which records belong to one of them, their lengths and times are to be seen all the same.

mod ledger;
mod marker;
mod names;
mod queue;

use std::sync::Arc;

use claviger_crypto::Keyring;
use claviger_store::{Ledger, Queue};

pub use ledger::SealedLedger;
pub use queue::SealedQueue;

pub(crate) use marker::{names_subject, stored};

use crate::Error;

/// How the names in a store stand there. Decided when the store is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// In the clear: in subjects, and in what is signed and not sealed.
    #[default]
    Plain,
    /// Nowhere but under seals.
    Sealed,
}

impl Names {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Names::Plain => "plain",
            Names::Sealed => "sealed",
        }
    }
}

/// The ledger and the queue as the engine uses them. Marks a new store; refuses one that is marked otherwise.
///
/// # Errors
/// [`Error::NamesMismatch`], [`Error::Corrupt`] when the marker does not verify, and what the store says.
pub(crate) async fn open(
    names: Names,
    keyring: &Keyring,
    (ledger, queue): (Arc<dyn Ledger>, Arc<dyn Queue>),
) -> Result<(Arc<dyn Ledger>, Arc<dyn Queue>), Error> {
    marker::agree(&*ledger, keyring, names).await?;
    Ok(match names {
        Names::Plain => (ledger, queue),
        Names::Sealed => (Arc::new(SealedLedger::new(ledger, keyring)), Arc::new(SealedQueue::new(queue, keyring))),
    })
}
