//! What can go wrong, with the facts that callers need and nothing they gave.

use claviger_core::{ErrorKind, NameError, PatternError, Revision, run};

/// An engine error. `Display` names no value and prints no source; [`Error::code`] is the stable public code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name breaks its rule.
    #[error("{0}")]
    Name(NameError),
    /// A pattern breaks its rule.
    #[error("{0}")]
    Pattern(PatternError),
    /// The request breaks a published rule.
    #[error("{what}")]
    Invalid {
        /// What is wrong, as a fact about the request.
        what: String,
    },
    /// A value over the limit.
    #[error("a value of {length} bytes is over the limit of {limit}")]
    ValueTooLarge {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A value too short to be masked.
    #[error("a value of {length} bytes cannot be masked in logs and results, the shortest that can has {limit}")]
    ValueTooShort {
        /// Bytes given.
        length: usize,
        /// Bytes needed.
        limit: usize,
    },
    /// A value that is, or holds, one of our masks.
    #[error("the value holds a mask such as `«NAME@1»`, which stands for a value and is none")]
    ValueIsMask,
    /// A body over its limit.
    #[error("{what} of {length} bytes is over the limit of {limit}")]
    BodyTooLarge {
        /// Which body.
        what: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No API key was given.
    #[error("an API key is needed")]
    Unauthenticated,
    /// Not the form of an API key, or its checksum is wrong.
    #[error("the API key is mistyped or cut off: {what}")]
    InvalidApiKey {
        /// What was found, without content.
        what: String,
    },
    /// Unknown, revoked or wrong.
    #[error("the API key is not known")]
    UnknownApiKey,
    /// Its time is over.
    #[error("the API key has expired")]
    ExpiredApiKey,
    /// The caller may not do that.
    #[error("the role `{role}` of this API key does not allow that")]
    Denied {
        /// The caller's role.
        role: &'static str,
        /// What narrows it, if that is the reason.
        bound: Option<String>,
    },
    /// Unknown, or outside the caller's reach.
    #[error("there is no environment of that name for this API key")]
    EnvironmentNotFound,
    /// Unknown, or outside the caller's reach.
    #[error("there is no space of that name in this environment for this API key")]
    SpaceNotFound,
    /// Not set.
    #[error("the secret is not set in this environment")]
    SecretNotFound,
    /// No such run.
    #[error("there is no such run in this environment")]
    RunNotFound,
    /// No such function.
    #[error("there is no such function in this environment")]
    FunctionNotFound,
    /// No such API key.
    #[error("there is no such API key")]
    ApiKeyNotFound,
    /// Compare-and-set failed.
    #[error("the revision is {current}, not the expected one")]
    RevisionConflict {
        /// The current revision, zero when not set.
        current: Revision,
    },
    /// The first admin key was made already.
    #[error("there is an admin key already, `{id}`")]
    AdminKeyExists {
        /// Its id.
        id: std::sync::Arc<str>,
    },
    /// The environment is there already.
    #[error("the environment exists already")]
    EnvironmentExists,
    /// The space is there already.
    #[error("the space exists already")]
    SpaceExists,
    /// The run is over.
    #[error("the run has ended already")]
    RunEnded,
    /// The claim no longer stands.
    #[error("the run is no longer held by this worker")]
    Lost,
    /// An event name of the system's.
    #[error("event names that begin with `system.` are emitted by the server only")]
    ReservedEventName,
    /// Not one of our cursors.
    #[error("the cursor is not one of this server's")]
    InvalidCursor,
    /// Too much at once.
    #[error("too many requests of this kind, try again shortly")]
    TooManyRequests,
    /// The time for it is over.
    #[error("it took too long")]
    TimedOut,
    /// The given master key is not the one the store was made with.
    #[error("the master key is not the one this store was made with: expected {expected}, given {given}")]
    WrongMasterKey {
        /// Fingerprint of the right one.
        expected: String,
        /// Fingerprint of the given one.
        given: String,
    },
    /// The store was made with names that stand there in another way.
    #[error("the names in this store are {stored}, and the server is to read {asked} ones")]
    NamesMismatch {
        /// How they stand: `plain` or `sealed`.
        stored: &'static str,
        /// How the server was told to read them.
        asked: &'static str,
    },
    /// A record that does not verify or open. Never reported as missing.
    #[error("record {revision} of stream `{stream}` is damaged: {what}")]
    Corrupt {
        /// The stream.
        stream: &'static str,
        /// The record.
        revision: Revision,
        /// What was found, without content.
        what: &'static str,
    },
    /// Records that were there are gone: what the stream, or one subject of it, ends with is older than what was read of it.
    /// Never reported as missing.
    #[error("stream `{stream}` has lost records: revision {known} was there, and the last one now is {found}")]
    RecordsLost {
        /// The stream.
        stream: &'static str,
        /// The last revision that was there.
        known: Revision,
        /// The last revision now, zero for none.
        found: Revision,
    },
    /// Another server may have revoked API keys, and the store does not say so at the moment.
    #[error("the store does not confirm at the moment which API keys are in force")]
    Unconfirmed,
    /// The store could not do it.
    #[error("{0}")]
    Store(claviger_store::Error),
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// A bug of ours.
    #[error("internal error: {what}")]
    Bug {
        /// Where to look.
        what: &'static str,
    },
}

impl Error {
    /// The kind, from which HTTP status and exit code follow.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use Error as E;
        match self {
            E::Name(_) | E::Pattern(_) | E::Invalid { .. } | E::ValueTooShort { .. } | E::ValueIsMask => {
                ErrorKind::Invalid
            }
            E::ReservedEventName | E::InvalidCursor | E::NamesMismatch { .. } => ErrorKind::Invalid,
            E::ValueTooLarge { .. } | E::BodyTooLarge { .. } => ErrorKind::TooLarge,
            E::Unauthenticated | E::InvalidApiKey { .. } | E::UnknownApiKey | E::ExpiredApiKey => {
                ErrorKind::Unauthenticated
            }
            E::Denied { .. } => ErrorKind::Denied,
            E::EnvironmentNotFound | E::SpaceNotFound | E::SecretNotFound => ErrorKind::NotFound,
            E::RunNotFound | E::FunctionNotFound | E::ApiKeyNotFound => ErrorKind::NotFound,
            E::EnvironmentExists | E::SpaceExists | E::AdminKeyExists { .. } => ErrorKind::Conflict,
            E::RevisionConflict { .. } | E::RunEnded | E::Lost => ErrorKind::Conflict,
            E::TooManyRequests => ErrorKind::Limited,
            E::TimedOut => ErrorKind::TimedOut,
            E::WrongMasterKey { .. } => ErrorKind::NoKey,
            E::Corrupt { .. } | E::RecordsLost { .. } => ErrorKind::Corrupt,
            E::Store(error) => error.kind(),
            E::Unconfirmed | E::Stopping => ErrorKind::Unavailable,
            E::Bug { .. } => ErrorKind::Internal,
        }
    }

    /// The stable public code; each has a page.
    #[must_use]
    pub fn code(&self) -> &'static str {
        use Error as E;
        match self {
            E::Name(_) => "invalid_name",
            E::Pattern(_) => "invalid_pattern",
            E::Invalid { .. } => "invalid_request",
            E::ValueTooLarge { .. } => "value_too_large",
            E::ValueTooShort { .. } => "value_too_short",
            E::ValueIsMask => "value_is_mask",
            E::BodyTooLarge { what, .. } if what.starts_with("an event") => "event_too_large",
            E::BodyTooLarge { what, .. } if what.starts_with("a space") => "body_too_large",
            E::BodyTooLarge { .. } => "step_result_too_large",
            E::Unauthenticated => "unauthenticated",
            E::InvalidApiKey { .. } => "invalid_api_key",
            E::UnknownApiKey => "unknown_api_key",
            E::ExpiredApiKey => "expired_api_key",
            E::Denied { .. } => "denied",
            E::EnvironmentNotFound => "environment_not_found",
            E::SpaceNotFound => "space_not_found",
            E::SecretNotFound => "secret_not_found",
            E::RunNotFound => "run_not_found",
            E::FunctionNotFound => "function_not_found",
            E::ApiKeyNotFound => "api_key_not_found",
            E::RevisionConflict { .. } => "revision_conflict",
            E::EnvironmentExists => "environment_exists",
            E::SpaceExists => "space_exists",
            E::AdminKeyExists { .. } => "admin_key_exists",
            E::RunEnded | E::Lost => "run_already_ended",
            E::ReservedEventName => "reserved_event_name",
            E::InvalidCursor => "invalid_cursor",
            E::TooManyRequests => "too_many_requests",
            E::TimedOut => "timeout",
            E::WrongMasterKey { .. } => "wrong_master_key",
            E::NamesMismatch { .. } => "names_mismatch",
            E::Corrupt { .. } => "store_corrupt",
            E::RecordsLost { .. } => "records_lost",
            E::Store(error) => store_code(error),
            E::Unconfirmed | E::Stopping => "unavailable",
            E::Bug { .. } => "internal",
        }
    }

    /// What the caller is told: for a refusal also what bounds it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Error::Denied { bound: Some(bound), .. } => format!("{self}: {bound}"),
            _ => self.to_string(),
        }
    }

    /// The current revision, for a caller that lost a compare-and-set.
    #[must_use]
    pub fn current_revision(&self) -> Option<Revision> {
        match self {
            Error::RevisionConflict { current } => Some(*current),
            _ => None,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Error {
        Error::Invalid { what: what.into() }
    }
}

fn store_code(error: &claviger_store::Error) -> &'static str {
    use claviger_store::Error as S;
    match error {
        S::Full => "store_full",
        S::ReadOnly => "store_read_only",
        S::InUse => "store_in_use",
        S::Damaged { .. } => "store_corrupt",
        S::Lost | S::Gone { .. } => "records_lost",
        S::TooLarge { .. } => "body_too_large",
        _ => "unavailable",
    }
}

impl From<claviger_store::Error> for Error {
    fn from(error: claviger_store::Error) -> Error {
        Error::Store(error)
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Error {
        Error::Name(error)
    }
}

impl From<PatternError> for Error {
    fn from(error: PatternError) -> Error {
        Error::Pattern(error)
    }
}

impl From<run::Refused> for Error {
    fn from(refused: run::Refused) -> Error {
        match refused {
            run::Refused::Ended => Error::RunEnded,
            run::Refused::Lost | run::Refused::NotReady => Error::Lost,
            run::Refused::NotOpen => Error::invalid("the step is not open"),
            run::Refused::TooManySteps | run::Refused::TooManySecrets => Error::invalid(refused.to_string()),
        }
    }
}
