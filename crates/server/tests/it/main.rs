//! A real server on a free port, with a real engine on a SQLite store, driven as its clients drive it.

mod access;
mod bad_input;
mod browsers;
mod events;
mod log;
mod openapi;
mod path;
mod runs;
mod secrets;
mod shutdown;
mod spaces;
mod support;
mod time_limits;
mod worker;
mod worker_spaces;
