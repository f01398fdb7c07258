//! The server's process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::{engine::MASTER_KEY, plan::Plan};

/// A running server with a master key. Stopped when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Kept open, so that it can go on logging.
    _log: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
    /// From its start until it said that it is ready.
    took: Duration,
}

impl Process {
    /// Runs `claviger dev` or `claviger start` with a configuration, and waits until it is ready.
    pub(crate) fn start(plan: &Plan, mode: &str, data: &Path, config: &[(&str, String)]) -> Result<Process> {
        let start = Instant::now();
        let mut child = Command::new(&plan.server)
            .args([mode, "--log", "warn", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("CLAVIGER_MASTER_KEY", MASTER_KEY)
            .envs(config.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?);
        let address = ready(&mut log)?;
        Ok(Process { child, _log: log, address, took: start.elapsed() })
    }
}

/// What the requests and the workers of a store's servers carry.
#[derive(Clone)]
pub(crate) struct ApiKeys {
    pub(crate) admin: String,
    pub(crate) runtime: String,
}

/// A running server and how to use it.
pub(crate) struct Server {
    process: Process,
    pub(crate) keys: ApiKeys,
}

impl Server {
    /// Starts one on SQLite.
    pub(super) fn start(plan: &Plan, data: &Path) -> Result<Server> {
        let process = Process::start(plan, "dev", data, &[])?;
        let key = |name: &str| Ok::<_, std::io::Error>(std::fs::read_to_string(data.join(name))?.trim().to_owned());
        let keys = ApiKeys { admin: key("admin.key")?, runtime: key("runtime.key")? };
        Ok(Server { process, keys })
    }

    pub(crate) fn new(process: Process, keys: ApiKeys) -> Server {
        Server { process, keys }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// From its start until it said that it is ready.
    pub(super) fn took(&self) -> Duration {
        self.process.took
    }
}

/// Reads up to the line that says where it serves.
fn ready(log: &mut impl BufRead) -> Result<SocketAddr> {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            anyhow::bail!("the server did not start:\n{said}");
        }
        if let Some((_, rest)) = line.split_once("claviger ready api=http://") {
            return Ok(rest.split(' ').next().unwrap_or_default().parse()?);
        }
        said.push_str(&line);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Asks a process to end, and waits until it has.
pub(super) fn stop(child: &mut Child) {
    if let Some(id) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // If it has ended already there is nothing to do.
        let _ = kill_process(id, Signal::TERM);
    }
    let _ = child.wait();
}
