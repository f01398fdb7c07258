//! Conditions on the data of events.

use std::cell::OnceCell;

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
        self.path.split('.').next() == Some("data")
    }

    /// Whether it holds for an event's data.
    fn holds(&self, data: &Value) -> bool {
        let mut segments = self.path.split('.');
        if segments.next() != Some("data") {
            return false;
        }
        let mut place = data;
        for segment in segments {
            let member = match place {
                Value::Array(items) => place_in(segment).and_then(|at| items.get(at)),
                _ => place.get(segment),
            };
            let Some(member) = member else { return false };
            place = member;
        }
        is_same(place, &self.equals)
    }
}

/// A place in an array, from 0, in plain decimal digits.
fn place_in(segment: &str) -> Option<usize> {
    let is_plain = segment == "0" || segment.starts_with(|first: char| matches!(first, '1'..='9'));
    segment.parse().ok().filter(|_| is_plain)
}

/// Whether two values are the same, however they were written. Numbers are compared as JavaScript has them.
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
            data.as_ref().is_some_and(|data| condition.holds(data))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(path: &str, equals: Value, data: &str) -> bool {
        Condition { path: path.to_owned(), equals }.holds(&serde_json::from_str(data).unwrap())
    }

    #[test]
    fn numbers_are_the_same_by_value() {
        for written in ["1", "1.0", "1e0", "10e-1"] {
            assert!(holds("data", json!(1), written), "{written}");
            assert!(holds("data", json!(1.0), written), "{written}");
            assert!(holds("data", json!({"a": [1, {"b": 1}]}), &format!(r#"{{"a":[{written},{{"b":{written}}}]}}"#)));
        }
        assert!(holds("data", json!(0), "-0.0"));
        // As a double has them, for JavaScript has no others.
        assert!(holds("data", json!(9_007_199_254_740_992_u64), "9007199254740993"));
        for (equals, data) in [
            (json!(1), r#""1""#),
            (json!(1), "true"),
            (json!(1), "1.5"),
            (json!([1]), "[1,1]"),
            (json!([1, 2]), "[2,1]"),
            (json!({"a": 1}), r#"{"a":1,"b":1}"#),
            (json!({"a": null}), r#"{"b":null}"#),
            (json!([]), "{}"),
        ] {
            assert!(!holds("data", equals, data), "{data}");
        }
    }

    #[test]
    fn places_are_plain_decimal_numbers() {
        let data = r#"{"items":["a","b"],"named":{"01":"c"}}"#;
        assert!(holds("data.items.0", json!("a"), data) && holds("data.items.1", json!("b"), data));
        for segment in ["01", "+1", "-1", "1.0", "1e0", " 1", "", "00", "2", "length"] {
            assert!(!holds(&format!("data.items.{segment}"), json!("b"), data), "{segment}");
        }
        assert!(holds("data.named.01", json!("c"), data), "members have names of any kind");
    }
}
