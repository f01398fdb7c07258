//! What clients did with secrets, and what they were told.

use std::{fmt, sync::Arc, time::Duration};

/// One request of one client about one secret. Times count from the beginning of the history, on one monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number, of which there is no other: the value that it sets has it in it.
    pub number: u64,
    /// Who asked, from 0. A client has one request on its way at a time.
    pub client: usize,
    /// Which server was asked, from 0.
    pub node: usize,
    /// The secret's name.
    pub secret: Arc<str>,
    /// What was asked for.
    pub action: Action,
    /// When the request was about to leave.
    pub began: Duration,
    /// When the answer was there, or the client gave up waiting for one.
    pub ended: Duration,
    /// The answer.
    pub outcome: Outcome,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new version; with an expected revision (0: not set) only if it is the current one.
    Set {
        /// The guard.
        expected: Option<u64>,
    },
    /// To serve it no longer; guarded likewise.
    Delete {
        /// The guard.
        expected: Option<u64>,
    },
    /// Its metadata.
    Read(Consistency),
}

/// What a read promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Everything acknowledged before it began, whichever server acknowledged it.
    Strong,
    /// What this server knows: never less than it knew before, and not much behind.
    Default,
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a value now.
    Set {
        /// The revision of this change.
        revision: u64,
        /// The version that it added.
        version: u64,
        /// Whether it had none before.
        created: bool,
    },
    /// It has no value any more.
    Deleted {
        /// The revision of this change.
        revision: u64,
        /// The highest version that it had.
        version: u64,
    },
    /// This is how it stands.
    Found {
        /// The revision of its last change.
        revision: u64,
        /// The active version.
        version: u64,
    },
    /// It is not set: nothing to delete, or nothing to show.
    NotSet,
    /// The expected revision is not the current one. Nothing was changed.
    Conflict {
        /// The current revision, 0 when it is not set.
        current: u64,
    },
    /// Certainly nothing was changed, and nothing was told.
    Refused,
    /// No answer, or one that leaves it open. A change may still happen at any time after it was asked for.
    Unknown,
}

impl Operation {
    /// Whether it asked for a change.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.action, Action::Read(_))
    }

    /// The revision of an acknowledged change.
    #[must_use]
    pub fn written(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Set { revision, .. } | Outcome::Deleted { revision, .. } => Some(revision),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Set { expected: None } => f.write_str("set"),
            Action::Set { expected: Some(0) } => f.write_str("set if not set"),
            Action::Set { expected: Some(revision) } => write!(f, "set if at revision {revision}"),
            Action::Delete { expected: None } => f.write_str("delete"),
            Action::Delete { expected: Some(revision) } => write!(f, "delete if at revision {revision}"),
            Action::Read(Consistency::Strong) => f.write_str("strong read"),
            Action::Read(Consistency::Default) => f.write_str("default read"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Set { revision, version, created } => {
                let how = if *created { "created" } else { "updated" };
                write!(f, "{how}, revision {revision}, version {version}")
            }
            Outcome::Deleted { revision, version } => write!(f, "deleted, revision {revision}, version {version}"),
            Outcome::Found { revision, version } => write!(f, "revision {revision}, version {version}"),
            Outcome::NotSet => f.write_str("not set"),
            Outcome::Conflict { current } => write!(f, "conflict, revision {current}"),
            Outcome::Refused => f.write_str("refused"),
            Outcome::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (began, ended) = (self.began.as_secs_f64(), self.ended.as_secs_f64());
        let (client, node, action) = (self.client + 1, self.node + 1, self.action.to_string());
        write!(f, "{began:>10.6} s – {ended:>10.6} s  client {client} at node {node}  {action:<26} → {}", self.outcome)
    }
}
