//! Inputs, results and errors: sealed for the journal, redacted for people.

use std::sync::Arc;

use claviger_core::{
    EnvironmentName, Redactor, Revision,
    run::{Body, RunId, StepId},
};
use claviger_crypto::{Binding, Keyring, View};
use serde_json::value::RawValue;

use super::{FunctionError, Json, limits};
use crate::Error;

/// Which body of a run.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Input,
    Step(&'a StepId),
    Output,
    Error(u32),
}

/// Seals and opens the bodies of one run.
pub(crate) struct Bodies<'a> {
    keyring: &'a Keyring,
    environment: &'a EnvironmentName,
    run: String,
}

impl<'a> Bodies<'a> {
    pub(crate) fn new(keyring: &'a Keyring, environment: &'a EnvironmentName, run: RunId) -> Bodies<'a> {
        Bodies { keyring, environment, run: run.to_string() }
    }

    fn binding<'b>(&'b self, part: Part<'b>, view: View) -> Binding<'b> {
        let (environment, run) = (self.environment.as_str(), self.run.as_str());
        match part {
            Part::Input => Binding::RunInput { environment, run },
            Part::Step(step) => Binding::StepResult { environment, run, step: step.as_str(), view },
            Part::Output => Binding::RunOutput { environment, run, view },
            Part::Error(attempt) => Binding::RunError { environment, run, attempt, view },
        }
    }

    /// Seals JSON text, with a redacted view when a tracked value stands in it.
    pub(crate) fn seal(&self, part: Part<'_>, json: &str, redactor: &Redactor) -> Result<Body, Error> {
        let seal = |view, text: &str| {
            let envelope = self.keyring.seal(&self.binding(part, view), text.as_bytes());
            envelope.map(Arc::from).map_err(|_| Error::Bug { what: "an environment without a data key" })
        };
        let view = match redactor.redact_json(json) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(redacted) => Some(seal(View::Redacted, &redacted)?),
        };
        Ok(Body { sealed: seal(View::True, json)?, view })
    }

    /// Opens the true body, for a worker.
    pub(crate) fn open(&self, part: Part<'_>, body: &Body) -> Result<Json, Error> {
        self.open_bytes(self.binding(part, View::True), &body.sealed)
    }

    /// Opens what people may see.
    pub(crate) fn open_view(&self, part: Part<'_>, body: &Body) -> Result<Json, Error> {
        match &body.view {
            Some(view) => self.open_bytes(self.binding(part, View::Redacted), view),
            None => self.open(part, body),
        }
    }

    fn open_bytes(&self, binding: Binding<'_>, envelope: &[u8]) -> Result<Json, Error> {
        let corrupt = |what| Error::Corrupt { stream: "runs", revision: Revision::ZERO, what };
        let opened = self.keyring.open_sealed(&binding, envelope).map_err(|_| corrupt("a body does not open"))?;
        let text = std::str::from_utf8(opened.expose()).map_err(|_| corrupt("a body is not text"))?;
        RawValue::from_string(text.to_owned()).map_err(|_| corrupt("a body is not JSON"))
    }
}

/// Refuses JSON text over the limit.
pub(crate) fn check_size(what: &'static str, json: Option<&Json>) -> Result<(), Error> {
    let length = json.map_or(0, |json| json.get().len());
    if length > limits::MAX_BODY_BYTES {
        return Err(Error::BodyTooLarge { what, length, limit: limits::MAX_BODY_BYTES });
    }
    Ok(())
}

/// An error as JSON text, cut to its limits.
pub(crate) fn error_json(error: &FunctionError) -> String {
    let error = FunctionError {
        name: cut(&error.name, 200),
        message: cut(&error.message, limits::MAX_MESSAGE_BYTES),
        stack: error.stack.as_deref().map(|stack| cut(stack, limits::MAX_STACK_BYTES)),
    };
    // Three strings: encoding them cannot fail.
    serde_json::to_string(&error).unwrap_or_default()
}

fn cut(text: &str, limit: usize) -> String {
    text[..text.floor_char_boundary(limit)].to_owned()
}
