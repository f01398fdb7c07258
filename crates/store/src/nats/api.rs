//! The requests of JetStream that the ledger uses.

use async_nats::{HeaderMap, Message, StatusCode, jetstream::stream};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use claviger_core::{Revision, Timestamp};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{
    connection::NatsConnection,
    fault::{Attempt, Fault, Refusal, code},
    pause::Patience,
};
use crate::Result;

/// A message as a stream keeps it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) subject: String,
    pub(super) revision: Revision,
    pub(super) stored_at: Timestamp,
    pub(super) bytes: Bytes,
}

/// Which message of a stream.
#[derive(Clone, Debug, Serialize)]
pub(super) enum Which {
    /// The one with this sequence.
    #[serde(rename = "seq")]
    At(u64),
    /// The last one of the subject, or of those that a pattern matches.
    #[serde(rename = "last_by_subj")]
    LastOf(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Refused { error: Refusal },
    Given(T),
}

#[derive(Deserialize)]
struct Got {
    message: GotMessage,
}

#[derive(Deserialize)]
struct GotMessage {
    subject: String,
    seq: u64,
    time: String,
    #[serde(default)]
    data: String,
}

/// An answer of which only the absence of an error counts.
#[derive(Deserialize)]
pub(super) struct Anything {}

/// Who answers for a stream.
#[derive(Deserialize)]
struct Answerer {
    config: Copies,
    cluster: Option<Lead>,
}

#[derive(Deserialize)]
struct Copies {
    num_replicas: usize,
}

/// A server tells since when it leads, if it does.
#[derive(Deserialize)]
struct Lead {
    leader_since: Option<IgnoredAny>,
}

impl Answerer {
    fn leads(&self) -> bool {
        let is_only_one = self.config.num_replicas <= 1;
        is_only_one || self.cluster.as_ref().is_some_and(|cluster| cluster.leader_since.is_some())
    }
}

impl NatsConnection {
    /// Asks JetStream once.
    pub(super) async fn ask_once<T: DeserializeOwned>(&self, subject: &str, body: &impl Serialize) -> Attempt<T> {
        given(&self.answer(subject, body).await?)
    }

    async fn answer(&self, subject: &str, body: &impl Serialize) -> Attempt<Message> {
        let body = serde_json::to_vec(body).map_err(|_| Fault::Unreadable)?;
        self.request(&format!("$JS.API.{subject}"), body.into()).await
    }

    /// Asks until there is an answer, for a while. Only for what may be asked twice.
    pub(super) async fn ask<T: DeserializeOwned>(&self, subject: &str, body: &impl Serialize) -> Attempt<T> {
        let mut patience = Patience::new();
        loop {
            match self.ask_once(subject, body).await {
                Err(fault) if fault.is_passing() && patience.is_left().await => {}
                answer => return answer,
            }
        }
    }

    /// A message, from the stream's leader.
    pub(super) async fn get(&self, stream: &str, which: &Which) -> Result<Option<Kept>> {
        let got = self.ask::<Got>(&format!("STREAM.MSG.GET.{stream}"), which).await;
        kept(got).map_err(|fault| self.explain(fault))
    }

    /// The same, asked once.
    pub(super) async fn get_once(&self, stream: &str, which: &Which) -> Attempt<Option<Kept>> {
        kept(self.ask_once::<Got>(&format!("STREAM.MSG.GET.{stream}"), which).await)
    }

    /// What the leader says about a stream, if there is one.
    pub(super) async fn find(&self, stream: &str) -> Attempt<Option<stream::Info>> {
        let mut patience = Patience::new();
        loop {
            match self.info_once(stream).await {
                Ok(info) => return Ok(Some(info)),
                Err(fault) if fault.code() == Some(code::NO_STREAM) => return Ok(None),
                Err(fault) if fault.is_passing() && patience.is_left().await => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// What the leader says about a stream.
    pub(super) async fn info(&self, stream: &str) -> Attempt<stream::Info> {
        self.info_about(stream, &()).await
    }

    /// The same, asked once.
    pub(super) async fn info_once(&self, stream: &str) -> Attempt<stream::Info> {
        self.info_about_once(stream, &()).await
    }

    /// What the leader says when it is asked for more than usual.
    pub(super) async fn info_about<T: DeserializeOwned>(&self, stream: &str, what: &impl Serialize) -> Attempt<T> {
        let mut patience = Patience::new();
        loop {
            match self.info_about_once(stream, what).await {
                Err(fault) if fault.is_passing() && patience.is_left().await => {}
                answer => return answer,
            }
        }
    }

    /// While a stream has no leader, any server that has a copy answers with as much as it has, and for some seconds after a
    /// start one of them does so whether there is a leader or not. Its copy may be behind, so that is no answer.
    async fn info_about_once<T: DeserializeOwned>(&self, stream: &str, what: &impl Serialize) -> Attempt<T> {
        let answer = self.answer(&format!("STREAM.INFO.{stream}"), what).await?;
        if given::<Answerer>(&answer)?.leads() { given(&answer) } else { Err(Fault::Leaderless) }
    }

    /// Overwrites a message and takes it out. What is not there is no error.
    pub(super) async fn overwrite(&self, stream: &str, revision: Revision) -> Result<()> {
        #[derive(Serialize)]
        struct Delete {
            seq: u64,
            no_erase: bool,
        }
        const GONE: [u64; 3] = [code::NOT_DELETED, code::NO_MESSAGE, code::NO_SEQUENCE];
        let delete = Delete { seq: revision.0, no_erase: false };
        match self.ask::<Anything>(&format!("STREAM.MSG.DELETE.{stream}"), &delete).await {
            Ok(_) => Ok(()),
            // Also the answer when it was taken out before.
            Err(fault) if GONE.map(Some).contains(&fault.code()) => {
                match self.get(stream, &Which::At(revision.0)).await? {
                    None => Ok(()),
                    Some(_) => Err(self.explain(fault)),
                }
            }
            Err(fault) => Err(self.explain(fault)),
        }
    }
}

fn given<T: DeserializeOwned>(answer: &Message) -> Attempt<T> {
    match serde_json::from_slice(&answer.payload) {
        Ok(Answer::Given(given)) => Ok(given),
        Ok(Answer::Refused { error }) => Err(error.into()),
        Err(_) => Err(Fault::Unreadable),
    }
}

fn kept(got: Attempt<Got>) -> Attempt<Option<Kept>> {
    match got {
        Ok(got) => got.message.read().map(Some),
        Err(fault) if fault.code() == Some(code::NO_MESSAGE) => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl GotMessage {
    fn read(self) -> Attempt<Kept> {
        let bytes = STANDARD.decode(&self.data).map_err(|_| Fault::Unreadable)?;
        Ok(Kept {
            subject: self.subject,
            revision: Revision(self.seq),
            stored_at: instant(&self.time)?,
            bytes: bytes.into(),
        })
    }
}

impl Kept {
    /// Reads the answer to a direct get: the message, or `None` when there is none.
    pub(super) fn from_direct(answer: Message) -> Attempt<Option<Kept>> {
        match answer.status {
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) if !status.is_success() => {
                let description = answer.description.unwrap_or_default();
                return Err(Fault::Refused { code: u64::from(status.as_u16()), description });
            }
            _ => {}
        }
        let headers = answer.headers.ok_or(Fault::Unreadable)?;
        Ok(Some(Kept {
            subject: header(&headers, "Nats-Subject").ok_or(Fault::Unreadable)?.to_owned(),
            revision: Revision(number(&headers, "Nats-Sequence").ok_or(Fault::Unreadable)?),
            stored_at: instant(header(&headers, "Nats-Time-Stamp").unwrap_or_default())?,
            bytes: answer.payload,
        }))
    }
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Option<u64> {
    header(headers, name)?.parse().ok()
}

fn instant(text: &str) -> Attempt<Timestamp> {
    let at: jiff::Timestamp = text.parse().map_err(|_| Fault::Unreadable)?;
    Ok(Timestamp(at.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(answer: &str) -> bool {
        serde_json::from_str::<Answerer>(answer).unwrap().leads()
    }

    #[test]
    fn only_the_leaders_word_counts_where_there_are_several_copies() {
        let led = r#"{"config":{"num_replicas":3},"cluster":{"leader":"n1","leader_since":"2026-01-01T00:00:00Z"}}"#;
        assert!(leads(led));
        // One that follows, one that knows of no leader, and one that has only begun to take part.
        assert!(!leads(r#"{"config":{"num_replicas":3},"cluster":{"leader":"n1","replicas":[{"name":"n1"}]}}"#));
        assert!(!leads(r#"{"config":{"num_replicas":3},"cluster":{"name":"c"}}"#));
        assert!(!leads(r#"{"config":{"num_replicas":3},"cluster":{"name":"c","leader":"n2"}}"#));
        // Whoever has the only copy leads.
        assert!(leads(r#"{"config":{"num_replicas":1}}"#));
        assert!(leads(r#"{"config":{"num_replicas":1},"cluster":{"name":"c","leader":"n2"}}"#));
    }
}
