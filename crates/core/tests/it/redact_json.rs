use claviger_core::Redactor;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use crate::support::redactor;

fn redacted(redactor: &Redactor, text: &str) -> Value {
    let shown = redactor.redact_json(text);
    serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error} in {shown} from {text}"))
}

#[test]
fn keys_strings_numbers_and_nested_documents() {
    let redactor = redactor(&["hunter22", "12345678", "a\"b\\c\né"]);
    let inner = json!({"deep": "a\"b\\c\né!"}).to_string();
    let document = json!({
        "hunter22": [1, 12345678, {"x": "Bearer hunter22;"}],
        "escaped": "<a\"b\\c\né>",
        "inner": inner,
        "plain": "é\n",
    });
    let expected = json!({
        "«S0@1»": [1, "«S1@1»", {"x": "Bearer «S0@1»;"}],
        "escaped": "<«S2@1»>",
        "inner": "{\"deep\":\"«S2@1»!\"}",
        "plain": "é\n",
    });
    assert_eq!(redacted(&redactor, &document.to_string()), expected);
    assert_eq!(redacted(&redactor, &serde_json::to_string_pretty(&document).expect("text")), expected);
}

#[test]
fn any_mixture_of_escapes_is_found() {
    let redactor = redactor(&["hunter22", "pass😀word"]);
    assert_eq!(redacted(&redactor, r#"["\u0068unter2\u0032","pass\ud83d\uDE00word"]"#), json!(["«S0@1»", "«S1@1»"]));
}

#[test]
fn a_value_that_spells_an_escape_breaks_nothing() {
    let redactor = redactor(&["n123456", "u0001abc", "\\\\\\\\\\\\"]);
    for text in [r#"["\n123456"]"#, r#"["x\u0001abc"]"#, r#"["\\\\\\"]"#, r#"["a\\\\\\\\\\\\\\\\b"]"#] {
        let shown = redacted(&redactor, text);
        assert!(shown[0].as_str().is_some_and(|text| text.contains("@1»")), "{shown}");
        assert!(!redactor.contains(redactor.redact_json(text).as_bytes()));
    }
}

#[test]
fn a_value_across_several_strings_masks_them_all() {
    let redactor = redactor(&["one\",\"two", "1,2,3,4", "{\"k\":\"v\"}", "rue,null"]);
    assert_eq!(redacted(&redactor, r#"["xone","twox","three"]"#), json!(["«S0@1»", "«S0@1»", "three"]));
    assert_eq!(redacted(&redactor, "[11,2,3,45,6]"), json!(["«S1@1»", "«S1@1»", "«S1@1»", "«S1@1»", 6]));
    assert_eq!(redacted(&redactor, r#"{"a":{"k":"v"}}"#), json!({"a": {"«S2@1»": "«S2@1»"}}));
    assert_eq!(redacted(&redactor, "[true,null,true]"), json!(["«S3@1»", "«S3@1»", true]));
}

#[test]
fn what_is_not_json_is_masked_too() {
    let redactor = redactor(&["hunter22"]);
    for text in ["\"hunter22", "hunter22", "{hunter22 \"a", "\\hunter22\"\"", "\"\\", "hunter22\"hunter22\""] {
        assert!(!redactor.redact_json(text).contains("hunter22"), "{text}");
    }
}

fn any_document() -> impl Strategy<Value = Value> {
    let text = "(?:[abn\"\\\\/é\n,:1]){0,12}";
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text, inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn shows(document: &Value, value: &str) -> bool {
    match document {
        Value::String(text) => text.contains(value),
        Value::Array(items) => items.iter().any(|item| shows(item, value)),
        Value::Object(fields) => fields.iter().any(|(key, field)| key.contains(value) || shows(field, value)),
        other => other.to_string().contains(value),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn json_stays_json_and_shows_no_value(
        document in any_document(), values in vec("[abn\"\\\\/é\n,:1]{6,8}", 1..4),
    ) {
        let redactor = redactor(&values);
        let shown = redacted(&redactor, &document.to_string());
        for value in &values {
            prop_assert!(!shows(&shown, value), "{} shows {:?}", shown, value);
        }
    }

    #[test]
    fn json_with_a_value_in_it_loses_it(value in ".{6,20}", before in ".{0,8}", after in ".{0,8}") {
        let redactor = redactor(&[&value]);
        let text = format!("{before}{value}{after}");
        let document = json!({ text.as_str(): [text.as_str()] });
        let shown = redacted(&redactor, &document.to_string());
        prop_assert!(!shows(&shown, &value));
        prop_assert!(shows(&shown, "«S0@1»"));
    }
}
