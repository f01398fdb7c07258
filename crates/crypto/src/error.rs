//! What can go wrong with a keyring and its envelopes.

use std::fmt;

use claviger_core::ErrorKind;

use crate::{DataKeyId, Fingerprint};

/// Why a keyring, a data key or an envelope could not be used. Holds no key and no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The keyring record is sound but belongs to another master key.
    #[error("wrong master key: the keyring needs the one with fingerprint {expected}, given was {given}")]
    WrongMasterKey {
        /// Fingerprint of the master key that the record was wrapped with.
        expected: Fingerprint,
        /// Fingerprint of the master key at hand.
        given: Fingerprint,
    },
    /// Sealing for an environment that has no loaded data key.
    #[error("environment `{environment}` has no data key")]
    NoDataKey {
        /// The environment.
        environment: String,
    },
    /// An envelope names a data key that is not loaded: load it and try again, or it is lost.
    #[error("data key {id} is not loaded")]
    UnknownDataKey {
        /// The id in the envelope.
        id: DataKeyId,
    },
    /// The bytes are not what was stored, or not for this place.
    #[error("{record} does not open: {fault}")]
    Corrupt {
        /// What was being opened.
        record: Record,
        /// The check that refused it.
        fault: Fault,
    },
    /// More than one AES-GCM call can seal (about 64 GiB).
    #[error("{bytes} bytes are too many for one envelope")]
    TooLong {
        /// Length of the plaintext.
        bytes: usize,
    },
}

impl Error {
    /// The kind of failure, as callers see it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::WrongMasterKey { .. } => ErrorKind::NoKey,
            Error::NoDataKey { .. } => ErrorKind::Internal,
            Error::UnknownDataKey { .. } | Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::TooLong { .. } => ErrorKind::TooLarge,
        }
    }
}

/// The things that are opened with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The keyring record, opened with the master key.
    Keyring,
    /// A data key's record, opened with the keyring key.
    DataKey,
    /// A sealed value, opened with a data key.
    Envelope,
    /// A record or a hint of a store whose names are sealed, opened with a sub-key of the keyring key.
    Names,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Record::Keyring => "the keyring record",
            Record::DataKey => "the data key's record",
            Record::Envelope => "the envelope",
            Record::Names => "what hides the names",
        })
    }
}

/// The check that refused a record, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too short or too long for its format.
    Length,
    /// The checksum over the record does not match (keyring record only).
    Checksum,
    /// A format that this version does not know.
    Format,
    /// The data key belongs to another environment.
    Environment,
    /// Made with another key, or changed: the key commitment does not match.
    Commitment,
    /// Changed, or made for another place: the authentication tag does not match.
    Tag,
    /// Another data key with this id is loaded already.
    Duplicate,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Length => "its length is wrong",
            Fault::Checksum => "its checksum does not match",
            Fault::Format => "its format is unknown",
            Fault::Environment => "its data key belongs to another environment",
            Fault::Commitment => "its key commitment does not match",
            Fault::Tag => "it was changed or made for another place",
            Fault::Duplicate => "another data key has the same id",
        })
    }
}
