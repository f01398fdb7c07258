//! How to reach NATS.

use std::{fmt, path::PathBuf};

use claviger_core::Incarnation;

/// How to connect a [`NatsLedger`](crate::NatsLedger).
#[derive(Clone)]
pub struct NatsOptions {
    /// Addresses of servers, `nats://host:port` or `tls://host:port`, any of which will do. A user and
    /// a password may stand in them (`nats://user:password@host:port`), or a token (`nats://token@host:port`).
    pub servers: Vec<String>,
    /// A credentials file (`.creds`): a user's token and the seed of its key. It is read again for
    /// every connection, so that it can be renewed while the server runs.
    pub credentials: Option<PathBuf>,
    /// Certificates (PEM) of the authorities to trust, instead of those of the system. Without TLS we do not connect then.
    pub ca: Option<PathBuf>,
    /// A certificate and its key (PEM) to show to the servers.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// What the names of all streams and subjects begin with, so that several vaults can share a NATS:
    /// 1 to [`NAME_BYTES`](NatsOptions::NAME_BYTES) letters, digits and hyphens (ASCII).
    pub name: String,
    /// How many servers keep a copy of each stream that is made, 1 to 5. `None`: three, or one where the
    /// servers are no cluster. Streams that exist keep theirs.
    pub replicas: Option<usize>,
    /// The life of the store that was seen before, if one was. Then no other life will do, and nothing is made.
    pub known: Option<Incarnation>,
}

impl NatsOptions {
    /// Longest [`name`](NatsOptions::name).
    pub const NAME_BYTES: usize = 32;

    /// The options for these servers, everything else as usual.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> NatsOptions {
        NatsOptions {
            servers: servers.into_iter().map(Into::into).collect(),
            credentials: None,
            ca: None,
            client_certificate: None,
            name: "claviger".to_owned(),
            replicas: None,
            known: None,
        }
    }

    /// Whether the name can be part of stream names and subjects.
    pub(super) fn has_good_name(&self) -> bool {
        (1..=NatsOptions::NAME_BYTES).contains(&self.name.len())
            && self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }
}

impl fmt::Debug for NatsOptions {
    /// Without the addresses, which can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("name", &self.name)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
