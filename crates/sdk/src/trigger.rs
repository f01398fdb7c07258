//! Which events start a function, and which handler of a listener an event is for.

use serde::Serialize;
use serde_json::Value;

use crate::context::Event;
use crate::frame::Match;

/// An event's name fits the pattern, and all conditions hold on its data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Trigger {
    #[serde(rename = "event")]
    pattern: String,
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Match>,
}

impl Trigger {
    pub(crate) fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), conditions: Vec::new() }
    }

    pub(crate) fn with_conditions<P: Into<String>>(
        pattern: impl Into<String>,
        conditions: impl IntoIterator<Item = (P, Value)>,
    ) -> Self {
        let conditions = conditions.into_iter().map(|(path, equals)| Match { path: path.into(), equals });
        Self { conditions: conditions.collect(), ..Self::new(pattern) }
    }

    /// Decides as the server does: it says that the event is for the listener, not for which of its handlers.
    pub(crate) fn fits(&self, event: &Event) -> bool {
        fits_pattern(&self.pattern, &event.name) && self.conditions.iter().all(|condition| condition.holds(&event.data))
    }
}

/// `*` stands for one segment, and `>`, as the last, for one or more.
fn fits_pattern(pattern: &str, name: &str) -> bool {
    let mut rest = Some(name);
    for wanted in pattern.split('.') {
        let Some(left) = rest else { return false };
        let (segment, behind) = left.split_once('.').map_or((left, None), |(segment, behind)| (segment, Some(behind)));
        match wanted {
            ">" => return true,
            "*" => {}
            _ if wanted == segment => {}
            _ => return false,
        }
        rest = behind;
    }
    rest.is_none()
}

impl Match {
    fn holds(&self, data: &Value) -> bool {
        let mut segments = self.path.split('.');
        let is_of_data = segments.next() == Some("data");
        let found = segments.try_fold(data, |place, segment| match place {
            Value::Array(items) => place_in(segment).and_then(|at| items.get(at)),
            _ => place.get(segment),
        });
        is_of_data && found.is_some_and(|found| is_same(found, &self.equals))
    }
}

/// A place in an array, from 0, in plain decimal digits.
fn place_in(segment: &str) -> Option<usize> {
    let is_plain = segment == "0" || segment.starts_with(|first: char| matches!(first, '1'..='9'));
    segment.parse().ok().filter(|_| is_plain)
}

/// Whether two values are the same, however they were written. Numbers are compared as doubles.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let has_same =
                |(name, value): (&String, &Value)| right.get(name).is_some_and(|other| is_same(value, other));
            left.len() == right.len() && left.iter().all(has_same)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    fn event(name: &str, data: Value) -> Event {
        Event { id: "ev_1".to_owned(), name: name.to_owned(), data, at: UNIX_EPOCH, space: None }
    }

    #[test]
    fn patterns_fit_as_on_the_server() {
        let fitting = [("order", "order"), ("order.*", "order.created"), ("*.*", "a.b"), (">", "a"), (">", "a.b.c")];
        let others = [("order", "order.created"), ("order.*", "order"), ("order.*", "order.item.added")];
        let more = [("order.>", "order"), ("*", "a.b"), ("Order", "order"), ("a.b", "a"), ("a.*.c", "a.b.d")];
        for (pattern, name) in fitting.into_iter().chain([("order.>", "order.a.b"), ("a:b", "a:b")]) {
            assert!(Trigger::new(pattern).fits(&event(name, Value::Null)), "{pattern} fits {name}");
        }
        for (pattern, name) in others.into_iter().chain(more) {
            assert!(!Trigger::new(pattern).fits(&event(name, Value::Null)), "{pattern} does not fit {name}");
        }
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let data = json!({"kind": "big", "items": [{"size": 7}], "note": null});
        let fits = |conditions: &[(&str, Value)]| {
            Trigger::with_conditions(">", conditions.iter().cloned()).fits(&event("order", data.clone()))
        };
        assert!(fits(&[("data.kind", json!("big")), ("data.items.0.size", json!(7)), ("data.note", json!(null))]));
        assert!(fits(&[("data", data.clone())]));
        assert!(!fits(&[("data.kind", json!("big")), ("data.items.0.size", json!("7"))]));
        assert!(!fits(&[("data.items.1.size", json!(7))]));
        assert!(!fits(&[("data.missing", json!(null))]), "what is absent is not null");
        assert!(!fits(&[("kind", json!("big"))]));
    }

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

    #[test]
    fn conditions_hold_as_in_the_vectors() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/conditions.json");
        let file: File = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for Vector { name, path, equals, data, holds } in file.conditions {
            let trigger = Trigger::with_conditions(">", [(&path, serde_json::from_str(&equals).unwrap())]);
            // Data that cannot be read does not become an event here.
            let fits = serde_json::from_str(&data).is_ok_and(|data| trigger.fits(&event("order", data)));
            assert_eq!(fits, holds, "{name}: {path} = {equals} on {data}");
        }
    }
}
