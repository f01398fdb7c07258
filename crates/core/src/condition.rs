//! Conditions on the data of events: what stands at a path must equal a value.
//!
//! The contract is `spec/events.md`; the vectors in `spec/vectors/conditions.json` hold it for everybody who decides.

use serde_json::Value;

/// Whether a condition with this path can hold for any event: its first segment is `data`.
#[must_use]
pub fn is_possible(path: &str) -> bool {
    below_data(path).is_some()
}

/// Whether the data has, at the path, what the condition says. What is absent equals nothing, not even `null`.
#[must_use]
pub fn holds(path: &str, equals: &Value, data: &Value) -> bool {
    let found = below_data(path).and_then(|mut segments| segments.try_fold(data, member));
    found.is_some_and(|found| is_same(found, equals))
}

/// The segments of a path behind `data`.
fn below_data(path: &str) -> Option<impl Iterator<Item = &str>> {
    let mut segments = path.split('.');
    (segments.next() == Some("data")).then_some(segments)
}

/// What an object has under a name, or an array in a place.
fn member<'a>(whole: &'a Value, segment: &str) -> Option<&'a Value> {
    match whole {
        Value::Array(items) => items.get(place(segment)?),
        _ => whole.get(segment),
    }
}

/// A place in an array, from 0, in plain decimal digits.
fn place(segment: &str) -> Option<usize> {
    let is_plain = segment == "0" || segment.starts_with(|first: char| matches!(first, '1'..='9'));
    segment.parse().ok().filter(|_| is_plain)
}

/// Whether two values are the same, however they were written. Numbers are compared as doubles: JavaScript has no others.
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
