//! A Claviger server in a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use claviger_testbed::{Process, Proxy};
use parking_lot::Mutex;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often its log is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of its log that are shown after a failure.
const TAIL: usize = 20;
/// What stands in errors of a server whose store cannot be reached.
const EXCUSED: [&str; 2] = ["code=\"unavailable\"", "code=\"timeout\""];
/// What its log says before the address at which it serves.
const READY: &str = "claviger ready api=http://127.0.0.1:";

/// What every server is started with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// The file with the master key.
    pub(crate) key: PathBuf,
}

/// A server. Dropped, it is killed.
pub(crate) struct Node {
    launch: Launch,
    /// Its own way to each nats-server.
    links: Vec<Proxy>,
    /// What the system gave it when it was started first; it keeps it.
    port: OnceLock<u16>,
    running: Mutex<Option<Process>>,
    directory: TempDir,
}

impl Node {
    /// A server on the nats-servers at these ports, which is started.
    pub(crate) async fn start_new(launch: Launch, nats: &[u16]) -> Result<Node> {
        let mut links = Vec::new();
        for port in nats {
            links.push(Proxy::start(*port).await?);
        }
        let (port, running) = (OnceLock::new(), Mutex::new(None));
        let node = Node { launch, links, port, running, directory: TempDir::new()? };
        node.start().await?;
        Ok(node)
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut begun = self.spawn()?;
        loop {
            let said = fs::read_to_string(self.log()).unwrap_or_default();
            if let Some(port) = port(said.get(begun.said..).unwrap_or_default()) {
                self.port.get_or_init(|| port);
                *self.running.lock() = Some(begun.process);
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("a server did not start:\n{}", begun.process.log_tail());
            }
            if begun.process.has_ended() {
                // Its store could not be reached, perhaps, or somebody has its port for a moment.
                begun = self.spawn()?;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn spawn(&self) -> Result<Begun> {
        let said = fs::read_to_string(self.log()).unwrap_or_default().len();
        let nats: Vec<String> = self.links.iter().map(Proxy::url).collect();
        let (nats, data) = (nats.join(","), self.directory.path().join("data"));
        let (key, data) = (text(&self.launch.key)?, text(&data)?);
        let listen = format!("127.0.0.1:{}", self.port.get().unwrap_or(&0));
        let arguments = ["start", "--nats", &nats, "--listen", &listen, "--data", data, "--log", "warn"];
        let arguments = [&arguments[..], &["--master-key-file", key]].concat();
        Ok(Begun { process: Process::start(&self.launch.program, &arguments, &self.log())?, said })
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("claviger.log")
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Errors that it has logged, but for those that say that the store cannot be reached.
    pub(crate) fn errors(&self) -> Vec<String> {
        let logged = self.logged();
        let is_excused = |line: &str| EXCUSED.iter().any(|code| line.contains(code));
        logged.lines().filter(|line| line.contains(" ERROR ") && !is_excused(line)).map(str::to_owned).collect()
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        let logged = self.logged();
        let lines: Vec<&str> = logged.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Where it serves, also while it does not run.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.get().unwrap_or(&0))
    }

    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.lock().is_some()
    }

    /// Kills it (`SIGKILL`).
    pub(crate) fn kill(&self) {
        *self.running.lock() = None;
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.running.lock().as_ref().context("the server does not run")?.signal(signal)
    }

    /// Its ways to the nats-servers.
    pub(crate) fn links(&self) -> &[Proxy] {
        &self.links
    }
}

struct Begun {
    process: Process,
    /// How long the log was before.
    said: usize,
}

fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once(READY)?;
    // The line is there as a whole.
    let (port, _) = rest.split_once(' ')?;
    port.parse().ok()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_once_its_line_is_whole() {
        assert_eq!(port("WARN x\nclaviger ready api=http://127.0.0.1:41000 data=/tmp/data\n"), Some(41_000));
        assert_eq!(port("claviger ready api=http://127.0.0.1:410"), None);
        assert_eq!(port(""), None);
    }
}
