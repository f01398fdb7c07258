//! An event in the protocol's form.

use std::collections::HashMap;

use claviger_api::Instant;
use claviger_core::{Caller, EnvironmentName, Revision, SpaceName, Timestamp};
use claviger_engine::events::{Emitted, Event};
use serde_json::{Map, Value, json, value::RawValue};

use super::acknowledgment::Acknowledgment;
use crate::{app::App, id, metadata::Metadata};

/// What a view is made of.
pub(super) struct Seen<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) environment: &'a EnvironmentName,
    pub(super) space: Option<&'a SpaceName>,
    pub(super) at: Timestamp,
    pub(super) revision: Revision,
    pub(super) data: &'a RawValue,
}

impl<'a> Seen<'a> {
    pub(super) fn of(event: &'a Event) -> Seen<'a> {
        Seen {
            id: &event.id,
            name: event.name.as_str(),
            environment: &event.environment,
            space: event.space.as_ref(),
            at: event.at,
            revision: event.revision,
            data: &event.data,
        }
    }

    pub(super) fn emitted(emitted: &'a Emitted, space: Option<&'a SpaceName>, data: &'a RawValue) -> Seen<'a> {
        Seen {
            id: &emitted.id,
            name: emitted.name.as_str(),
            environment: &emitted.environment,
            space,
            at: emitted.at,
            revision: emitted.revision,
            data,
        }
    }

    pub(super) fn id(&self) -> String {
        id::of_event(self.environment, self.id, self.revision)
    }

    /// What the event says in the words of the protocol, be it from one of its clients or from anybody else.
    pub(super) fn members(&self) -> Map<String, Value> {
        let mut members = match serde_json::from_str(self.data.get()) {
            Ok(Value::Object(members)) if is_of_client(&members, self.name) => members,
            Ok(payload) => Map::from_iter([("payload".to_owned(), payload)]),
            Err(_) => Map::new(),
        };
        members.insert("topic".to_owned(), json!(self.name));
        members.entry("domain").or_insert_with(|| json!(domain_of(self.name)));
        members.entry("payload").or_insert_with(|| json!({}));
        let mut context = match members.remove("context") {
            Some(Value::Object(context)) => context,
            _ => Map::new(),
        };
        context.insert("environmentId".to_owned(), json!(id::of_environment(self.environment)));
        context.entry("accountId").or_insert_with(|| json!(id::ACCOUNT));
        if let Some(space) = self.space {
            context.insert("spaceId".to_owned(), json!(id::of_space(self.environment, space)));
        }
        members.insert("context".to_owned(), Value::Object(context));
        members
    }
}

/// Whether the data is what [`create`](super::create) stored.
fn is_of_client(data: &Map<String, Value>, name: &str) -> bool {
    data.get("topic").and_then(Value::as_str) == Some(name) && data.get("context").is_some_and(Value::is_object)
}

/// What an event is about, where nobody says: what its name begins with.
pub(super) fn domain_of(name: &str) -> &str {
    name.split([':', '.']).next().unwrap_or(name)
}

/// Shows events, and looks up the namespace of each space once.
pub(super) struct Shower<'a> {
    app: &'a App,
    caller: &'a Caller,
    namespaces: HashMap<(EnvironmentName, SpaceName), Option<String>>,
}

impl<'a> Shower<'a> {
    pub(super) fn new(app: &'a App, caller: &'a Caller) -> Shower<'a> {
        Shower { app, caller, namespaces: HashMap::new() }
    }

    pub(super) async fn show(&mut self, seen: &Seen<'_>, acknowledgment: Option<&Acknowledgment>) -> Value {
        let mut members = seen.members();
        if !members.contains_key("namespaces") {
            let namespace = self.namespace(seen).await.map(|namespace| format!("space:{namespace}"));
            members.insert("namespaces".to_owned(), json!(namespace.into_iter().collect::<Vec<_>>()));
        }
        for (member, default) in
            [("attributes", json!({})), ("callbackUrl", json!("")), ("dataUrl", json!("")), ("origin", Value::Null)]
        {
            members.entry(member).or_insert(default);
        }
        members.insert("id".to_owned(), json!(seen.id()));
        members.insert("createdAt".to_owned(), json!(Instant(seen.at.0).to_string()));
        if let Some(acknowledgment) = acknowledgment {
            members.insert("acknowledgedAt".to_owned(), json!(Instant(acknowledgment.at.0).to_string()));
            members.insert("acknowledgedBy".to_owned(), json!(acknowledgment.by));
        }
        Value::Object(members)
    }

    async fn namespace(&mut self, seen: &Seen<'_>) -> Option<String> {
        let key = (seen.environment.clone(), seen.space?.clone());
        if let Some(known) = self.namespaces.get(&key) {
            return known.clone();
        }
        // A caller that may not see the space, or a space that is gone, makes no namespace.
        let space = self.app.engine.spaces().get(self.caller, &key.0, &key.1).await.ok();
        let namespace = space.and_then(|space| Metadata::read(&space.metadata).text("namespace").map(str::to_owned));
        self.namespaces.insert(key, namespace.clone());
        namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(name: &str, data: Value) -> Value {
        let (environment, data) = ("default".parse().unwrap(), serde_json::value::to_raw_value(&data).unwrap());
        let space: SpaceName = "acme".parse().unwrap();
        let seen = Seen {
            id: "an id",
            name,
            environment: &environment,
            space: Some(&space),
            at: Timestamp(0),
            revision: Revision(7),
            data: &data,
        };
        Value::Object(seen.members())
    }

    #[test]
    fn an_event_of_a_client_is_shown_as_it_was_sent_but_for_its_place() {
        let sent = json!({
            "topic": "space:updated", "domain": "space", "payload": { "a": 1 }, "target": "x",
            "context": { "environmentId": "us_env_x", "spaceId": "us_sp_x", "actorId": "us_usr_1", "accountId": "us_acc_y" },
        });
        let shown = members("space:updated", sent.clone());
        for member in ["topic", "domain", "payload", "target"] {
            assert_eq!(shown[member], sent[member]);
        }
        assert_eq!(
            (&shown["context"]["actorId"], &shown["context"]["accountId"]),
            (&json!("us_usr_1"), &json!("us_acc_y"))
        );
        assert!(shown["context"]["spaceId"] != "us_sp_x" && shown["context"]["environmentId"] != "us_env_x");
    }

    #[test]
    fn any_other_event_is_shown_with_its_data_as_payload() {
        for data in [json!({ "amount": 7 }), json!(null), json!([1]), json!({ "topic": "x", "context": {} })] {
            let shown = members("order.created", data.clone());
            assert_eq!((&shown["payload"], &shown["domain"]), (&data, &json!("order")));
            assert_eq!(shown["topic"], "order.created");
        }
    }
}
