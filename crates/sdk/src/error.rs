//! What can go wrong.

use crate::handler_error::Policy;

/// A failure of the SDK. It never holds an API key or a secret's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `CLAVIGER_API_KEY` nor a call of `api_key` gave a key.
    #[error("there is no API key; set CLAVIGER_API_KEY or call api_key")]
    NoApiKey,
    /// The key holds characters that no key has.
    #[error("the API key holds characters that no key has")]
    MalformedApiKey,
    /// The server's address cannot be used.
    #[error("the server's address cannot be used: {problem}")]
    InvalidUrl {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A listener that handles no event.
    #[error("listener {listener:?} has no handler")]
    NoHandler {
        /// The listener's id.
        listener: String,
    },
    /// A worker without functions.
    #[error("the worker has no function")]
    NoFunction,
    /// Two functions of one worker have the same id.
    #[error("the worker has two functions {function:?}")]
    DuplicateFunction {
        /// The id.
        function: String,
    },
    /// The number of jobs at once is outside the limits.
    #[error("a worker holds 1 to 1024 jobs at once, not {given}")]
    InvalidConcurrency {
        /// What was asked for.
        given: usize,
    },
    /// The server has answered, and its answer is no. Trying again would not help, unless `status` is 429 or above 499.
    #[error("the server refused: {code}: {detail}")]
    Refused {
        /// A stable public code, such as `unknown_api_key`; `claviger explain CODE` says more.
        code: String,
        /// The HTTP status, or the close code of the WebSocket.
        status: u16,
        /// What happened, for people.
        detail: String,
        /// The server's id of the request, for its logs.
        request_id: Option<String>,
    },
    /// There was no usable answer from the server.
    #[error("the server cannot be reached: {problem}")]
    Unreachable {
        /// What happened, for people.
        problem: String,
    },
    /// A step failed, now or in an earlier attempt.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A declared secret has no value.
    #[error("secret {name:?} is not set in {}", describe_scope(.environment, .space.as_deref()))]
    SecretNotSet {
        /// The secret.
        name: String,
        /// The run's environment.
        environment: String,
        /// The run's space, if it has one.
        space: Option<String>,
    },
    /// A look-up has found nothing: the secret is not set there, or it is blocked in the space, or the worker's API key
    /// does not reach it. The server's audit tells which.
    #[error(
        "secret {name:?} is not set in {}, or the worker's API key does not reach it; {}",
        describe_scope(.environment, .space.as_deref()),
        advise_missing(.name, .environment, .space.as_deref())
    )]
    SecretNotFound {
        /// The secret.
        name: String,
        /// Where it was looked for.
        environment: String,
        /// The space of that environment, if it was looked for in one.
        space: Option<String>,
    },
    /// The server could not answer a look-up. Another attempt may succeed.
    #[error("secret {name:?} could not be looked up: {code}: {detail}")]
    LookupRefused {
        /// The secret.
        name: String,
        /// A stable public code, such as `unavailable`; `claviger explain CODE` says more.
        code: String,
        /// What happened, for people.
        detail: String,
    },
    /// The job has ended, was cancelled or was lost before the secret was looked up.
    #[error("secret {name:?} cannot be looked up: the job is over")]
    JobOver {
        /// The secret.
        name: String,
    },
    /// The function has not declared the secret; whether it exists is not told.
    #[error("secret {name:?} is not declared by function {function:?}")]
    SecretNotDeclared {
        /// The secret.
        name: String,
        /// The function that asked for it.
        function: String,
    },
    /// The secret's value is not UTF-8; `get_bytes` returns it.
    #[error("secret {name:?} is not text")]
    SecretNotText {
        /// The secret.
        name: String,
    },
    /// A step's id is empty or too long.
    #[error("a step's id has 1 to 200 characters, not {length}")]
    InvalidStepId {
        /// Its characters.
        length: usize,
    },
    /// A value cannot be written as JSON.
    #[error("{what} cannot be written as JSON")]
    NotJson {
        /// Which value.
        what: String,
    },
    /// A value takes more than 256 KiB of JSON.
    #[error("{what} takes {bytes} bytes of JSON; the limit is 262144")]
    TooLarge {
        /// Which value.
        what: String,
        /// Its length.
        bytes: usize,
    },
    /// JSON that was received does not fit the type that the program expects.
    #[error("{what} does not fit {expected}")]
    Mismatch {
        /// Which value.
        what: String,
        /// The Rust type.
        expected: &'static str,
    },
}

impl Error {
    /// True if another attempt of the run meets the same error.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::NotJson { .. } | Self::TooLarge { .. })
    }
}

fn describe_scope(environment: &str, space: Option<&str>) -> String {
    match space {
        Some(space) => format!("space {space:?} of environment {environment:?}"),
        None => format!("environment {environment:?}"),
    }
}

fn advise_missing(name: &str, environment: &str, space: Option<&str>) -> String {
    let of = format!("{} --env {}", shell_word(name), shell_word(environment));
    match space.map(|space| format!("{of} --space {}", shell_word(space))) {
        Some(of) => format!("set it with `claviger secret set {of}`, or see why with `claviger secret explain {of}`"),
        None => format!("set it with `claviger secret set {of}`"),
    }
}

/// As a shell reads it as one word.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/@%+=-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The error of a step's function, or of the run that `invoke` started.
///
/// After a replay it is the remembered one: `name` and `message` are the original's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("step {step:?} failed: {message}")]
#[non_exhaustive]
pub struct StepError {
    /// The step, as it is stored.
    pub step: String,
    /// The kind of error, for programs.
    pub name: String,
    /// What happened, for people.
    pub message: String,
    pub(crate) policy: Policy,
}
