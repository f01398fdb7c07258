//! Limits of the runtime. Published in `spec/worker-protocol.md`.

use std::time::Duration;

/// Event data, a step's result, a run's result: bytes of JSON.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// An error's message, in bytes; longer ones are cut.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// An error's stack, in bytes; longer ones are cut.
pub(crate) const MAX_STACK_BYTES: usize = 16 * 1024;
/// Functions of one worker.
pub(crate) const MAX_FUNCTIONS: usize = 1_000;
/// Declared secrets of one function.
pub(crate) const MAX_SECRETS: usize = 100;
/// Triggers of one function.
pub(crate) const MAX_TRIGGERS: usize = 100;
/// Conditions of one trigger.
pub(crate) const MAX_CONDITIONS: usize = 32;
/// Spaces of one function.
pub(crate) const MAX_SPACES: usize = 1_000;
/// Look-ups of one job that may be unanswered at the same time.
pub const MAX_LOOKUPS: usize = 16;
/// Names that one job may look up, found or not, each counted in every scope in which it is looked for.
pub(crate) const MAX_NAMES: usize = 1_000;
/// Jobs one worker may hold.
pub(crate) const MAX_CREDIT: u32 = 1_024;
/// How often a worker is to be heard of.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// How long a claim stands without being renewed, where other servers share the store: so long must nothing have been
/// written about the run. Each server measures that by itself; no clocks are compared.
pub const LEASE: Duration = Duration::from_secs(30);
/// How old a claim must be to be renewed with the next heartbeat.
pub(crate) const RENEW_AFTER: Duration = Duration::from_secs(5);
/// How long an ended run's journal is kept.
pub(crate) const KEEP_RUNS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
