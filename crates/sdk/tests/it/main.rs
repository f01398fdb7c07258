//! The SDK against a scripted server, as `spec/worker-protocol.md` describes it.

mod client;
mod connection;
mod failures;
mod guides;
mod listeners;
mod lookups;
mod secrets;
mod server;
mod steps;
mod waits;
