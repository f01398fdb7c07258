//! Errors that leave a handler or a step's function.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, StepError};
use crate::frame::WireError;

/// The server cuts longer messages; cutting here keeps frames small.
const MOST_MESSAGE_BYTES: usize = 4 * 1024;
const MOST_NAME_BYTES: usize = 200;

type BoxedError = Box<dyn StdError + Send + Sync>;

/// Why an attempt or a step failed, and what is to happen next.
///
/// The `?` operator makes one of any error; its name is the error type's name and its message the whole chain of
/// sources. Text and boxed errors become one by [`HandlerError::new`].
///
/// ```
/// use claviger::HandlerError;
/// use std::time::Duration;
///
/// let declined = HandlerError::non_retryable("the card was declined").named("Declined");
/// let busy = HandlerError::new("too many requests").retry_after(Duration::from_secs(30));
/// # let _ = (declined, busy);
/// ```
#[derive(Clone)]
pub struct HandlerError {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) policy: Policy,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Another attempt after the function's backoff.
    Retry,
    /// Another attempt after this time.
    RetryAfter(Duration),
    /// The run has failed.
    Never,
}

impl HandlerError {
    /// An error with this message, named `Error`; another attempt follows.
    pub fn new(error: impl Into<BoxedError>) -> Self {
        Self::describe(&*error.into(), "Error")
    }

    /// Ends the run as failed, without further attempts.
    pub fn non_retryable(error: impl Into<BoxedError>) -> Self {
        Self { policy: Policy::Never, ..Self::new(error) }
    }

    /// Starts the next attempt after `delay` instead of after the function's backoff.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { policy: Policy::RetryAfter(delay), ..self }
    }

    /// Gives the error a name that programs can tell it by.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(|t| &**t));
        Self::new(text.unwrap_or("the function panicked")).named("Panic")
    }

    pub(crate) fn to_wire(&self) -> WireError {
        WireError {
            name: Some(cut(&self.name, MOST_NAME_BYTES).to_owned()),
            message: Some(cut(&self.message, MOST_MESSAGE_BYTES).to_owned()),
        }
    }

    /// The same failure as the handler sees it.
    pub(crate) fn into_step_error(self, step: &str) -> StepError {
        StepError { step: step.to_owned(), name: self.name, message: self.message, policy: self.policy }
    }

    fn describe(error: &(dyn StdError + 'static), name: &str) -> Self {
        if let Some(step) = find_step_error(error) {
            return Self { name: step.name.clone(), message: step.message.clone(), policy: step.policy };
        }
        let permanent = chain(error).any(|cause| cause.downcast_ref().is_some_and(Error::is_permanent));
        let policy = if permanent { Policy::Never } else { Policy::Retry };
        Self { name: name.to_owned(), message: describe_chain(error), policy }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::describe(&error, short_type_name::<E>())
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HandlerError")
            .field("name", &self.name)
            .field("message", &self.message)
            .field("policy", &self.policy)
            .finish()
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// A program may wrap a step's error into one of its own; the policy must survive that.
fn find_step_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a StepError> {
    chain(error).find_map(|cause| match cause.downcast_ref() {
        Some(Error::Step(step)) => Some(step),
        _ => cause.downcast_ref(),
    })
}

/// The messages of the error and of its sources. Errors that already print their source are not repeated.
fn describe_chain(error: &(dyn StdError + 'static)) -> String {
    let mut message = String::new();
    for text in chain(error).map(ToString::to_string) {
        if message.is_empty() {
            message = text;
        } else if !message.ends_with(&text) {
            message = format!("{message}: {text}");
        }
    }
    message
}

/// `payout::ChargeError<T>` is `ChargeError`.
fn short_type_name<E>() -> &'static str {
    let path = std::any::type_name::<E>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the charge failed")]
    struct ChargeError(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[from] Error);

    #[test]
    fn an_error_is_described_by_its_type_and_its_sources() {
        let error = HandlerError::from(ChargeError(std::io::Error::other("no route")));
        assert_eq!((error.name.as_str(), error.message.as_str()), ("ChargeError", "the charge failed: no route"));
        assert_eq!(error.policy, Policy::Retry);
    }

    #[test]
    fn a_step_error_keeps_its_policy_inside_other_errors() {
        let declined = HandlerError::non_retryable("declined").named("Declined").into_step_error("charge");
        let error = HandlerError::from(Wrapped(Error::Step(declined)));
        assert_eq!((error.name.as_str(), error.message.as_str()), ("Declined", "declined"));
        assert_eq!(error.policy, Policy::Never);
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let wire = HandlerError::new("é".repeat(4000)).named("n".repeat(500)).to_wire();
        assert_eq!(wire.message.map(|message| message.len()), Some(4096));
        assert_eq!(wire.name.map(|name| name.len()), Some(200));
    }
}
