//! Wire types of the HTTP API and of the worker protocol, the public error codes, and how a request's body is read.
//!
//! This crate knows none of our other types: the server translates. JSON members are camelCase. No type that a management
//! route answers with has room for a secret's value; those that hold one, [`SetSecret`] on the way in, [`worker::JobSecret`] and
//! [`worker::FoundSecret`] on the way out to a worker, have no content in `Debug`.

#![forbid(unsafe_code)]

mod access;
mod audit;
mod body;
mod code;
mod event;
mod explanation;
mod health;
mod instant;
mod json_string;
mod problem;
mod run;
mod secret;
mod space;
mod text;
pub mod worker;

pub use access::{
    AllEnvironments, ApiKey, ApiKeyList, CallerView, CreateApiKey, CreateEnvironment, CreatedApiKey, Environment,
    EnvironmentList, Reach,
};
pub use audit::{AuditEntry, AuditList, AuditOutcome, AuditedSecret};
pub use body::{BodyError, MAX_REQUEST_BYTES, parse_object, read_body};
pub use code::{CODES, Code, find_code};
pub use event::{EmitEvent, Emitted, Event, Gap};
pub use explanation::{Explanation, Served, TrailEntry, Verdict};
pub use health::{Durability, Health, Ready};
pub use instant::Instant;
pub use json_string::read as read_secret_text;
pub use problem::{PROBLEM_JSON, Problem};
pub use run::{
    CancelRun, Cancellation, Concurrency, DeclaredSecret, Delivery, EventRef, EventRuns, Function, FunctionFailure,
    FunctionList, FunctionTrigger, MatchCondition, Retry, Run, RunList, RunStatus, Step, StepStatus,
};
pub use secret::{Consistency, DeletedSecret, Encoding, Origin, Secret, SecretList, SecretVersion, SetSecret};
pub use space::{CreateSpace, DeletedSpace, Space, SpaceList, UpdateSpace};
pub use text::SecretText;
