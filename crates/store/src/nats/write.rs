//! One append, tried until its outcome is known or patience is over.

use std::sync::Arc;

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use claviger_core::Revision;
use serde::Deserialize;

use super::{
    api::{Kept, Which},
    connection::{NatsConnection, Sent},
    fault::{Attempt, Fault, Refusal, code},
    pause::Patience,
};
use crate::{Error, Expected, Result};

/// A message to publish, with all that makes it safe to publish it again.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// The JetStream stream it has to end in.
    pub(super) stream: String,
    pub(super) subject: String,
    pub(super) bytes: Bytes,
    pub(super) expected: Expected,
    pub(super) message_id: String,
    /// Whether the subject's older messages go.
    pub(super) kept: KeptBefore,
}

/// What happens to the messages that a subject had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptBefore {
    Stay,
    Go,
}

/// What a caller's message ids begin with.
const CALLER: &str = "c:";

/// A caller's message id, so that it is a header and unlike any of our own.
pub(super) fn caller_id(id: &str) -> String {
    let mut text = String::from(CALLER);
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(byte)),
            _ => text.push_str(&format!("={byte:02x}")),
        }
    }
    text
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    error: Option<Refusal>,
}

impl Write {
    /// The revision that the guard names, if there is one.
    fn guard(&self) -> Option<Revision> {
        match self.expected {
            Expected::Any => None,
            Expected::Absent => Some(Revision::ZERO),
            Expected::At(revision) => Some(revision),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", self.stream.as_str());
        headers.insert("Nats-Msg-Id", self.message_id.as_str());
        headers
    }

    /// Sends it on its way.
    pub(super) async fn send(&self, connection: &NatsConnection) -> Attempt<Sent> {
        let mut headers = self.headers();
        if let Some(guard) = self.guard() {
            headers.insert("Nats-Expected-Last-Subject-Sequence", guard.0.to_string().as_str());
        }
        if self.kept == KeptBefore::Go {
            headers.insert("Nats-Rollup", "sub");
        }
        connection.send(&self.subject, headers, self.bytes.clone()).await
    }

    /// Sends it and waits for the outcome.
    pub(super) async fn run(&self, connection: &NatsConnection) -> Result<Revision> {
        let first = self.send(connection).await;
        self.finish(connection, first).await
    }

    /// Waits for the outcome of what was sent first, and sends it again if that cannot be known.
    pub(super) async fn finish(&self, connection: &NatsConnection, first: Attempt<Sent>) -> Result<Revision> {
        let mut patience = Patience::new();
        let mut sent = first;
        let mut may_be_stored = self.message_id.starts_with(CALLER);
        let mut is_unanswered = false;
        loop {
            let outcome = match sent {
                Ok(mut sent) => sent.answer().await.and_then(|answer| acknowledged(&answer)),
                Err(fault) => Err(fault),
            };
            let fault = match outcome {
                Ok(revision) => return Ok(revision),
                Err(fault) => fault,
            };
            let is_raced = fault.code().is_some_and(|code| code::WRONG_LAST.contains(&code));
            if is_raced && may_be_stored {
                match self.find_duplicate(connection).await {
                    Ok(Some(revision)) => return Ok(revision),
                    Ok(None) => {}
                    Err(fault) => return Err(connection.explain(fault)),
                }
            }
            if is_unanswered && fault.is_limit() {
                return self.find_despite(connection, fault).await;
            }
            if is_raced {
                self.check_guard(connection).await?;
            }
            if !(is_raced || fault.is_passing()) || !patience.is_left().await {
                return Err(connection.explain(fault));
            }
            may_be_stored = true;
            is_unanswered |= !is_raced;
            sent = self.send(connection).await;
        }
    }

    /// The outcome when an attempt got no answer and the next one met a limit. The servers look at limits first, so that
    /// alone does not say that nothing was stored.
    async fn find_despite(&self, connection: &NatsConnection, limit: Fault) -> Result<Revision> {
        match self.find_duplicate(connection).await {
            Ok(Some(revision)) => Ok(revision),
            Ok(None) => Err(connection.explain(limit)),
            Err(unknown) => Err(Error::Unavailable { source: Some(Arc::new(unknown)) }),
        }
    }

    /// The revision of the message with this id, if there is one. A single server compares guards before it
    /// looks for duplicates, a cluster does it the other way round. Both look for duplicates before they
    /// refuse what nobody can mean by a rollup. (Not so with a wrong last message id, over which a
    /// cluster of nats-server 2.15 gives up the whole stream.)
    async fn find_duplicate(&self, connection: &NatsConnection) -> Attempt<Option<Revision>> {
        let mut patience = Patience::new();
        loop {
            let mut headers = self.headers();
            headers.insert("Nats-Rollup", "nothing");
            let found = match connection.send(&self.subject, headers, Bytes::new()).await {
                Ok(mut sent) => sent.answer().await.and_then(|answer| acknowledged(&answer)),
                Err(fault) => Err(fault),
            };
            match found {
                Ok(revision) => return Ok(Some(revision)),
                Err(fault) if fault.code() == Some(code::NO_ROLLUP) => return Ok(None),
                Err(fault) if fault.is_passing() && patience.is_left().await => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Whether the guard holds after all: another append to the subject may have been on its way and come to
    /// nothing. Otherwise it is a conflict.
    async fn check_guard(&self, connection: &NatsConnection) -> Result<()> {
        let last = connection.get(&self.stream, &Which::LastOf(self.subject.clone())).await?;
        let last = last.map_or(Revision::ZERO, |Kept { revision, .. }| revision);
        if self.guard() == Some(last) { Ok(()) } else { Err(Error::Conflict { last }) }
    }
}

fn acknowledged(answer: &Message) -> Attempt<Revision> {
    let ack: Ack = serde_json::from_slice(&answer.payload).map_err(|_| Fault::Unreadable)?;
    match ack.error {
        Some(refusal) => Err(refusal.into()),
        None if ack.seq == 0 => Err(Fault::Unreadable),
        None => Ok(Revision(ack.seq)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_headers_and_stay_apart() {
        assert_eq!(caller_id("run_1.a"), "c:run_1.a");
        assert_eq!(caller_id("a\r\nX: y"), "c:a=0d=0aX=3a=20y");
        assert_ne!(caller_id("a="), caller_id("a=3d"));
    }
}
