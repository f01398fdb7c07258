//! Claviger's processes on one cluster.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Mode, mode::Cluster};
use crate::{
    engine::MASTER_KEY,
    http::Connection,
    plan::Plan,
    server::process::{ApiKeys, Process, Server},
};

type Config = Vec<(&'static str, String)>;

/// The processes, the first one first. Stopped when they are dropped.
pub(super) struct Nodes {
    servers: Vec<Server>,
    config: Config,
    // After the servers, which write there.
    directory: TempDir,
}

impl Nodes {
    /// Starts the first, and makes the API keys.
    pub(super) async fn start(plan: &Plan, mode: Mode, cluster: &Cluster) -> Result<Nodes> {
        let (config, directory) = (config(mode, cluster), TempDir::new()?);
        let admin = bootstrap(plan, &config)?;
        let process = Process::start(plan, "start", &directory.path().join("1"), &config)?;
        let mut connection = Connection::open(process.address, &admin).await?;
        let wanted = json!({ "role": "runtime", "environment": "default", "secrets": ["*"] });
        let made = connection.exchange(Method::POST, "/v1/api-keys", wanted.to_string()).await?;
        let keys = ApiKeys { admin, runtime: key(&made)? };
        Ok(Nodes { servers: vec![Server::new(process, keys)], config, directory })
    }

    /// Starts more, until there are so many.
    pub(super) fn grow(&mut self, plan: &Plan, count: usize) -> Result<()> {
        while self.servers.len() < count {
            let data = self.directory.path().join((self.servers.len() + 1).to_string());
            let process = Process::start(plan, "start", &data, &self.config)?;
            self.servers.push(Server::new(process, self.servers[0].keys.clone()));
        }
        Ok(())
    }

    pub(super) fn all(&self) -> &[Server] {
        &self.servers
    }

    pub(super) fn first(&self) -> &Server {
        &self.servers[0]
    }
}

/// The mode is required, too: a server that finds another one does not start.
fn config(mode: Mode, cluster: &Cluster) -> Config {
    let mut config = vec![
        ("CLAVIGER_NATS__SERVERS", cluster.urls().join(",")),
        ("CLAVIGER_NATS__MONITOR", cluster.monitor_urls().join(",")),
    ];
    if mode == Mode::Durable {
        config.push(("CLAVIGER_NATS__REQUIRE", "durable".to_owned()));
    }
    config
}

/// Makes the first admin key.
fn bootstrap(plan: &Plan, config: &Config) -> Result<String> {
    let output = Command::new(&plan.server)
        .args(["apikey", "bootstrap", "--output", "json"])
        .env("CLAVIGER_MASTER_KEY", MASTER_KEY)
        .envs(config.iter().cloned())
        .output()?;
    ensure!(output.status.success(), "no admin key could be made:\n{}", String::from_utf8_lossy(&output.stderr));
    key(&output.stdout)
}

/// The key in what was made.
fn key(made: &[u8]) -> Result<String> {
    let made: Value = serde_json::from_slice(made)?;
    Ok(made["key"].as_str().context("an API key without its text")?.to_owned())
}
