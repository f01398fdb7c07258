//! An event as it is stored.

use std::sync::Arc;

use claviger_core::{EnvironmentName, EventName, subject_token};
use claviger_crypto::sha256;
use claviger_store::Subject;
use serde::{Deserialize, Serialize};

use super::base64_bytes;

/// What callers emitted. Both envelopes are sealed as `Binding::Event` of the environment and the id.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) environment: String,
    pub(crate) at: i64,
    #[serde(with = "base64_bytes")]
    pub(crate) data: Arc<[u8]>,
    /// The data with secret values masked, when one of those in use stood in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) view: Option<Envelope>,
}

impl StoredEvent {
    /// Its environment and name. `None` when they are no names.
    pub(crate) fn place(&self) -> Option<(EnvironmentName, EventName)> {
        Some((self.environment.parse().ok()?, self.name.parse().ok()?))
    }
}

/// An envelope that may be missing.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Envelope(#[serde(with = "base64_bytes")] pub(crate) Arc<[u8]>);

/// `event.<environment>.<the name's segments as tokens>`.
pub(crate) fn event_subject(environment: &EnvironmentName, name: &EventName) -> Subject {
    Subject::new(&tokens(environment, name).iter().map(String::as_str).collect::<Vec<_>>())
}

/// The same with a token that stands for an id: a subject of the event's own, which guards the id for as long as the event
/// is kept.
pub(crate) fn guarded_event_subject(environment: &EnvironmentName, name: &EventName, id: &str) -> Subject {
    let mut tokens = tokens(environment, name);
    tokens.push(sha256(id.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect());
    Subject::new(&tokens.iter().map(String::as_str).collect::<Vec<_>>())
}

fn tokens(environment: &EnvironmentName, name: &EventName) -> Vec<String> {
    let head = ["event", environment.as_str()].map(str::to_owned);
    head.into_iter().chain(name.as_str().split('.').map(|segment| subject_token(segment, sha256))).collect()
}
