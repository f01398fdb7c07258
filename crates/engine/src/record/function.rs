//! A function's declaration as it is stored.

use std::{sync::Arc, time::Duration};

use claviger_core::{EventPosition, FunctionId, SecretName, Timestamp, run::Retry};
use serde::{Deserialize, Serialize};

use super::run::{position_form, read_position};
use crate::runtime::{Beginnings, Condition, DeclaredSecret, FunctionSpec, Trigger};

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredFunction {
    pub(crate) id: String,
    triggers: Vec<TriggerForm>,
    /// `None` for events of the environment and all its spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spaces: Option<Vec<String>>,
    secrets: Vec<(String, bool)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lookups: bool,
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
    /// Of spaces: the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    after_in: Vec<(String, [u64; 3])>,
    /// Of everywhere else: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_elsewhere: Option<[u64; 3]>,
}

/// A pattern, with the conditions if there are some.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TriggerForm {
    Plain(String),
    Conditional(String, Vec<Condition>),
}

impl TriggerForm {
    fn new(trigger: &Trigger) -> TriggerForm {
        match trigger.conditions.is_empty() {
            true => TriggerForm::Plain(trigger.event.to_string()),
            false => TriggerForm::Conditional(trigger.event.to_string(), trigger.conditions.clone()),
        }
    }

    fn read(&self) -> Option<Trigger> {
        let (event, conditions) = match self {
            TriggerForm::Plain(event) => (event, Vec::new()),
            TriggerForm::Conditional(event, conditions) => (event, conditions.clone()),
        };
        Some(Trigger { event: event.parse().ok()?, conditions })
    }
}

impl StoredFunction {
    pub(crate) fn new(spec: &FunctionSpec, by: Arc<str>, at: Timestamp, beginnings: &Beginnings) -> StoredFunction {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let elsewhere = Some(beginnings.elsewhere).filter(|position| *position != EventPosition::default());
        StoredFunction {
            id: spec.id.to_string(),
            triggers: spec.triggers.iter().map(TriggerForm::new).collect(),
            spaces: spec.spaces.as_ref().map(|spaces| spaces.iter().map(ToString::to_string).collect()),
            secrets: spec.secrets.iter().map(|s| (s.name.to_string(), s.required)).collect(),
            lookups: spec.lookups,
            attempts: spec.retry.max_attempts,
            initial_ms: millis(spec.retry.initial_delay),
            factor: spec.retry.backoff_factor,
            max_ms: millis(spec.retry.max_delay),
            concurrency: spec.concurrency,
            timeout_ms: spec.timeout.map(millis),
            by,
            at: at.0,
            after: beginnings.triggers.iter().copied().map(position_form).collect(),
            after_in: beginnings.spaces.iter().map(|(space, at)| (space.to_string(), position_form(*at))).collect(),
            after_elsewhere: elsewhere.map(position_form),
        }
    }

    /// From where events count.
    pub(crate) fn beginnings(&self) -> Option<Beginnings> {
        let of_space = |(space, at): &(String, [u64; 3])| Some((space.parse().ok()?, read_position(*at)));
        Some(Beginnings {
            triggers: self.after.iter().copied().map(read_position).collect(),
            spaces: self.after_in.iter().map(of_space).collect::<Option<_>>()?,
            elsewhere: self.after_elsewhere.map(read_position).unwrap_or_default(),
        })
    }

    pub(crate) fn read(&self) -> Option<FunctionSpec> {
        let declared = |(name, required): &(String, bool)| {
            Some(DeclaredSecret { name: name.parse::<SecretName>().ok()?, required: *required })
        };
        // Spaces that do not read must not become no spaces.
        let spaces = match &self.spaces {
            Some(spaces) => Some(spaces.iter().map(|space| space.parse().ok()).collect::<Option<_>>()?),
            None => None,
        };
        Some(FunctionSpec {
            id: self.id.parse::<FunctionId>().ok()?,
            triggers: self.triggers.iter().map(TriggerForm::read).collect::<Option<_>>()?,
            spaces,
            secrets: self.secrets.iter().map(declared).collect::<Option<_>>()?,
            lookups: self.lookups,
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

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"id":"f","triggers":["a.*","b"],"secrets":[["KEY",true]],"attempts":4,"initial_ms":1000,"factor":2.0,
        "max_ms":60000,"concurrency":null,"timeout_ms":null,"by":"key","at":7,"after":[[1,2,3],[0,0,0]]}"#;

    #[test]
    fn a_declaration_without_spaces_and_conditions_is_stored_as_ever() {
        let stored: StoredFunction = serde_json::from_str(PLAIN).unwrap();
        let (spec, beginnings) = (stored.read().unwrap(), stored.beginnings().unwrap());
        assert_eq!(spec.triggers, ["a.*", "b"].map(|text| text.parse().unwrap()));
        assert_eq!((&spec.spaces, spec.lookups, beginnings.elsewhere), (&None, false, EventPosition::default()));
        let again = StoredFunction::new(&spec, "key".into(), Timestamp(7), &beginnings);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&serde_json::to_string(&again).unwrap()), value(PLAIN));
    }

    #[test]
    fn a_declaration_reads_back_as_it_was_stored() {
        let mut spec = serde_json::from_str::<StoredFunction>(PLAIN).unwrap().read().unwrap();
        spec.triggers[0].conditions =
            vec![Condition { path: "data.a".to_owned(), equals: serde_json::json!([1.5, null]) }];
        (spec.spaces, spec.lookups) = (Some(vec!["acme".parse().unwrap()]), true);
        let at = |revision| read_position([revision, 0, 0]);
        let spaces = vec![("acme".parse().unwrap(), at(2))];
        let beginnings = Beginnings { triggers: vec![at(1), at(5)], spaces, elsewhere: at(3) };
        let stored =
            serde_json::to_string(&StoredFunction::new(&spec, "key".into(), Timestamp(7), &beginnings)).unwrap();
        let read: StoredFunction = serde_json::from_str(&stored).unwrap();
        assert_eq!((read.read(), read.beginnings()), (Some(spec), Some(beginnings)));
        for damaged in [stored.replace("acme\"]", "\"]"), stored.replace("[[\"acme", "[[\" acme")] {
            let read: StoredFunction = serde_json::from_str(&damaged).unwrap();
            assert!(read.read().is_none() || read.beginnings().is_none(), "no space may get lost");
        }
    }
}
