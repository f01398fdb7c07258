//! NATS JetStream.

mod conformance;
mod credentials;
mod erased;
mod faults;
mod full;
mod gone;
mod house;
mod key_value;
mod lost;
mod queue;
mod settings;
mod storm;
mod together;
