//! What a worker hears. Borrowed throughout: a job's value is written once, into the buffer that is sent.

use std::fmt;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::FunctionFailure;

/// A frame for a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToWorker<'a> {
    /// `hello` was accepted.
    Registered {
        /// The version of the protocol.
        protocol: u32,
        /// Names this connection, in logs.
        session: &'a str,
        /// Where it works.
        environment: &'a str,
        /// The functions.
        functions: Vec<&'a str>,
        /// How often the worker is to be heard of.
        heartbeat_every_ms: u64,
        /// How long a claim stands without that.
        lease_ms: u64,
    },
    /// A job.
    Job(Job<'a>),
    /// A frame is stored.
    Ack {
        /// The run.
        run: String,
        /// The claim.
        fence: String,
        /// Whether the job is over.
        ended: bool,
        /// Outcomes that the worker does not know.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        steps: Vec<JobStep<'a>>,
    },
    /// The answer to a look-up.
    Secret(LookedUp<'a>),
    /// A secret that a job looked up has changed.
    Changed {
        /// The run.
        run: String,
        /// The claim.
        fence: String,
        /// The secret's name.
        name: &'a str,
    },
    /// Stop a job.
    Cancel {
        /// The run.
        run: String,
        /// The claim.
        fence: String,
        /// `cancelled`, `timeout` or `lost`.
        reason: &'a str,
    },
    /// The server is alive.
    Heartbeat,
    /// The server is going away.
    Drain,
    /// A frame was refused, or the connection is.
    Error {
        /// A public error code.
        code: &'a str,
        /// What happened.
        detail: String,
        /// The run whose frame was refused; without one the connection is closed.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// The claim under which it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        fence: Option<String>,
        /// The look-up that has no answer; without one another frame was refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
}

/// One attempt handed to a worker.
#[derive(Debug, Serialize)]
pub struct Job<'a> {
    /// The run.
    pub run: String,
    /// The claim.
    pub fence: String,
    /// The function.
    pub function: &'a str,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What started the run.
    pub event: JobEvent<'a>,
    /// The steps so far.
    pub steps: Vec<JobStep<'a>>,
    /// The declared secrets that are set.
    pub secrets: Vec<JobSecret<'a>>,
}

/// The event of a job.
#[derive(Debug, Serialize)]
pub struct JobEvent<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its data.
    pub data: &'a RawValue,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Its environment.
    pub environment: &'a str,
    /// Its space, if it happened in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<&'a str>,
}

/// A step as the server knows it: one of the three is given.
#[derive(Debug, Serialize)]
pub struct JobStep<'a> {
    /// The step.
    pub id: &'a str,
    /// What it returned; `null` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<FunctionFailure>,
    /// It is open: the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<&'a str>,
}

/// A secret of a job.
#[derive(Debug, Serialize)]
pub struct JobSecret<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: u64,
    /// Its value.
    pub value: ValueText<'a>,
    /// `base64` when the value is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

impl<'a> JobSecret<'a> {
    /// A secret with its value: text as it is, other bytes in base64.
    #[must_use]
    pub fn new(name: &'a str, version: u64, value: &'a [u8]) -> JobSecret<'a> {
        let (value, encoding) = ValueText::of(value);
        JobSecret { name, version, value, encoding }
    }
}

/// The answer to a look-up.
#[derive(Debug, Serialize)]
pub struct LookedUp<'a> {
    /// The run.
    pub run: String,
    /// The claim.
    pub fence: String,
    /// The look-up.
    pub id: &'a str,
    /// The secret's name.
    pub name: &'a str,
    /// What was found; `None` when it is not set there, or not for this worker.
    #[serde(flatten)]
    pub found: Option<FoundSecret<'a>>,
}

/// A secret that was looked up.
#[derive(Debug, Serialize)]
pub struct FoundSecret<'a> {
    /// Its version.
    pub version: u64,
    /// Its value.
    pub value: ValueText<'a>,
    /// `base64` when the value is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

impl<'a> FoundSecret<'a> {
    /// A secret with its value: text as it is, other bytes in base64.
    #[must_use]
    pub fn new(version: u64, value: &'a [u8]) -> FoundSecret<'a> {
        let (value, encoding) = ValueText::of(value);
        FoundSecret { version, value, encoding }
    }
}

/// A value on its way to a worker: can be serialized, and nothing else. No content in `Debug`.
pub struct ValueText<'a>(Form<'a>);

enum Form<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> ValueText<'a> {
    /// The value, and how it is written if that is not text as it is.
    fn of(value: &'a [u8]) -> (ValueText<'a>, Option<&'static str>) {
        match std::str::from_utf8(value) {
            Ok(text) => (ValueText(Form::Text(text)), None),
            Err(_) => (ValueText(Form::Bytes(value)), Some("base64")),
        }
    }
}

impl Serialize for ValueText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Form::Text(text) => serializer.serialize_str(text),
            Form::Bytes(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

impl fmt::Debug for ValueText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueText(…)")
    }
}
