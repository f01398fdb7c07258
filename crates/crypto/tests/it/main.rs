//! What users of the crate rely on.

mod api_key;
mod fuzz;
mod hardening;
mod keyring;
mod names;
mod opaque;
mod sealing;
