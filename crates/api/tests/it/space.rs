use claviger_api::{CreateSpace, Explanation, Instant, Served, Space, TrailEntry, UpdateSpace, Verdict};
use serde_json::json;

#[test]
fn metadata_is_passed_on_as_written() {
    let text = r#"{"plan": "gold", "big": 123456789012345678901234567890}"#;
    let create: CreateSpace = serde_json::from_str(&format!(r#"{{"name": "acme", "metadata": {text}}}"#)).unwrap();
    let metadata = create.metadata.unwrap();
    assert_eq!(metadata.get(), text);
    let space = Space {
        name: create.name,
        environment: "default".into(),
        metadata,
        created_at: Instant(0),
        created_by: "k7wq2mxa".into(),
        updated_at: Instant(0),
        updated_by: "k7wq2mxa".into(),
        revision: 7,
    };
    let written = serde_json::to_string(&space).unwrap();
    assert!(written.contains(text), "{written}");
    assert_eq!(serde_json::from_str::<Space>(&written).unwrap().metadata.get(), text);
    assert!(serde_json::from_str::<CreateSpace>(r#"{"name": "acme"}"#).unwrap().metadata.is_none());
    assert!(serde_json::from_str::<UpdateSpace>("{}").is_err());
    assert!(serde_json::from_str::<CreateSpace>(r#"{"name": "acme", "colour": 1}"#).is_err());
}

#[test]
fn an_explanation_says_which_scope_said_what() {
    let entry = TrailEntry {
        space: Some("acme".into()),
        verdict: Verdict::Missing,
        version: None,
        since: None,
        by: None,
        revision: None,
    };
    let explanation = Explanation {
        name: "K".into(),
        environment: "default".into(),
        space: Some("acme".into()),
        found: Some(Served { space: None, version: 3 }),
        trail: vec![
            entry.clone(),
            TrailEntry { space: None, verdict: Verdict::Value, version: Some(3), since: Some(Instant(0)), ..entry },
        ],
    };
    let written = serde_json::to_value(&explanation).unwrap();
    let expected = json!({"name": "K", "environment": "default", "space": "acme", "found": {"space": null, "version": 3},
        "trail": [{"space": "acme", "verdict": "missing"},
            {"space": null, "verdict": "value", "version": 3, "since": "1970-01-01T00:00:00.000Z"}]});
    assert_eq!(written, expected);
    assert_eq!(serde_json::from_value::<Explanation>(written).unwrap(), explanation);
}
