//! Why a command did not do what it should, and the exit status that says so.

use std::{borrow::Cow, process::ExitCode};

use claviger_core::{ErrorKind, Redactor};

use crate::terminal::{plain, say};

/// The exit statuses. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nobody reads the output any more, which is the reader's right.
    Ok = 0,
    /// What has no status of its own.
    Other = 1,
    /// The arguments, the configuration or the input are wrong or too large.
    Usage = 2,
    /// Not allowed.
    Denied = 3,
    /// It does not exist.
    NotFound = 4,
    /// It is not as expected.
    Conflict = 5,
    /// No master key, or not the right one.
    NoKey = 6,
    /// The server is not there.
    Unreachable = 8,
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Exit {
        match kind {
            ErrorKind::Invalid | ErrorKind::TooLarge => Exit::Usage,
            ErrorKind::Unauthenticated | ErrorKind::Denied => Exit::Denied,
            ErrorKind::NotFound => Exit::NotFound,
            ErrorKind::Conflict => Exit::Conflict,
            ErrorKind::NoKey => Exit::NoKey,
            ErrorKind::Unavailable => Exit::Unreachable,
            ErrorKind::Limited | ErrorKind::TimedOut | ErrorKind::Corrupt | ErrorKind::Full | ErrorKind::Internal => {
                Exit::Other
            }
        }
    }
}

impl Exit {
    /// The status for an HTTP answer: that of the kind of error which the server answers so.
    pub(crate) fn of_http(status: u16) -> Exit {
        match status {
            400 | 413 => Exit::Usage,
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            502 | 503 => Exit::Unreachable,
            _ => Exit::Other,
        }
    }
}

/// What went wrong, in words for people and a code for programs. Never a value.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: Option<Cow<'static, str>>,
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// One with a public code, which has a page.
    pub(crate) fn new(exit: Exit, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Failure {
        Failure { exit, code: Some(code.into()), message: message.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// One that nobody needs to tell apart from others.
    pub(crate) fn plain(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, code: None, message: message.into(), details: Vec::new(), hints: Vec::new() }
    }

    /// The reader of standard output went away: no failure at all.
    pub(crate) fn reader_gone() -> Failure {
        Failure::plain(Exit::Ok, "")
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, advice: impl Into<String>) -> Failure {
        self.hints.push(advice.into());
        self
    }

    /// Adds facts, one a line.
    pub(crate) fn details(mut self, lines: Vec<String>) -> Failure {
        self.details = lines;
        self
    }

    /// The same with every value masked.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Failure {
        self.message = redactor.redact(&self.message).into_owned();
        for line in self.details.iter_mut().chain(&mut self.hints) {
            *line = redactor.redact(line).into_owned();
        }
        self
    }

    /// What went wrong, for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether it has this public code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether trying again later may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.exit, Exit::Unreachable)
            || matches!(self.code.as_deref(), Some("timeout" | "too_many_requests" | "internal"))
    }

    /// Says it on standard error and answers the status to exit with.
    pub(crate) fn report(&self) -> ExitCode {
        if self.exit == Exit::Ok {
            return ExitCode::SUCCESS;
        }
        let code = self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        say(format_args!("error: {}{}", plain(&self.message), plain(&code)));
        for line in &self.details {
            say(format_args!("  {}", plain(line)));
        }
        for hint in &self.hints {
            say(format_args!("hint: {}", plain(hint)));
        }
        ExitCode::from(self.exit as u8)
    }
}

impl From<claviger_engine::Error> for Failure {
    fn from(error: claviger_engine::Error) -> Failure {
        let failure = Failure::new(error.kind().into(), error.code(), error.to_string());
        match error.code() {
            "store_in_use" => {
                failure.hint("another server runs on this data directory; choose another with `--data DIR`")
            }
            "admin_key_exists" => failure.hint("use it, or wait until it has expired"),
            "records_lost" => failure
                .hint("restore the stream to a state that has them; until then nothing that may be missing is served")
                .hint(
                    "or accept the loss: stop the server, delete `index.db` in its data directory, and start it again",
                ),
            "wrong_master_key" => failure.hint("nothing was changed; find the key with the expected fingerprint"),
            _ => failure,
        }
    }
}

impl From<claviger_store::Error> for Failure {
    fn from(error: claviger_store::Error) -> Failure {
        claviger_engine::Error::from(error).into()
    }
}
