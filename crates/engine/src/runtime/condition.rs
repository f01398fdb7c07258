//! Conditions on the data of events.

use std::cell::OnceCell;

use claviger_core::condition::{holds, is_possible};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::Event;

/// A member of an event must equal a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Where: member names joined by dots, beginning with `data`.
    pub path: String,
    /// What stands there.
    pub equals: Value,
}

impl Condition {
    /// Whether it can hold for any event: its path begins at `data`.
    pub(crate) fn is_possible(&self) -> bool {
        is_possible(&self.path)
    }
}

/// An event, whose data is decoded at most once, and only for a condition.
pub(crate) struct Candidate<'a> {
    pub(crate) event: &'a Event,
    data: OnceCell<Option<Value>>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(event: &'a Event) -> Candidate<'a> {
        Candidate { event, data: OnceCell::new() }
    }

    /// Whether all of the conditions hold.
    pub(crate) fn meets<'c>(&self, conditions: impl IntoIterator<Item = &'c Condition>) -> bool {
        conditions.into_iter().all(|condition| {
            let data = self.data.get_or_init(|| serde_json::from_str(self.event.data.get()).ok());
            data.as_ref().is_some_and(|data| holds(&condition.path, &condition.equals, data))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use claviger_core::{EnvironmentName, Revision, Timestamp};
    use claviger_store::Stream;
    use serde_json::value::RawValue;

    use super::*;
    use crate::events::Source;

    #[derive(Deserialize)]
    struct File {
        conditions: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        path: String,
        equals: String,
        data: String,
        holds: bool,
    }

    fn event(data: &str) -> Event {
        Event {
            id: "ev_1".into(),
            name: "order".parse().unwrap(),
            environment: "default".parse::<EnvironmentName>().unwrap(),
            space: None,
            at: Timestamp(0),
            source: Source::Event,
            stream: Stream::Events,
            revision: Revision(1),
            data: Arc::from(RawValue::from_string(data.to_owned()).unwrap()),
        }
    }

    #[test]
    fn conditions_hold_as_in_the_vectors() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/conditions.json");
        let file: File = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for Vector { name, path, equals, data, holds } in file.conditions {
            let condition = Condition { path, equals: serde_json::from_str(&equals).unwrap() };
            assert_eq!(Candidate::new(&event(&data)).meets([&condition]), holds, "{name}: {condition:?} on {data}");
            assert!(!holds || condition.is_possible(), "{name}");
        }
    }
}
