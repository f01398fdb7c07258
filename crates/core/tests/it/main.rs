//! Properties of the core's rules, checked on generated input.

mod conditions;
mod error_kinds;
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
