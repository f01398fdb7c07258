//! A worker on the Node SDK, in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::process::{Server, stop};

/// What its function is started by.
pub(super) const EVENT: &str = "node.requested";

/// The worker. It counts the jobs that it starts.
pub(super) struct NodeWorker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl NodeWorker {
    /// Starts it and waits until the server has accepted it. `None` when the SDK has not been built.
    pub(super) fn start(server: &Server) -> Result<Option<NodeWorker>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        if !root.join("../../sdk/typescript/node/dist/index.js").exists() {
            eprintln!("the Node SDK has not been built (`npm run build` in sdk/typescript): its rows are left out");
            return Ok(None);
        }
        let mut child = Command::new("node")
            .arg(root.join("node/worker.mjs"))
            .env("CLAVIGER_URL", format!("http://{}", server.address()))
            .env("CLAVIGER_API_KEY", &server.keys.runtime)
            .stdout(Stdio::piped())
            .spawn()
            .context("node does not start")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        ensure!(line(&mut output)? == "ready", "the Node worker did not become ready");
        Ok(Some(NodeWorker { child, output }))
    }

    /// Stops it. How many jobs it started.
    pub(super) fn finish(mut self) -> Result<usize> {
        stop(&mut self.child);
        line(&mut self.output)?.parse().context("the Node worker did not say how many jobs it started")
    }
}

fn line(output: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
