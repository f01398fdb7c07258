//! The frames of the worker protocol, version 1 (`spec/worker-protocol.md`). JSON that is only passed on stays text.

mod from;
mod to;

pub use from::{FrameError, FromWorker, Hello, LookupFrame, LookupSpace, Outcome, RunFrame, Trigger, WorkerFunction};
pub use to::{FoundSecret, Job, JobEvent, JobSecret, JobStep, LookedUp, ToWorker, ValueText};

/// The subprotocol of the WebSocket.
pub const SUBPROTOCOL: &str = "claviger.worker.v1";

/// The version in `hello` and `registered`.
pub const PROTOCOL: u32 = 1;

/// Most bytes in one message.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
