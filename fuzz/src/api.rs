//! What workers and callers send.

use claviger_api::{
    SetSecret,
    worker::{FromWorker, Outcome, RunFrame},
};
use serde_json::{Value, json};

/// Any message is a frame that has what stands there, or an error that does not repeat it.
pub fn frame(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match FromWorker::parse(text) {
        // Text that is passed on may be what `Value` cannot hold.
        Ok(frame) => match serde_json::from_str::<Value>(text) {
            Ok(body) => assert!(tells(&body, &read(&frame)), "another frame was read"),
            Err(_) => drop(format!("{frame:?}")),
        },
        Err(error) => assert!(!repeats(&format!("{error} {error:?}"), text)),
    }
}

/// What a frame has, as far as workers and the server have to agree on it.
fn read(frame: &FromWorker) -> Value {
    match frame {
        FromWorker::Hello(hello) => {
            let functions: Vec<Value> = hello.functions.iter().map(|function| json!({ "id": function.id })).collect();
            json!({ "type": "hello", "protocol": hello.protocol, "credit": hello.credit, "functions": functions })
        }
        FromWorker::Step(frame) => members("step", frame),
        FromWorker::Suspend(frame) => members("suspend", frame),
        FromWorker::Complete(frame) => members("complete", frame),
        FromWorker::Fail(frame) => members("fail", frame),
        FromWorker::Lookup(asked) => {
            json!({ "type": "lookup", "run": asked.run, "fence": asked.fence, "id": asked.id, "name": asked.name })
        }
        FromWorker::Heartbeat => json!({ "type": "heartbeat" }),
        FromWorker::Drain => json!({ "type": "drain" }),
    }
}

fn members(kind: &str, frame: &RunFrame) -> Value {
    let outcome = |outcome: &Outcome| {
        let Outcome { id, kind, result, data, .. } = outcome;
        json!({ "id": id, "kind": kind, "result": result, "data": data })
    };
    let outcomes: Vec<Value> = frame.outcomes.iter().map(outcome).collect();
    json!({ "type": kind, "run": frame.run, "fence": frame.fence, "result": frame.result, "outcomes": outcomes })
}

/// Whether what was read stands there. What is left out is read as nothing, and members in their order are read too.
fn tells(body: &Value, read: &Value) -> bool {
    match (body, read) {
        (Value::Object(body), Value::Object(read)) => {
            read.iter().all(|(name, read)| tells(body.get(name).unwrap_or(&Value::Null), read))
        }
        (Value::Array(body), Value::Array(read)) => {
            body.len() == read.len() && body.iter().zip(read).all(|(body, read)| tells(body, read))
        }
        (Value::Array(_), Value::Object(_)) => true,
        (Value::Null, Value::Array(read)) => read.is_empty(),
        _ => body == read,
    }
}

/// Any body sets a secret or not; the value is what `serde_json` reads, and is never shown.
pub fn set_secret(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<SetSecret>(data) else { return };
    let body: serde_json::Value = serde_json::from_slice(data).expect("what is read is JSON");
    // Members in their order are read too; the server refuses them before.
    let value = body.get("value").or(body.get(0)).and_then(serde_json::Value::as_str).expect("a value is text");
    assert_eq!(set.value.reveal(), value);
    let shown = format!("{:?}", set.value);
    assert!(value.len() < 12 || !shown.contains(value));
}

/// Whether a message repeats a text. Letters, digits and the punctuation of our own messages do not count: a fuzzer that
/// sees what it is compared with finds those words by itself.
fn repeats(message: &str, text: &str) -> bool {
    let is_foreign =
        |c: char| !(c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "`'\"(){}[],.:;_-".contains(c));
    text.len() >= 12 && text.contains(is_foreign) && message.contains(text)
}
