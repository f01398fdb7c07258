//! The conformance suite over the backends of this crate, and what is particular to each.

mod memory;
mod nats;
mod power_loss;
mod sqlite;
