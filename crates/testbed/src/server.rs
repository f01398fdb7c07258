//! One server.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    FreePorts, ServerOptions, binary,
    config::{Membership, Ports},
    monitor,
    process::Process,
    talk,
};

/// How long a server may take to start, and a cluster to find a leader.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often we ask whether it has.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(20);
/// What a server says when somebody was faster with one of its ports.
const PORT_TAKEN: &str = "address already in use";
/// How often other ports are tried.
pub(crate) const STARTS: usize = 5;

/// A nats-server with JetStream, in a directory of its own. Dropped, it is killed.
pub struct NatsServer {
    name: String,
    scheme: &'static str,
    ports: Ports,
    membership: Option<Membership>,
    // Before the directory, which it writes to.
    process: Mutex<Option<Process>>,
    directory: TempDir,
}

impl NatsServer {
    /// Starts one server and waits until JetStream is ready.
    ///
    /// # Errors
    /// When there is no program, or it does not start: with the end of its log.
    pub async fn start(options: ServerOptions) -> Result<NatsServer> {
        let mut starts = 1;
        loop {
            let server = NatsServer::new("node1", &options, Ports::of(&FreePorts::take(Ports::EACH)?, 0), None)?;
            match server.restart().await {
                Ok(()) => {
                    server.ready().await?;
                    return Ok(server);
                }
                Err(error) if starts < STARTS && is_port_taken(&error) => starts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// A server that does not run yet.
    pub(crate) fn new(
        name: &str,
        options: &ServerOptions,
        ports: Ports,
        membership: Option<&Membership>,
    ) -> Result<NatsServer> {
        let directory = TempDir::new()?;
        let scheme = if options.tls.is_some() { "tls" } else { "nats" };
        let (name, membership, process) = (name.to_owned(), membership.cloned(), Mutex::new(None));
        let server = NatsServer { name, scheme, ports, membership, process, directory };
        server.configure(options)?;
        Ok(server)
    }

    /// Writes its configuration anew: it is to be like this from its next [`restart`](NatsServer::restart) on. Whether it has
    /// TLS cannot be changed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, options: &ServerOptions) -> Result<()> {
        let text = options.file(&self.name, &self.ports, &self.store(), self.membership.as_ref())?;
        Ok(fs::write(self.directory.path().join("nats.conf"), text)?)
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port for clients, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// Where clients connect: `nats://…`, or `tls://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports.client)
    }

    /// The same as a list.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        vec![self.url()]
    }

    /// Where the server tells how it is.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitor)
    }

    /// What the monitor answers to a path like `/varz`.
    ///
    /// # Errors
    /// When it does not answer, or with another status than 200.
    pub async fn monitor(&self, path: &str) -> Result<Value> {
        monitor::get(self.ports.monitor, path).await
    }

    /// Where its configuration, its log and everything that it stores are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where JetStream stores everything.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The answer of JetStream to a request such as `STREAM.DELETE.name`, as an operator's tool sends it; `null` is no body.
    /// Only where everybody is let in and there is no TLS.
    ///
    /// # Errors
    /// When it does not answer within some seconds, or says no.
    pub async fn jetstream(&self, request: &str, body: &Value) -> Result<Value> {
        talk::ask(self.ports.client, request, body).await
    }

    /// Kills it (`SIGKILL`), and returns when it is gone. What JetStream stored stays.
    pub fn kill(&self) {
        *self.process.lock() = None;
    }

    /// Starts it again where it was, after killing it if it runs, and waits until clients can connect. Whether JetStream
    /// is ready depends on its cluster too: [`ready`](NatsServer::ready).
    ///
    /// # Errors
    /// When it does not start: with the end of its log.
    pub async fn restart(&self) -> Result<()> {
        self.kill();
        let path = |name: &str| self.directory.path().join(name);
        let config = path("nats.conf");
        let config = config.to_str().context("the temporary directory's name is not UTF-8")?;
        *self.process.lock() = Some(Process::start(&binary()?, &["--config", config], &path("nats.log"))?);
        self.until("listens", async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.client)).await.map(drop).map_err(Into::into)
        })
        .await
    }

    /// Waits until it says that JetStream is healthy.
    ///
    /// # Errors
    /// When it is not within a minute, or has ended: with the end of its log.
    pub async fn ready(&self) -> Result<()> {
        self.until("is healthy", async || self.monitor("/healthz").await.map(drop)).await
    }

    /// Stops it where it is (`SIGSTOP`): connections stay, nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.running(Process::pause)
    }

    /// Lets it go on (`SIGCONT`).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running(|process| process.signal(Signal::CONT))
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.lock().as_ref().map(Process::log_tail).unwrap_or_default()
    }

    fn running(&self, act: impl FnOnce(&Process) -> Result<()>) -> Result<()> {
        act(self.process.lock().as_ref().context("the server does not run")?)
    }

    /// Asks until the answer is yes.
    async fn until(&self, what: &str, mut ask: impl AsyncFnMut() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.process.lock().as_mut().is_none_or(Process::has_ended) {
                bail!("the nats-server `{}` has ended:\n{}", self.name, self.log_tail());
            }
            match ask().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let tail = self.log_tail();
                    return Err(error.context(format!("no sign that `{}` {what}:\n{tail}", self.name)));
                }
                Err(_) => sleep(ASK_EVERY).await,
            }
        }
    }
}

/// Whether a start is worth another try, with other ports.
pub(crate) fn is_port_taken(error: &anyhow::Error) -> bool {
    error.to_string().contains(PORT_TAKEN)
}
