//! What goes wrong between here and NATS.

use std::sync::Arc;

use serde::Deserialize;

use crate::{Error, MAX_RECORD_BYTES};

/// Why a request was not done. Never holds an address, a credential or content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The ledger was closed.
    #[error("the connection to NATS was closed")]
    Closed,
    /// There is no connection just now.
    #[error("there is no connection to a NATS server")]
    Disconnected,
    /// Nobody listens: JetStream is off, or the stream has no leader.
    #[error("no NATS server is in charge of the stream")]
    Leaderless,
    /// No answer in time.
    #[error("NATS did not answer in time")]
    Silent,
    /// JetStream says no.
    #[error("NATS refused it: {description} (code {code})")]
    Refused {
        /// JetStream's own number of the error.
        code: u64,
        /// Its words.
        description: String,
    },
    /// What came is not what the protocol says.
    #[error("an answer of NATS could not be read")]
    Unreadable,
    /// The stream ends before what was acknowledged, or has something else there.
    #[error("the stream has lost records that were acknowledged")]
    Lost,
    /// The server takes smaller messages only.
    #[error("a message of {length} bytes is over the limit of {limit} of the NATS server")]
    TooLarge {
        /// Bytes of the message.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// What one attempt came to.
pub(super) type Attempt<T> = std::result::Result<T, Fault>;

/// JetStream's numbers of errors that mean something to us.
pub(super) mod code {
    pub(crate) const NO_MESSAGE: u64 = 10037;
    pub(crate) const NO_STREAM: u64 = 10059;
    pub(crate) const STREAM_EXISTS: u64 = 10058;
    pub(crate) const NO_CONSUMER: u64 = 10014;
    pub(crate) const NO_REPLICAS: u64 = 10074;
    pub(crate) const NOT_DELETED: u64 = 10057;
    pub(crate) const NO_SEQUENCE: u64 = 10043;
    pub(crate) const NO_ROLLUP: u64 = 10111;
    /// The guard does not hold, and the other when an append to the subject is on its way.
    pub(crate) const WRONG_LAST: [u64; 2] = [10071, 10164];
    const DUPLICATE_ON_ITS_WAY: u64 = 10158;
    const STORE_FAILED: u64 = 10077;
    const TOO_LARGE: u64 = 10054;
    /// Storage or memory of the server, the account or the stream.
    const NO_ROOM: [u64; 5] = [10002, 10023, 10028, 10047, 10122];
    /// What a cluster says while it is finding its leaders, has too much to do, or has a member that has not heard
    /// yet of a stream that was just made.
    const PASSING: [u64; 11] =
        [DUPLICATE_ON_ITS_WAY, NO_STREAM, 10004, 10005, 10006, 10007, 10008, 10009, 10118, 10167, 10041];

    /// Whether there was no room for it.
    pub(super) fn is_full(code: u64, description: &str) -> bool {
        NO_ROOM.contains(&code)
            || code == STORE_FAILED && (description.contains("maximum") || description.contains("no space"))
    }

    /// Whether it is worth trying again.
    pub(super) fn is_passing(code: u64, description: &str) -> bool {
        PASSING.contains(&code) || code == STORE_FAILED && !is_full(code, description)
    }

    /// Whether the record is over a limit that the stream was given.
    pub(super) fn is_too_large(code: u64) -> bool {
        code == TOO_LARGE
    }
}

impl Fault {
    /// Whether the same request may be answered if it is sent again.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Fault::Disconnected | Fault::Leaderless | Fault::Silent => true,
            Fault::Refused { code, description } => code::is_passing(*code, description),
            Fault::Closed | Fault::Unreadable | Fault::Lost | Fault::TooLarge { .. } => false,
        }
    }

    /// Whether it did not fit, in the store or in a message.
    pub(super) fn is_limit(&self) -> bool {
        match self {
            Fault::Refused { code, description } => code::is_full(*code, description) || code::is_too_large(*code),
            Fault::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// The number, when JetStream said no.
    pub(super) fn code(&self) -> Option<u64> {
        match self {
            Fault::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault {
            Fault::Closed => Error::closed(),
            Fault::Refused { code, ref description } if code::is_full(code, description) => Error::Full,
            Fault::Refused { code, .. } if code::is_too_large(code) => {
                Error::Unsuitable { what: format!("a stream does not take records of {MAX_RECORD_BYTES} bytes") }
            }
            Fault::Lost => Error::Lost,
            Fault::TooLarge { length, limit } => Error::TooLarge { length, limit },
            other => Error::Unavailable { source: Some(Arc::new(other)) },
        }
    }
}

/// What JetStream says instead of an answer.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::Refused { code: refusal.err_code, description: refusal.description }
    }
}
