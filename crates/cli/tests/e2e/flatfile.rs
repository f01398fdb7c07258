//! The published clients `@flatfile/listener` and `@flatfile/api`, unmodified, against a real server.

mod bad_input;
mod clients;
mod events;
mod lifecycle;
mod places;
mod secrets;
