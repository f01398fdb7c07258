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
    Condition(&'a StepId),
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
            Part::Condition(step) => Binding::StepCondition { environment, run, step: step.as_str() },
            Part::Output => Binding::RunOutput { environment, run, view },
            Part::Error(attempt) => Binding::RunError { environment, run, attempt, view },
        }
    }

    /// Seals JSON text, with a redacted view when a tracked value stands in it.
    pub(crate) fn seal(&self, part: Part<'_>, json: &str, redactor: &Redactor) -> Result<Body, Error> {
        self.seal_both(part, json, &redactor.redact_json(json))
    }

    /// Seals an error within its limits, with a redacted view when a tracked value, or the beginning of one where it was
    /// cut, stands in it.
    pub(crate) fn seal_error(&self, part: Part<'_>, error: &FunctionError, redactor: &Redactor) -> Result<Body, Error> {
        self.seal_both(part, &error_json(error), &error_json(&redacted(error, redactor)))
    }

    fn seal_both(&self, part: Part<'_>, json: &str, shown: &str) -> Result<Body, Error> {
        let seal = |view, text: &str| {
            let envelope = self.keyring.seal(&self.binding(part, view), text.as_bytes());
            envelope.map(Arc::from).map_err(|_| Error::Bug { what: "an environment without a data key" })
        };
        let view = if shown == json { None } else { Some(seal(View::Redacted, shown)?) };
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

/// The longest name, message and stack of an error, in bytes.
const ERROR_LIMITS: [usize; 3] = [200, limits::MAX_MESSAGE_BYTES, limits::MAX_STACK_BYTES];

/// An error as JSON text, cut to its limits.
fn error_json(error: &FunctionError) -> String {
    let [name, message, stack] = ERROR_LIMITS;
    let error = FunctionError {
        name: cut(&error.name, name),
        message: cut(&error.message, message),
        stack: error.stack.as_deref().map(|text| cut(text, stack)),
    };
    // Three strings: encoding them cannot fail.
    serde_json::to_string(&error).unwrap_or_default()
}

fn redacted(error: &FunctionError, redactor: &Redactor) -> FunctionError {
    // An SDK cuts at the same limits, by characters. What was cut may end within a value.
    let redacted = |text: &str, limit: usize| match text.len() + char::MAX_LEN_UTF8 > limit {
        true => redactor.redact_cut(text),
        false => redactor.redact(text).into_owned(),
    };
    let [name, message, stack] = ERROR_LIMITS;
    FunctionError {
        name: redacted(&error.name, name),
        message: redacted(&error.message, message),
        stack: error.stack.as_deref().map(|text| redacted(text, stack)),
    }
}

fn cut(text: &str, limit: usize) -> String {
    text[..text.floor_char_boundary(limit)].to_owned()
}
