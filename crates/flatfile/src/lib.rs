//! The protocol of the Flatfile clients, `@flatfile/listener` and `@flatfile/api`: environments, spaces, secrets, events.
//!
//! It translates between their JSON and `claviger-engine`, and can be removed without anything else noticing. A caller has
//! been found and comes with each request as an extension. What it serves, and every choice where the protocol leaves one,
//! is in `docs/reference/flatfile.md`.

#![forbid(unsafe_code)]

mod actor;
mod agents;
mod app;
mod body;
mod environments;
mod events;
mod id;
mod known_ids;
mod metadata;
mod places;
mod query;
mod refusal;
mod router;
mod secrets;
mod spaces;

pub use refusal::refusal;
pub use router::{PATH, routes};
