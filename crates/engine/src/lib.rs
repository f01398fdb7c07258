//! The services that make the rules happen: [`vault`], [`spaces`], [`access`], [`audit`],
//! [`events`], [`runtime`].
//!
//! The only place where the rules (`claviger-core`), the keys (`claviger-crypto`) and the store (`claviger-store`) meet.
//! Every operation takes the [`Caller`](claviger_core::Caller) and authorizes it before anything else. No type that the
//! management plane returns can hold a secret's value.

#![forbid(unsafe_code)]

pub mod access;
pub mod audit;
mod clock;
mod engine;
mod error;
pub mod events;
mod folded;
mod follow;
mod keys;
mod live;
mod page;
mod record;
mod reseal;
pub mod runtime;
mod sealed;
mod shared;
pub mod spaces;
pub mod vault;

pub use claviger_crypto::derive_id;
pub use clock::{Clock, WallClock};
pub use engine::{Engine, Parts};
pub use error::Error;
pub use live::{LiveHold, LiveValues};
pub use page::Page;
pub use reseal::Reseal;
pub use sealed::{Names, SealedLedger, SealedQueue};
