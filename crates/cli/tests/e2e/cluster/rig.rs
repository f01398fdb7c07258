//! Three NATS servers, and two servers of ours on them.

use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions, SyncInterval};
use reqwest::Method;

use crate::support::{Api, Cli, Server, ServerPlan, eventually};

/// The same for every server.
pub(super) const MASTER_KEY: &str = "3c1f6a9e0d4b7258c6e1f09a8b7d6c5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c";

/// Two nodes on one store.
pub(super) struct Rig {
    pub(super) nats: NatsCluster,
    pub(super) a: Server,
    pub(super) b: Server,
    /// An admin key.
    pub(super) admin: String,
}

/// Syncs before it acknowledges.
pub(super) fn always() -> ServerOptions {
    ServerOptions { sync: SyncInterval::Always, ..ServerOptions::default() }
}

/// Three NATS servers that sync before they acknowledge.
pub(super) async fn three() -> NatsCluster {
    NatsCluster::start(always(), Routes::Direct).await.expect("three NATS servers")
}

/// One NATS server.
pub(super) async fn one(options: ServerOptions) -> NatsServer {
    NatsServer::start(options).await.expect("a NATS server")
}

/// A node on these NATS servers, with the master key.
pub(super) fn node(urls: &[String]) -> ServerPlan {
    ServerPlan::nats(urls).variable("CLAVIGER_MASTER_KEY", MASTER_KEY)
}

impl Rig {
    pub(super) async fn start() -> Rig {
        let nats = three().await;
        let plan = node(&nats.urls());
        let admin = plan.first_key().await;
        let other = node(&nats.urls());
        let (a, b) = tokio::join!(plan.start(), other.start());
        Rig { nats, a, b, admin }
    }

    /// HTTP with the admin key.
    pub(super) fn api(&self, node: &Server) -> Api {
        Api::new(&node.api, &self.admin)
    }

    /// The command line with the admin key.
    pub(super) fn cli(&self, node: &Server) -> Cli {
        Cli::new(&node.api, &self.admin)
    }

    /// A key for workers that may have every secret, once both nodes know it.
    pub(super) async fn runtime_key(&self) -> String {
        let created = self.cli(&self.a).json(&["apikey", "create", "--role", "runtime", "--secret", "*"]).await;
        let key = created["key"].as_str().expect("a key").to_owned();
        let api = Api::new(&self.b.api, &key);
        let is_known = || async {
            let (status, _) = api.answer(api.request(Method::GET, "/v1/caller")).await;
            status.is_success().then_some(())
        };
        eventually("a new key is known at the other node", is_known).await;
        key
    }
}
