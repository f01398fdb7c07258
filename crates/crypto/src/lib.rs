//! Keys, envelopes and API keys: everything in Claviger that touches a key.
//!
//! ```text
//! master key (the operator's 32 bytes, never stored)
//!   └─ wraps ─ keyring key and API-key pepper (one keyring record)
//!        ├─ HKDF-SHA-256 ─ sub-keys: of signatures, and of sealed names
//!        └─ wraps ─ data keys (one record each, bound to their environment)
//!             └─ HKDF-SHA-256 with the envelope's own salt ─ one AES-256-GCM key per envelope
//! ```
//!
//! All three layers share one construction, described in `sealed.rs`; what is sealed is bound to
//! what it is by [`Binding`]. The formats are fixed by the vectors in `spec/vectors`.
//!
//! A failure of the system's random source is not something a caller can handle: it panics.

mod api_key;
mod binding;
mod checksum;
mod data_key;
mod error;
mod fields;
mod hardening;
mod keyring;
mod locked;
mod master;
mod names;
mod primitives;
mod sealed;
#[cfg(test)]
mod vectors;

pub use api_key::{ALL_ENVIRONMENTS, ApiKey, ApiKeyError};
pub use binding::{Binding, View};
pub use data_key::DataKeyId;
pub use error::{Error, Fault, Record};
pub use hardening::{Hardening, harden_process};
pub use keyring::Keyring;
pub use locked::LockedKey;
pub use master::{Fingerprint, MasterKey, MasterKeyError};
pub use names::NameKey;
pub use primitives::{constant_time_eq, derive_id, random_bytes, sha256};
