//! An event as it is stored.

use std::sync::Arc;

use claviger_core::{EnvironmentName, EventName, Scope, subject_token};
use claviger_crypto::{derive_id, sha256};
use claviger_store::Subject;
use serde::{Deserialize, Serialize};

use super::base64_bytes;

/// What callers emitted. Both envelopes are sealed as `Binding::Event` of the environment and the id.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) environment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) space: Option<String>,
    pub(crate) at: i64,
    #[serde(with = "base64_bytes")]
    pub(crate) data: Arc<[u8]>,
    /// The data with secret values masked, when one of those in use stood in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) view: Option<Envelope>,
}

impl StoredEvent {
    /// Its environment and space, and its name. `None` when they are no names.
    pub(crate) fn place(&self) -> Option<(Scope, EventName)> {
        // A space that does not read must not become no space.
        let space = self.space.as_deref().map(str::parse).transpose().ok()?;
        Some((Scope { environment: self.environment.parse().ok()?, space }, self.name.parse().ok()?))
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

/// The same with a token that stands for an id in its scope: a subject of the event's own, which guards the id for as long as
/// the event is kept.
pub(crate) fn guarded_event_subject(scope: &Scope, name: &EventName, id: &str) -> Subject {
    let mut tokens = tokens(&scope.environment, name);
    let hash = match &scope.space {
        None => sha256(id.as_bytes())[..16].to_vec(),
        Some(space) => derive_id(&[b"event", space.as_str().as_bytes(), id.as_bytes()]).to_vec(),
    };
    tokens.push(hash.iter().map(|byte| format!("{byte:02x}")).collect());
    Subject::new(&tokens.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What stands for an id in its scope where the store knows what was written. No environment's name has a `:`, no token a `/`.
pub(crate) fn event_message_id(scope: &Scope, id: &str) -> String {
    match &scope.space {
        None => format!("{}/{id}", scope.environment),
        Some(space) => format!("{}:{}/{id}", scope.environment, subject_token(space.as_str(), sha256)),
    }
}

fn tokens(environment: &EnvironmentName, name: &EventName) -> Vec<String> {
    let head = ["event", environment.as_str()].map(str::to_owned);
    head.into_iter().chain(name.as_str().split('.').map(|segment| subject_token(segment, sha256))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_unique_in_its_scope() {
        let scope = |space: Option<&str>| Scope {
            environment: "default".parse().unwrap(),
            space: space.map(|space| space.parse().unwrap()),
        };
        // Stores hold events under these.
        assert_eq!(event_message_id(&scope(None), "a/1"), "default/a/1");
        let name = "a.b".parse().unwrap();
        let subject = guarded_event_subject(&scope(None), &name, "1");
        assert_eq!(subject.as_str(), "event.default.a.b.6b86b273ff34fce19d6b804eff5a3f57");
        let places = [(None, "1"), (Some("acme"), "1"), (Some("a/1"), "1"), (Some("a"), "1/1"), (None, "acme/1")];
        let places = places.map(|(space, id)| (scope(space), id));
        for (at, (scope, id)) in places.iter().enumerate() {
            for (other, known) in &places[..at] {
                assert_ne!(event_message_id(scope, id), event_message_id(other, known));
                assert_ne!(guarded_event_subject(scope, &name, id), guarded_event_subject(other, &name, known));
            }
        }
    }

    #[test]
    fn a_space_that_does_not_read_is_not_no_space() {
        let stored = |space: &str| {
            let text = format!(r#"{{"id":"1","name":"a.b","environment":"default"{space},"at":7,"data":"AQ"}}"#);
            serde_json::from_str::<StoredEvent>(&text).unwrap()
        };
        let (scope, _) = stored("").place().unwrap();
        assert_eq!(scope, Scope::environment("default".parse().unwrap()));
        assert!(!serde_json::to_string(&stored("")).unwrap().contains("space"), "stored as ever");
        let (scope, _) = stored(r#","space":"acme""#).place().unwrap();
        assert_eq!(scope.space, Some("acme".parse().unwrap()));
        assert!(stored(r#","space":"""#).place().is_none());
    }
}
