use claviger_core::condition::{holds, is_possible};
use proptest::{collection, prelude::*};
use serde_json::{Map, Number, Value, json};

/// Few names, so that two values often have the same. None has a dot: no path would lead to it.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", Just(String::new()), Just("0".to_owned()), Just("é\n\"".to_owned())]
}

fn any_number() -> impl Strategy<Value = Number> {
    let double = any::<f64>().prop_filter_map("JSON has no such number", Number::from_f64);
    prop_oneof![
        (-2_i64..3).prop_map(Number::from),
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        double
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any_number().prop_map(Value::from),
        "[01é]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::hash_map(any_name(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value with each number as its double, and no negative zero: equal by its form if and only if it is the same.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().expect("a double") + 0.0),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        _ => value.clone(),
    }
}

/// Each value within a value, with its path.
fn places<'a>(path: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    let below: Vec<_> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        _ => Vec::new(),
    };
    let below = below.into_iter().flat_map(|(segment, member)| places(&format!("{path}.{segment}"), member));
    std::iter::once((path.to_owned(), value)).chain(below).collect()
}

#[test]
fn a_path_begins_at_the_data() {
    for path in ["data", "data.", "data.a", "data..a", "data.data"] {
        assert!(is_possible(path), "{path}");
    }
    for path in ["", ".", ".data", "Data", "data ", "datum.a", "a.data"] {
        assert!(!is_possible(path), "{path}");
        assert!(!holds(path, &json!(1), &json!(1)), "{path}");
    }
}

proptest! {
    #[test]
    fn what_stands_at_a_path_is_found_there(data in any_value()) {
        for (path, value) in places("data", &data) {
            prop_assert!(holds(&path, value, &data), "{path}");
            prop_assert!(holds(&path, &plain(value), &data), "{path}: {value}");
        }
    }

    #[test]
    fn nothing_equals_what_is_absent(data in any_value(), segments in collection::vec("[ab01]|length|-1|01|[+]1|18446744073709551616", 0..4)) {
        let path = segments.iter().fold("data".to_owned(), |path, segment| format!("{path}.{segment}"));
        let there = places("data", &data);
        let found = there.iter().find(|(place, _)| *place == path);
        prop_assert_eq!(holds(&path, &Value::Null, &data), found.is_some_and(|(_, value)| value.is_null()));
        if let Some((_, value)) = found {
            prop_assert!(holds(&path, value, &data));
        }
    }

    #[test]
    fn values_are_the_same_exactly_if_their_plain_forms_are(left in any_value(), right in any_value()) {
        let is_same = plain(&left) == plain(&right);
        prop_assert_eq!(holds("data", &left, &right), is_same);
        prop_assert_eq!(holds("data", &right, &left), is_same);
    }

    #[test]
    fn one_more_member_makes_another_object(members in collection::btree_map(any_name(), any_value(), 0..4), more in any_value()) {
        let members: Map<String, Value> = members.into_iter().collect();
        let mut larger = members.clone();
        larger.insert("more".to_owned(), more);
        prop_assert!(!holds("data", &Value::from(members.clone()), &Value::from(larger.clone())));
        prop_assert!(!holds("data", &Value::from(larger), &Value::from(members)));
    }
}
