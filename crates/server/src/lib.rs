//! The HTTP server: REST, event streams, worker sessions.
//!
//! It translates between `claviger-api` and `claviger-engine` and decides nothing: a rule that the command line or an SDK
//! needs too lives in the engine or in `claviger-core`.

#![forbid(unsafe_code)]

mod app;
mod body;
mod caller;
mod cors;
mod door;
mod edge;
mod failure;
mod listener;
mod mount;
mod openapi;
mod path;
mod query;
mod request_id;
mod routes;
mod server;
mod throttle;
mod worker;

pub use mount::Mount;
pub use openapi::openapi_json;
pub use server::{Error, MasterKeyOrigin, Options, Server};
