//! The events that changes are.

use claviger_core::{EventName, Reach, Revision, Scope, Timestamp, secret::Action, subject_token};
use claviger_crypto::sha256;
use claviger_store::Stream;
use serde::Serialize;

use super::event::{Audience, Decoded, Event, Source};
use crate::{
    access::default_environment,
    record::{
        access::{AccessRecord, StoredApiKey, StoredEnvironment},
        secret::StoredSecret,
        space::StoredSpace,
    },
};

#[derive(Serialize)]
struct SecretChange<'a> {
    name: &'a str,
    action: &'a str,
    /// A block is about no version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    revision: u64,
    environment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    space: Option<&'a str>,
    actor: &'a str,
}

#[derive(Serialize)]
struct ApiKeyChange<'a> {
    id: &'a str,
    role: &'a str,
    environment: &'a str,
    actor: &'a str,
}

#[derive(Serialize)]
struct Change<'a> {
    name: &'a str,
    actor: &'a str,
}

/// `system.secret.<token>.<action>`; nothing for maintenance.
pub(super) fn of_secret(read: &StoredSecret) -> Option<Decoded> {
    let action = read.action?;
    let (secret, revision) = (&read.stored.secret, read.stored.last);
    let data = SecretChange {
        name: secret.name.as_str(),
        action: action.as_str(),
        version: match action {
            Action::Created | Action::Updated | Action::Deleted => Some(secret.active.unwrap_or(secret.latest)),
            Action::Blocked | Action::Unblocked => None,
        },
        revision: revision.0,
        environment: secret.scope.environment.as_str(),
        space: secret.scope.space.as_ref().map(claviger_core::SpaceName::as_str),
        actor: &secret.updated_by,
    };
    let token = subject_token(secret.name.as_str(), sha256);
    let place = Place { stream: Stream::Secrets, revision, scope: secret.scope.clone() };
    let event = place.event(&format!("system.secret.{token}.{}", action.as_str()), secret.updated_at, &data);
    Some(Decoded::new(event, None, Audience::Environment))
}

/// `system.environment.created`, `system.space.<action>`, `system.apikey.created`, `system.apikey.revoked`.
pub(super) fn of_access(read: &AccessRecord, revision: Revision) -> Decoded {
    match read {
        AccessRecord::Environment(environment) => of_environment(environment, revision),
        AccessRecord::ApiKey(key) => of_api_key(key, revision),
        AccessRecord::Space(space) => of_space(space, revision),
    }
}

fn of_environment(stored: &StoredEnvironment, revision: Revision) -> Decoded {
    let place = Place { stream: Stream::Access, revision, scope: Scope::environment(stored.name.clone()) };
    let data = Change { name: stored.name.as_str(), actor: &stored.created_by };
    let event = place.event("system.environment.created", stored.created_at, &data);
    Decoded::new(event, None, Audience::EnvironmentAndAll)
}

fn of_space(stored: &StoredSpace, revision: Revision) -> Decoded {
    let scope = Scope { environment: stored.environment.clone(), space: Some(stored.name.clone()) };
    let data = Change { name: stored.name.as_str(), actor: &stored.updated_by };
    let place = Place { stream: Stream::Access, revision, scope };
    let event = place.event(&format!("system.space.{}", stored.action.as_str()), stored.updated_at, &data);
    Decoded::new(event, None, Audience::Environment)
}

fn of_api_key(stored: &StoredApiKey, revision: Revision) -> Decoded {
    let info = &stored.info;
    let (action, at, actor) = match info.revoked_at {
        None => ("created", info.created_at, &info.created_by),
        Some(at) => ("revoked", at, stored.revoked_by.as_ref().unwrap_or(&info.created_by)),
    };
    let (environment, audience) = match &info.reach {
        Reach::One(environment) => (environment.clone(), Audience::EnvironmentAndAll),
        Reach::All => (default_environment(), Audience::All),
    };
    let named = match &info.reach {
        Reach::One(environment) => environment.as_str(),
        Reach::All => claviger_crypto::ALL_ENVIRONMENTS,
    };
    let data = ApiKeyChange { id: &info.id, role: info.role.as_str(), environment: named, actor };
    let place = Place { stream: Stream::Access, revision, scope: Scope::environment(environment) };
    Decoded::new(place.event(&format!("system.apikey.{action}"), at, &data), None, audience)
}

/// Where a system event comes from.
struct Place {
    stream: Stream,
    revision: Revision,
    scope: Scope,
}

impl Place {
    fn event<T: Serialize>(self, name: &str, at: Timestamp, data: &T) -> Event {
        let name: EventName = name.parse().expect("literals and tokens make an event's name");
        // Structs of text and numbers: encoding them cannot fail.
        let data = serde_json::value::to_raw_value(data).expect("a system event's data encodes as JSON");
        Event {
            id: format!("{}-{}", self.stream.name(), self.revision).into(),
            name,
            environment: self.scope.environment,
            space: self.scope.space,
            at,
            source: Source::System,
            stream: self.stream,
            revision: self.revision,
            data: data.into(),
        }
    }
}
