//! What users of the crate rely on.

mod api_key;
mod hardening;
mod keyring;
mod opaque;
mod sealing;
