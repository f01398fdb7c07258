//! Three nats-servers, and Claviger servers on them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions, SyncInterval};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    http::{Answer, ENVIRONMENT, Http},
    node::{Launch, Node},
    plan::Plan,
    problems::Problems,
};

/// How long everything may take to be well after a fault.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Everything that can be broken.
pub(crate) struct World {
    pub(crate) nats: NatsCluster,
    pub(crate) nodes: Vec<Arc<Node>>,
    /// May do everything.
    pub(crate) admin_key: String,
    /// For workers.
    pub(crate) runtime_key: String,
    _keys: TempDir,
}

impl World {
    /// Starts everything.
    pub(crate) async fn start(plan: &Plan) -> Result<World> {
        let options = ServerOptions { sync: SyncInterval::Always, ..ServerOptions::default() };
        let nats = NatsCluster::start(options, Routes::Proxied).await?;
        let keys = TempDir::new()?;
        let launch = Launch { program: plan.server.clone(), key: keys.path().join("master.key") };
        // It protects nothing but this run.
        fs::write(&launch.key, "5a".repeat(32))?;
        fs::set_permissions(&launch.key, fs::Permissions::from_mode(0o600))?;
        let admin_key = bootstrap(&launch, &nats.urls().join(",")).await?;
        let ports: Vec<u16> = nats.servers().iter().map(NatsServer::port).collect();
        let mut nodes = Vec::new();
        for _ in 0..plan.nodes {
            nodes.push(Arc::new(Node::start_new(launch.clone(), &ports).await?));
        }
        let runtime_key = runtime_key(&Http::new(nodes[0].clone(), &admin_key, Problems::default())?).await?;
        Ok(World { nats, nodes, admin_key, runtime_key, _keys: keys })
    }

    /// A client of every server.
    pub(crate) fn clients(&self, problems: &Problems) -> Result<Vec<Http>> {
        self.nodes.iter().map(|node| Http::new(node.clone(), &self.admin_key, problems.clone())).collect()
    }

    /// Waits until every server is well: it answers what it has to ask the store for.
    pub(crate) async fn is_well(&self) -> Result<()> {
        self.nats.ready().await?;
        let deadline = Instant::now() + PATIENCE;
        let strong = format!("{ENVIRONMENT}/secrets?limit=1&consistency=strong");
        for (number, client) in (1..).zip(self.clients(&Problems::default())?) {
            while client.get(&strong).await.is_none() {
                if Instant::now() > deadline {
                    bail!("Claviger server {number} is not well");
                }
                sleep(ASK_EVERY).await;
            }
        }
        Ok(())
    }
}

/// The first admin key, made with the command line.
async fn bootstrap(launch: &Launch, nats: &str) -> Result<String> {
    let mut command = Command::new(&launch.program);
    command.args(["apikey", "bootstrap", "--nats", nats, "--master-key-file"]).arg(&launch.key);
    let output = command.stdin(Stdio::null()).current_dir(directory(&launch.key)?).output().await?;
    ensure!(output.status.success(), "no admin key: {}", String::from_utf8_lossy(&output.stderr));
    let key = String::from_utf8(output.stdout)?;
    Ok(key.trim().to_owned())
}

fn directory(file: &Path) -> Result<&Path> {
    file.parent().context("a file without a directory")
}

async fn runtime_key(admin: &Http) -> Result<String> {
    let body = json!({ "role": "runtime", "environment": "default", "secrets": ["*"] });
    match admin.send(Method::POST, "/v1/api-keys", Some(&body), None).await {
        Answer::Told(StatusCode::CREATED, answer) => Ok(answer["key"].as_str().context("no key")?.to_owned()),
        Answer::Told(status, body) => bail!("no runtime key: {status} {body}"),
        Answer::NotSent | Answer::Lost => bail!("no runtime key: the server does not answer"),
    }
}
