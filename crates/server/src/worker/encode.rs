//! From the engine's words to frames.

use std::time::Duration;

use claviger_api::{
    FunctionFailure,
    worker::{FoundSecret, Job, JobEvent, JobSecret, JobStep, LookedUp, ToWorker},
};
use claviger_core::{SecretName, SecretValue, SpaceName};
use claviger_engine::runtime::{self, FunctionError, Known, LookupId, Outgoing};
use serde_json::value::RawValue;

use super::outbound::Reply;

/// Room for the members of a job that are not counted one by one.
const FRAME_ROOM: usize = 512;
/// The most bytes that one byte of a value takes in JSON: `\u0000`.
const ESCAPED: usize = 6;

/// A frame as text.
pub(super) fn text(frame: &ToWorker<'_>) -> String {
    text_within(frame, FRAME_ROOM)
}

/// A frame as text, in a buffer that need not grow when the room is right: growing leaves copies behind.
fn text_within(frame: &ToWorker<'_>, room: usize) -> String {
    let mut bytes = Vec::with_capacity(room);
    // Plain structs with text keys: encoding them cannot fail, and gives UTF-8.
    let _ = serde_json::to_writer(&mut bytes, frame);
    String::from_utf8(bytes).unwrap_or_default()
}

pub(super) fn outgoing(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::Job(job) => text_within(&ToWorker::Job(self::job(job)), room(job)),
        Outgoing::Ack(ack) => text(&ToWorker::Ack {
            run: ack.run.to_string(),
            fence: ack.fence.to_string(),
            ended: ack.ended,
            steps: ack.steps.iter().map(step).collect(),
        }),
        Outgoing::Cancel { run, fence, reason } => {
            text(&ToWorker::Cancel { run: run.to_string(), fence: fence.to_string(), reason: reason.as_str() })
        }
        Outgoing::Refused { run, fence, error } => refused((run.to_string(), fence.to_string()), None, error),
        Outgoing::Secret(answer) => text_within(&ToWorker::Secret(looked_up(answer)), room_of_answer(answer)),
        Outgoing::Unanswered { run, fence, id, error } => {
            refused((run.to_string(), fence.to_string()), Some(id), error)
        }
        Outgoing::Changed { run, fence, name } => {
            text(&ToWorker::Changed { run: run.to_string(), fence: fence.to_string(), name: name.as_str() })
        }
        Outgoing::Drain => text(&ToWorker::Drain),
    }
}

pub(super) fn reply(reply: Reply) -> String {
    match reply {
        Reply::Heartbeat => text(&ToWorker::Heartbeat),
        Reply::UnknownFrame => text(&ToWorker::Error {
            code: "unknown_frame",
            detail: claviger_api::worker::FrameError::UnknownType.to_string(),
            run: None,
            fence: None,
            id: None,
        }),
        Reply::Lost { run, fence } => text(&ToWorker::Cancel { run, fence, reason: "lost" }),
        Reply::Refused { run, fence, error } => refused((run.to_string(), fence.to_string()), None, &error),
        Reply::Unanswered { run, fence, id, error } => refused((run.to_string(), fence.to_string()), Some(&id), &error),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn refused((run, fence): (String, String), id: Option<&LookupId>, error: &claviger_engine::Error) -> String {
    text(&ToWorker::Error {
        code: error.code(),
        detail: error.to_string(),
        run: Some(run),
        fence: Some(fence),
        id: id.map(LookupId::as_str),
    })
}

fn job(job: &runtime::Job) -> Job<'_> {
    Job {
        run: job.run.to_string(),
        fence: job.fence.to_string(),
        function: job.function.as_str(),
        attempt: job.attempt,
        event: JobEvent {
            id: &job.event.id,
            name: job.event.name.as_str(),
            data: &job.event.data,
            at: job.event.at.0,
            environment: job.environment.as_str(),
            space: job.event.space.as_ref().map(SpaceName::as_str),
        },
        steps: job.steps.iter().map(step).collect(),
        secrets: job.secrets.iter().map(secret).collect(),
    }
}

fn secret(secret: &runtime::JobSecret) -> JobSecret<'_> {
    JobSecret::new(secret.name.as_str(), secret.version, bytes(&secret.value))
}

fn looked_up(answer: &runtime::LookedUp) -> LookedUp<'_> {
    LookedUp {
        run: answer.run.to_string(),
        fence: answer.fence.to_string(),
        id: answer.id.as_str(),
        name: answer.name.as_str(),
        found: answer.found.as_ref().map(|(version, value)| FoundSecret::new(*version, bytes(value))),
    }
}

/// The one place where a value goes into a frame.
fn bytes(value: &SecretValue) -> &[u8] {
    value.expose()
}

fn step(step: &runtime::JobStep) -> JobStep<'_> {
    let mut written = JobStep { id: step.id.as_str(), result: None, error: None, open: None };
    match &step.known {
        Known::Result(result) => written.result = Some(result.as_deref().unwrap_or(RawValue::NULL)),
        Known::Error(error) => written.error = Some(failure(error)),
        Known::Open(kind) => written.open = Some(kind),
    }
    written
}

fn failure(error: &FunctionError) -> FunctionFailure {
    FunctionFailure { name: error.name.clone(), message: error.message.clone(), stack: error.stack.clone() }
}

fn room(job: &runtime::Job) -> usize {
    let secrets = job.secrets.iter().map(|secret| room_of_secret(&secret.name, &secret.value));
    let steps = job.steps.iter().map(|step| match &step.known {
        Known::Result(Some(result)) => result.get().len() + ESCAPED * 200,
        Known::Error(error) => ESCAPED * (error.message.len() + error.stack.as_ref().map_or(0, String::len) + 200),
        Known::Result(None) | Known::Open(_) => ESCAPED * 200,
    });
    let place = job.event.space.as_ref().map_or(0, |space| ESCAPED * space.as_str().len());
    let event = job.event.data.get().len() + 2 * job.event.id.len() + place;
    FRAME_ROOM + event + secrets.sum::<usize>() + steps.sum::<usize>()
}

fn room_of_answer(answer: &runtime::LookedUp) -> usize {
    let value = answer.found.as_ref().map(|(_, value)| room_of_secret(&answer.name, value));
    FRAME_ROOM + ESCAPED * answer.name.as_str().len() + value.unwrap_or_default()
}

fn room_of_secret(name: &SecretName, value: &SecretValue) -> usize {
    ESCAPED * (value.len() + name.as_str().len()) + 64
}
