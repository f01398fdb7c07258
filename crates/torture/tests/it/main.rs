//! Tests of the torture run.

mod broken;
mod checker;
mod engines;
mod oracle;
mod self_test;
mod simulated;
