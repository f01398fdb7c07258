//! The binary as people use it.

mod api_key;
mod bad_input;
mod command_line;
mod config;
#[path = "../guide/mod.rs"]
mod guide;
mod master_key;
mod reference;
mod renewal;
mod session;
mod spaces;
mod subscribe;
mod support;
mod traces;
