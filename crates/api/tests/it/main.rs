//! What the wire types promise: forms, tolerance, silence about values.

mod secret;
mod worker;
