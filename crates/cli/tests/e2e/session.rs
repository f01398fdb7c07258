//! Whole sessions: what a user does, with the real binary and with workers of both SDKs.

mod failures;
mod lifecycle;
mod listeners;
mod secrets;
mod steps;
mod typed;
mod workers;
