//! What is tried with any bytes: one function for each target, by the crate whose code it tries. Each panics when a promise
//! does not hold.

pub mod api;
pub mod core;
pub mod crypto;
pub mod engine;
