use claviger_api::worker::{
    FoundSecret, FrameError, FromWorker, Job, JobEvent, JobSecret, JobStep, LookedUp, LookupSpace, ToWorker,
};
use serde_json::{json, value::RawValue};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[test]
fn hello_is_read_with_its_defaults_and_unknown_members() {
    let text = r#"{"functions":[{"id":"payout","triggers":[{"event":"a.b","later":1}],"secrets":[{"name":"K"}],
        "retry":{"maxAttempts":2},"concurrency":{"limit":10},"timeoutMs":5,"x":{}}],"credit":3,"protocol":1,"type":"hello"}"#;
    let FromWorker::Hello(hello) = FromWorker::parse(text).unwrap() else { panic!("not hello") };
    let function = &hello.functions[0];
    assert_eq!((hello.protocol, hello.credit, hello.environment.as_deref()), (1, 3, None));
    assert_eq!((function.triggers[0].event.as_str(), function.secrets[0].required), ("a.b", false));
    let retry = function.retry.unwrap();
    assert_eq!((retry.max_attempts, retry.initial_delay_ms, retry.max_delay_ms), (2, 1_000, 60_000));
}

#[test]
fn json_in_outcomes_is_passed_on_as_written() {
    let text = r#"{"type":"complete","run":"run_1","fence":"9","outcomes":[
        {"id":"a","kind":"run","result":{"n": 1.0, "big": 123456789012345678901234567890}},
        {"id":"b","kind":"run","error":{"name":"E","message":"m"}},
        {"id":"c","kind":"waitForEvent","event":"x.*","match":{"path":"data.id","equals":7},"timeoutMs":1}],"result":null}"#;
    let FromWorker::Complete(frame) = FromWorker::parse(text).unwrap() else { panic!("not complete") };
    let result = frame.outcomes[0].result.as_ref().unwrap();
    assert_eq!(result.get(), r#"{"n": 1.0, "big": 123456789012345678901234567890}"#);
    assert_eq!(frame.outcomes[1].error.as_ref().unwrap().message, "m");
    assert_eq!(frame.outcomes[2].r#match.as_ref().unwrap().equals, json!(7));
    assert!(frame.result.is_none());
}

#[test]
fn what_is_no_frame_is_refused_by_position() {
    let canary = "canary-77aa";
    for (array, line, column) in [("[]", 1, 1), (" [\"drain\"]", 1, 2), ("\r\n\n\t [\"heartbeat\"]", 3, 3)] {
        assert_eq!(FromWorker::parse(array).unwrap_err(), FrameError::Malformed { line, column }, "{array}");
    }
    for text in ["", "{}", "{\"type\":1}", "{\"type\":\"step\"}", &format!("{{\"type\":\"step\",{canary}")] {
        let error = FromWorker::parse(text).unwrap_err();
        assert!(matches!(error, FrameError::Malformed { .. }), "{text}: {error}");
        assert!(!error.to_string().contains(canary));
    }
    assert_eq!(FromWorker::parse("{\"type\":\"dance\"}").unwrap_err(), FrameError::UnknownType);
    assert!(matches!(FromWorker::parse("{\"type\":\"heartbeat\",\"x\":1}"), Ok(FromWorker::Heartbeat)));
}

#[test]
fn a_job_is_written_as_the_protocol_says() {
    let (data, null) = (raw("{\"amount\":1200}"), raw("null"));
    let job = ToWorker::Job(Job {
        run: "run_1".into(),
        fence: "12".into(),
        function: "payout",
        attempt: 1,
        event: JobEvent {
            id: "e",
            name: "payout.requested",
            data: &data,
            at: 1_790_000_000_000,
            environment: "default",
            space: None,
        },
        steps: vec![
            JobStep { id: "a", result: Some(&null), error: None, open: None },
            JobStep { id: "b", result: None, error: None, open: Some("sleep") },
        ],
        secrets: vec![
            JobSecret::new("K", 7, b"canary-1f\n\"value"),
            JobSecret::new("EMPTY", 1, b""),
            JobSecret::new("BYTES", 2, &[0xff, 0x00, 0xfe, 0x41]),
        ],
    });
    assert!(!format!("{job:?}").contains("canary"));
    let written: serde_json::Value = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
    let expected = json!({
        "type": "job", "run": "run_1", "fence": "12", "function": "payout", "attempt": 1,
        "event": {"id": "e", "name": "payout.requested", "data": {"amount": 1200}, "at": 1_790_000_000_000_i64,
            "environment": "default"},
        "steps": [{"id": "a", "result": null}, {"id": "b", "open": "sleep"}],
        "secrets": [{"name": "K", "version": 7, "value": "canary-1f\n\"value"}, {"name": "EMPTY", "version": 1, "value": ""},
            {"name": "BYTES", "version": 2, "value": "/wD+QQ==", "encoding": "base64"}],
    });
    assert_eq!(written, expected);
}

#[test]
fn a_listener_declares_its_filters_and_spaces() {
    let text = r#"{"type":"hello","protocol":1,"credit":1,"functions":[{"id":"orders","lookups":true,"spaces":["acme"],
        "triggers":[{"event":"order:created","match":[{"path":"data.kind","equals":{"a":[1]}}]},{"event":"x.>"}]},{"id":"f"}]}"#;
    let FromWorker::Hello(hello) = FromWorker::parse(text).unwrap() else { panic!("not hello") };
    let [listener, function] = &hello.functions[..] else { panic!("not two") };
    assert_eq!((listener.lookups, listener.spaces.as_deref()), (true, Some(&["acme".to_owned()][..])));
    let conditions = &listener.triggers[0].r#match;
    assert_eq!((conditions[0].path.as_str(), &conditions[0].equals), ("data.kind", &json!({"a": [1]})));
    assert!(listener.triggers[1].r#match.is_empty());
    assert_eq!((function.lookups, &function.spaces), (false, &None));
}

#[test]
fn a_look_up_tells_no_space_from_none_at_all() {
    let with = |member: &str| {
        let text = format!(r#"{{"type":"lookup","run":"r","fence":"1","id":"7","name":"SLACK_TOKEN"{member}}}"#);
        match FromWorker::parse(&text).unwrap() {
            FromWorker::Lookup(lookup) => (lookup.environment, lookup.space),
            frame => panic!("{frame:?}"),
        }
    };
    assert_eq!(with(""), (None, LookupSpace::OfJob));
    assert_eq!(with(r#","space":null"#), (None, LookupSpace::None));
    let named = with(r#","space":"a c/me","environment":"staging""#);
    assert_eq!(named, (Some("staging".to_owned()), LookupSpace::Named("a c/me".to_owned())));
    assert!(FromWorker::parse(r#"{"type":"lookup","run":"r","fence":"1","id":"7","name":"K","space":7}"#).is_err());
    assert!(FromWorker::parse(r#"{"type":"lookup","run":"r","fence":"1","name":"K"}"#).is_err());
}

#[test]
fn answers_to_look_ups_are_written_as_the_protocol_says() {
    let answer =
        |found| ToWorker::Secret(LookedUp { run: "run_1".into(), fence: "12".into(), id: "7", name: "K", found });
    let written = |frame: &ToWorker<'_>| {
        assert!(!format!("{frame:?}").contains("canary"));
        serde_json::from_str::<serde_json::Value>(&serde_json::to_string(frame).unwrap()).unwrap()
    };
    let (canary, bytes) = (b"canary-77\n\"", [0xff, 0x00, 0xfe, 0x41]);
    let head = json!({"type": "secret", "run": "run_1", "fence": "12", "id": "7", "name": "K"});
    let with = |members: serde_json::Value| {
        let mut frame = head.clone();
        frame.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        frame
    };
    assert_eq!(written(&answer(None)), head);
    let text = with(json!({"version": 3, "value": "canary-77\n\""}));
    assert_eq!(written(&answer(Some(FoundSecret::new(3, canary)))), text);
    let encoded = with(json!({"version": 1, "value": "/wD+QQ==", "encoding": "base64"}));
    assert_eq!(written(&answer(Some(FoundSecret::new(1, &bytes)))), encoded);
    assert_eq!(written(&answer(Some(FoundSecret::new(1, b"")))), with(json!({"version": 1, "value": ""})));
    let changed = ToWorker::Changed { run: "run_1".into(), fence: "12".into(), name: "K" };
    assert_eq!(written(&changed), json!({"type": "changed", "run": "run_1", "fence": "12", "name": "K"}));
}
