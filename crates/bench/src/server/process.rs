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
pub(super) struct Server {
    child: Child,
    /// Kept open, so that it can go on logging.
    _log: BufReader<ChildStderr>,
    pub(super) address: SocketAddr,
    pub(super) admin_key: String,
    pub(super) runtime_key: String,
    /// From its start until it said that it is ready.
    pub(super) took: Duration,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(super) fn start(plan: &Plan, data: &Path) -> Result<Server> {
        let start = Instant::now();
        let mut child = Command::new(&plan.server)
            .args(["dev", "--log", "warn", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("CLAVIGER_MASTER_KEY", MASTER_KEY)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no log")?);
        let address = ready(&mut log)?;
        let took = start.elapsed();
        let key = |name: &str| Ok::<_, std::io::Error>(std::fs::read_to_string(data.join(name))?.trim().to_owned());
        let (admin_key, runtime_key) = (key("admin.key")?, key("runtime.key")?);
        Ok(Server { child, _log: log, address, admin_key, runtime_key, took })
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
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

impl Drop for Server {
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
