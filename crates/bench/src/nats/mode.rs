//! How NATS keeps what it acknowledges.

use std::fmt;

use anyhow::Result;
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions, SyncInterval};

/// What has happened to a write when NATS acknowledges it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Most of three servers have synced it.
    Durable,
    /// Most of three servers have it, and sync it within two minutes.
    SyncedLater,
    /// The only server has synced it.
    Single,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Durable, Mode::SyncedLater, Mode::Single];

    /// Copies of every stream.
    pub(super) fn replicas(self) -> usize {
        if self == Mode::Single { 1 } else { 3 }
    }

    fn sync(self) -> SyncInterval {
        if self == Mode::SyncedLater { SyncInterval::Default } else { SyncInterval::Always }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sync = if self.sync() == SyncInterval::Always { "always" } else { "default" };
        write!(f, "nats R{}, sync {sync}", self.replicas())
    }
}

/// The nats-servers of a mode. Killed when they are dropped.
pub(super) enum Cluster {
    One(NatsServer),
    Three(NatsCluster),
}

impl Cluster {
    /// Starts them and waits until they are ready.
    pub(super) async fn start(mode: Mode) -> Result<Cluster> {
        let options = ServerOptions { sync: mode.sync(), ..ServerOptions::default() };
        if mode.replicas() == 1 {
            Ok(Cluster::One(NatsServer::start(options).await?))
        } else {
            Ok(Cluster::Three(NatsCluster::start(options, Routes::Direct).await?))
        }
    }

    /// Where clients connect.
    pub(super) fn urls(&self) -> Vec<String> {
        match self {
            Cluster::One(server) => server.urls(),
            Cluster::Three(cluster) => cluster.urls(),
        }
    }

    /// Where the servers tell how they are.
    pub(super) fn monitor_urls(&self) -> Vec<String> {
        match self {
            Cluster::One(server) => vec![server.monitor_url()],
            Cluster::Three(cluster) => cluster.monitor_urls(),
        }
    }
}
