use claviger_api::{ApiKey, CreatedApiKey, Encoding, Instant, SecretText, SetSecret};

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
