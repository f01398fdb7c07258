//! The routes on an engine in memory, asked as the clients ask. The clients themselves are in the tests of `claviger-cli`.

mod events;
mod places;
mod refusals;
mod sea;
mod secrets;
mod several_servers;
mod support;
