//! Properties of the core's rules, checked on generated input.

mod fuzz;
mod names;
mod patterns;
mod redact;
mod redact_forms;
mod redact_json;
mod redact_stream;
mod run;
mod secret;
mod support;
mod tokens;
