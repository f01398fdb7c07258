//! What the wire types promise: forms, tolerance, silence about values.

mod body;
mod fuzz;
mod secret;
mod space;
mod worker;
