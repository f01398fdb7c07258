use claviger_api::{ApiKey, CreatedApiKey, Encoding, Instant, Origin, Secret, SecretText, SetSecret};

const CANARY: &str = "canary-9c41-value";

#[test]
fn what_is_set_is_read_and_never_shown() {
    let body = format!(r#"{{"value": "{CANARY}\n", "encoding": "utf8", "description": "d", "allowShort": true}}"#);
    let set: SetSecret = serde_json::from_slice(body.as_bytes()).unwrap();
    assert_eq!(set.value.reveal(), format!("{CANARY}\n"));
    assert_eq!((set.encoding, set.allow_short), (Encoding::Utf8, true));
    assert!(!format!("{set:?}").contains("canary"), "{set:?}");
}

#[test]
fn what_a_client_writes_is_what_the_server_reads() {
    let value = "quote \" backslash \\ newline \n é 😀 \u{1}".to_owned();
    let set = SetSecret { value: SecretText::new(value.clone().into()), ..SetSecret::default() };
    let read: SetSecret = serde_json::from_slice(&serde_json::to_vec(&set).unwrap()).unwrap();
    assert_eq!(read.value.reveal(), value);
}

#[test]
fn unknown_members_and_other_types_are_refused_without_repeating_a_value() {
    for body in [
        format!(r#"{{"value": "x", "{CANARY}": 1}}"#),
        format!(r#"{{"value": ["{CANARY}"]}}"#),
        format!(r#"{{"value": {{"{CANARY}": 1}}}}"#),
        format!(r#"{{"value": "{CANARY}" "#),
        format!(r#"{{"description": "{CANARY}"}}"#),
    ] {
        assert!(serde_json::from_slice::<SetSecret>(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_created_key_is_written_beside_its_metadata_and_not_shown() {
    let api_key = ApiKey {
        id: "k7wq2mxa".into(),
        role: "viewer".into(),
        environment: "default".into(),
        description: None,
        secrets: vec![],
        functions: None,
        spaces: None,
        events: vec![],
        origins: vec![],
        created_at: Instant(0),
        created_by: "system".into(),
        expires_at: None,
        revoked_at: None,
    };
    let created = CreatedApiKey { api_key: api_key.clone(), key: SecretText::new(CANARY.to_owned().into()) };
    let json = serde_json::to_string(&created).unwrap();
    assert!(!format!("{created:?}").contains(CANARY));
    let read: CreatedApiKey = serde_json::from_str(&json).unwrap();
    assert_eq!((read.api_key, read.key.reveal()), (api_key, CANARY));
}

#[test]
fn what_a_space_shows_of_a_blocked_name_has_no_version() {
    let blocked = Secret {
        name: "K".into(),
        environment: "default".into(),
        space: Some("acme".into()),
        origin: Some(Origin::Blocked),
        version: None,
        revision: 12,
        description: None,
        created_at: Instant(0),
        updated_at: Instant(0),
        updated_by: "k7wq2mxa".into(),
        unmaskable: false,
        versions: None,
    };
    let written = serde_json::to_value(&blocked).unwrap();
    assert_eq!((&written["origin"], written.get("version")), (&"blocked".into(), None));
    assert_eq!(serde_json::from_value::<Secret>(written).unwrap(), blocked);
    let inherited = Secret { space: None, origin: Some(Origin::Inherited), version: Some(3), ..blocked };
    let written = serde_json::to_value(&inherited).unwrap();
    assert_eq!((&written["space"], &written["version"]), (&serde_json::Value::Null, &3.into()));
}
