//! A function's declaration as it is stored.

use std::{sync::Arc, time::Duration};

use claviger_core::{EventPosition, FunctionId, Pattern, SecretName, Timestamp, run::Retry};
use serde::{Deserialize, Serialize};

use super::run::{position_form, read_position};
use crate::runtime::{DeclaredSecret, FunctionSpec};

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredFunction {
    pub(crate) id: String,
    triggers: Vec<String>,
    secrets: Vec<(String, bool)>,
    attempts: u32,
    initial_ms: u64,
    factor: f64,
    max_ms: u64,
    concurrency: Option<u32>,
    timeout_ms: Option<u64>,
    pub(crate) by: Arc<str>,
    pub(crate) at: i64,
    /// Of each trigger: events up to there start nothing.
    after: Vec<[u64; 3]>,
}

impl StoredFunction {
    pub(crate) fn new(spec: &FunctionSpec, by: Arc<str>, at: Timestamp, after: Vec<EventPosition>) -> StoredFunction {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        StoredFunction {
            id: spec.id.to_string(),
            triggers: spec.triggers.iter().map(ToString::to_string).collect(),
            secrets: spec.secrets.iter().map(|s| (s.name.to_string(), s.required)).collect(),
            attempts: spec.retry.max_attempts,
            initial_ms: millis(spec.retry.initial_delay),
            factor: spec.retry.backoff_factor,
            max_ms: millis(spec.retry.max_delay),
            concurrency: spec.concurrency,
            timeout_ms: spec.timeout.map(millis),
            by,
            at: at.0,
            after: after.into_iter().map(position_form).collect(),
        }
    }

    /// From where each trigger counts.
    pub(crate) fn after(&self) -> Vec<EventPosition> {
        self.after.iter().copied().map(read_position).collect()
    }

    pub(crate) fn read(&self) -> Option<FunctionSpec> {
        let declared = |(name, required): &(String, bool)| {
            Some(DeclaredSecret { name: name.parse::<SecretName>().ok()?, required: *required })
        };
        Some(FunctionSpec {
            id: self.id.parse::<FunctionId>().ok()?,
            triggers: self.triggers.iter().map(|t| t.parse::<Pattern>().ok()).collect::<Option<_>>()?,
            secrets: self.secrets.iter().map(declared).collect::<Option<_>>()?,
            retry: Retry {
                max_attempts: self.attempts,
                initial_delay: Duration::from_millis(self.initial_ms),
                backoff_factor: self.factor,
                max_delay: Duration::from_millis(self.max_ms),
            },
            concurrency: self.concurrency,
            timeout: self.timeout_ms.map(Duration::from_millis),
        })
    }
}
