use claviger_api::worker::{FrameError, FromWorker, Job, JobEvent, JobSecret, JobStep, ToWorker};
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
    for text in ["", "[]", "{}", "{\"type\":1}", "{\"type\":\"step\"}", &format!("{{\"type\":\"step\",{canary}")] {
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
