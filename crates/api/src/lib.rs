//! Wire types of the HTTP API and of the worker protocol, and the public error codes.
//!
//! This crate knows none of our other types: the server translates. JSON members are camelCase. No type that a management
//! route answers with has room for a secret's value; the two that hold one, [`SetSecret`] on the way in and
//! [`worker::JobSecret`] on the way out to a worker, have no content in `Debug`.

#![forbid(unsafe_code)]

mod access;
mod audit;
mod code;
mod event;
mod health;
mod instant;
mod json_string;
mod problem;
mod run;
mod secret;
mod text;
pub mod worker;

pub use access::{
    AllEnvironments, ApiKey, ApiKeyList, CallerView, CreateApiKey, CreateEnvironment, CreatedApiKey, Environment,
    EnvironmentList, Reach,
};
pub use audit::{AuditEntry, AuditList, AuditOutcome, AuditedSecret};
pub use code::{CODES, Code, find_code};
pub use event::{EmitEvent, Emitted, Event, Gap};
pub use health::{Durability, Health, Ready};
pub use instant::Instant;
pub use problem::{PROBLEM_JSON, Problem};
pub use run::{
    CancelRun, Cancellation, Concurrency, DeclaredSecret, Delivery, EventRef, EventRuns, Function, FunctionFailure,
    FunctionList, Retry, Run, RunList, RunStatus, Step, StepStatus,
};
pub use secret::{Consistency, DeletedSecret, Encoding, Secret, SecretList, SecretVersion, SetSecret};
pub use text::SecretText;
