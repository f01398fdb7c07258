//! The testbed against a client that knows nothing of it.

mod cluster;
mod one;
mod proxy;
mod support;
