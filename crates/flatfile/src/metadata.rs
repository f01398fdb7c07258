//! What the protocol knows of a space or an environment and we do not: kept in a member `flatfile` of a space's metadata,
//! beside what its users keep there.

use serde_json::{Map, Value, value::RawValue};

/// The member of a space's metadata that is the adapter's.
const OWN: &str = "flatfile";
/// Metadata as a client set it, where it cannot stand beside [`OWN`].
const METADATA: &str = "metadata";

/// A space's metadata, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata {
    /// What people and clients keep: any JSON for a client, an object for everybody else.
    pub(crate) shown: Value,
    /// Members of the space in the protocol.
    pub(crate) members: Map<String, Value>,
}

impl Metadata {
    pub(crate) fn read(stored: &RawValue) -> Metadata {
        let mut shown: Map<String, Value> = serde_json::from_str(stored.get()).unwrap_or_default();
        let mut members = match shown.remove(OWN) {
            Some(Value::Object(members)) => members,
            // Not what the adapter wrote, so somebody else's.
            Some(other) => {
                shown.insert(OWN.to_owned(), other);
                Map::new()
            }
            None => Map::new(),
        };
        let shown = members.remove(METADATA).unwrap_or(Value::Object(shown));
        Metadata { shown, members }
    }

    pub(crate) fn write(&self) -> Box<RawValue> {
        let mut members = self.members.clone();
        let mut stored = match &self.shown {
            Value::Object(shown) if !shown.contains_key(OWN) => shown.clone(),
            Value::Null => Map::new(),
            other => {
                members.insert(METADATA.to_owned(), other.clone());
                Map::new()
            }
        };
        if !members.is_empty() {
            stored.insert(OWN.to_owned(), Value::Object(members));
        }
        // A map with text keys: encoding it cannot fail.
        serde_json::value::to_raw_value(&stored).unwrap_or_default()
    }

    /// Takes over what a client sent, but for the members that are not its to set. A `null` takes a member away.
    pub(crate) fn change(&mut self, mut sent: Map<String, Value>, not_settable: &[&str]) {
        for (name, value) in std::mem::take(&mut sent) {
            match (name.as_str(), value) {
                (METADATA, shown) => self.shown = shown,
                (name, _) if not_settable.contains(&name) => {}
                (name, Value::Null) => {
                    self.members.remove(name);
                }
                (_, value) => {
                    self.members.insert(name, value);
                }
            }
        }
    }

    /// A member that is text.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.members.get(member).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn what_people_keep_stands_beside_what_the_protocol_knows() {
        let mut metadata = Metadata::read(&raw(&json!({ "plan": "gold" })));
        assert_eq!((&metadata.shown, metadata.members.len()), (&json!({ "plan": "gold" }), 0));
        let sent = json!({ "namespace": "red", "id": "x", "labels": ["a"], "metadata": { "plan": "blue" } });
        metadata.change(sent.as_object().unwrap().clone(), &["id"]);
        let stored: Value = serde_json::from_str(metadata.write().get()).unwrap();
        assert_eq!(stored, json!({ "plan": "blue", "flatfile": { "namespace": "red", "labels": ["a"] } }));
        assert_eq!(Metadata::read(&metadata.write()), metadata);
        metadata.change(json!({ "labels": null }).as_object().unwrap().clone(), &[]);
        assert_eq!(metadata.members.keys().collect::<Vec<_>>(), ["namespace"]);
    }

    #[test]
    fn any_json_is_kept_as_metadata() {
        let theirs = json!({ "flatfile": "x", "a": 1 });
        assert_eq!(Metadata::read(&raw(&theirs)).shown, theirs);
        for shown in [json!("text"), json!([1, 2]), json!({ "flatfile": { "namespace": "x" } }), json!(7)] {
            let mut metadata = Metadata::default();
            metadata.change(Map::from_iter([("metadata".to_owned(), shown.clone())]), &[]);
            assert!(metadata.write().get().starts_with('{'));
            assert_eq!(Metadata::read(&metadata.write()).shown, shown);
        }
    }
}
