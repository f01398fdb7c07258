//! The vocabulary and the rules of Claviger, as values and pure functions.
//!
//! Nothing here reads a clock, draws a random number, touches a file or a socket: time and
//! randomness arrive as arguments. Nothing here derives `Serialize`: wire types live in
//! `claviger-api`, stored types in `claviger-engine`.

#![forbid(unsafe_code)]

mod caller;
pub mod condition;
mod error;
mod event;
mod name;
mod pattern;
mod redact;
mod resolve;
mod revision;
pub mod run;
mod scope;
pub mod secret;
mod time;
mod token;
mod value;

pub use caller::{Bounds, Caller, Permission, Reach, Role, UnknownRole};
pub use error::ErrorKind;
pub use event::{EventName, SYSTEM_PREFIX};
pub use name::{EnvironmentName, FunctionId, NameError, SecretName, SpaceName};
pub use pattern::{Pattern, PatternError};
pub use redact::{MIN_MASKABLE_BYTES, Mask, Redactor, RedactorBuilder, StreamRedactor, contains_mask};
pub use resolve::{Resolution, Tried, Verdict, resolve, resolve_among};
pub use revision::{EventPosition, Incarnation, Revision};
pub use scope::Scope;
pub use time::Timestamp;
pub use token::{subject_token, token_to_name};
pub use value::SecretValue;
