//! Streams and the subjects in them.

use std::{fmt, sync::Arc, time::Duration};

/// A stream: an append-only sequence of records with a revision of its own. The set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The keyring record and the wrapped data keys.
    Keyring,
    /// Environments, API keys, grants.
    Access,
    /// Secrets: metadata and the active version's envelope in each record.
    Secrets,
    /// Function declarations.
    Functions,
    /// Events that callers emit.
    Events,
    /// Run journals.
    Runs,
    /// Deliveries and refusals.
    Audit,
}

/// How long a stream keeps what the engine does not erase or purge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At most this many records per subject, oldest dropped first; `None` keeps all.
    pub last_per_subject: Option<u32>,
    /// Records older than this may be dropped; `None` keeps them for ever.
    pub max_age: Option<Duration>,
}

impl Stream {
    /// Every stream, in the order in which a store lists them.
    pub const ALL: [Stream; 7] = [
        Stream::Keyring,
        Stream::Access,
        Stream::Secrets,
        Stream::Functions,
        Stream::Events,
        Stream::Runs,
        Stream::Audit,
    ];

    /// The stream's name in backends: lower-case ASCII letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stream::Keyring => "keyring",
            Stream::Access => "access",
            Stream::Secrets => "secrets",
            Stream::Functions => "functions",
            Stream::Events => "events",
            Stream::Runs => "runs",
            Stream::Audit => "audit",
        }
    }

    /// What the backend may drop by itself. Audit, secrets and journals never drop: full means refuse.
    #[must_use]
    pub fn retention(self) -> Retention {
        let kept = Retention { last_per_subject: None, max_age: None };
        match self {
            Stream::Keyring | Stream::Access | Stream::Functions => Retention { last_per_subject: Some(64), ..kept },
            Stream::Secrets => Retention { last_per_subject: Some(1024), ..kept },
            Stream::Events => Retention { max_age: Some(Duration::from_secs(30 * 24 * 60 * 60)), ..kept },
            Stream::Runs | Stream::Audit => kept,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A subject: tokens of `[A-Za-z0-9_=-]` joined by dots, as NATS subjects. At most
/// [`MAX_BYTES`](Subject::MAX_BYTES). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Longest subject, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Joins tokens. Tokens come from `claviger_core::subject_token` or are literals of this code base.
    ///
    /// # Panics
    /// When there is no token, or one is empty or has a byte outside the token alphabet, or the whole is
    /// too long: that is a bug of the caller, and letting it through would be an injection.
    #[must_use]
    pub fn new(tokens: &[&str]) -> Subject {
        assert!(!tokens.is_empty(), "a subject has no token");
        assert!(tokens.iter().all(|token| is_token(token)), "a subject token is empty or has a forbidden byte");
        let text = tokens.join(".");
        assert!(text.len() <= Subject::MAX_BYTES, "a subject is too long");
        Subject(text.into())
    }

    /// Reads a subject that a backend stored. `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Subject> {
        (text.len() <= Subject::MAX_BYTES && text.split('.').all(is_token)).then(|| Subject(text.into()))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'='))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which subjects a read or tail wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every subject of the stream.
    All,
    /// One subject.
    Exact(Subject),
    /// The subjects that begin with these tokens and have at least one more (NATS: `prefix.>`).
    Under(Subject),
}

impl Filter {
    /// Whether a subject passes.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        match self {
            Filter::All => true,
            Filter::Exact(wanted) => wanted == subject,
            Filter::Under(prefix) => {
                subject.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
        }
    }
}
