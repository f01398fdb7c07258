//! The events that changes are.

use claviger_core::{EnvironmentName, EventName, Reach, Revision, Timestamp, subject_token};
use claviger_crypto::sha256;
use claviger_store::Stream;
use serde::Serialize;

use super::event::{Audience, Decoded, Event, Source};
use crate::{
    access::default_environment,
    record::{
        access::{AccessRecord, StoredApiKey, StoredEnvironment},
        secret::StoredSecret,
    },
};

#[derive(Serialize)]
struct SecretChange<'a> {
    name: &'a str,
    action: &'a str,
    version: u64,
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
struct EnvironmentChange<'a> {
    name: &'a str,
    actor: &'a str,
}

/// `system.secret.<token>.<action>`; nothing for maintenance.
pub(super) fn of_secret(read: &StoredSecret) -> Option<Decoded> {
    let action = read.action?.as_str();
    let (secret, revision) = (&read.stored.secret, read.stored.last);
    let data = SecretChange {
        name: secret.name.as_str(),
        action,
        version: secret.active.unwrap_or(secret.latest),
        revision: revision.0,
        environment: secret.scope.environment.as_str(),
        space: secret.scope.space.as_ref().map(claviger_core::SpaceName::as_str),
        actor: &secret.updated_by,
    };
    let token = subject_token(secret.name.as_str(), sha256);
    let place = Place { stream: Stream::Secrets, revision, environment: secret.scope.environment.clone() };
    let event = place.event(&format!("system.secret.{token}.{action}"), secret.updated_at, &data);
    Some(Decoded::new(event, None, Audience::Environment))
}

/// `system.environment.created`, `system.apikey.created`, `system.apikey.revoked`.
pub(super) fn of_access(read: &AccessRecord, revision: Revision) -> Decoded {
    match read {
        AccessRecord::Environment(environment) => of_environment(environment, revision),
        AccessRecord::ApiKey(key) => of_api_key(key, revision),
    }
}

fn of_environment(stored: &StoredEnvironment, revision: Revision) -> Decoded {
    let place = Place { stream: Stream::Access, revision, environment: stored.name.clone() };
    let data = EnvironmentChange { name: stored.name.as_str(), actor: &stored.created_by };
    let event = place.event("system.environment.created", stored.created_at, &data);
    Decoded::new(event, None, Audience::EnvironmentAndAll)
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
    let place = Place { stream: Stream::Access, revision, environment };
    Decoded::new(place.event(&format!("system.apikey.{action}"), at, &data), None, audience)
}

/// Where a system event comes from.
struct Place {
    stream: Stream,
    revision: Revision,
    environment: EnvironmentName,
}

impl Place {
    fn event<T: Serialize>(self, name: &str, at: Timestamp, data: &T) -> Event {
        let name: EventName = name.parse().expect("literals and tokens make an event's name");
        // Structs of text and numbers: encoding them cannot fail.
        let data = serde_json::value::to_raw_value(data).expect("a system event's data encodes as JSON");
        Event {
            id: format!("{}-{}", self.stream.name(), self.revision).into(),
            name,
            environment: self.environment,
            at,
            source: Source::System,
            stream: self.stream,
            revision: self.revision,
            data: data.into(),
        }
    }
}
