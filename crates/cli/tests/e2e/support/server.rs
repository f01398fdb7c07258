//! The server, from the real binary.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Api, Cli, Process, process};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_claviger");

/// How to start a server: on which directory, with which arguments and variables. The directory of its own is removed
/// with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct ServerPlan {
    home: Arc<TempDir>,
    data: PathBuf,
    mode: &'static str,
    listen: String,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
}

/// A server that serves.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) api: String,
    plan: ServerPlan,
}

impl ServerPlan {
    /// `claviger dev` on a fresh directory and a free port.
    pub(crate) fn dev() -> ServerPlan {
        let home = tempfile::tempdir().expect("a directory");
        let data = home.path().join("data");
        ServerPlan {
            home: Arc::new(home),
            data,
            mode: "dev",
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// `claviger start` on a fresh directory and a free port. It has no API key yet.
    pub(crate) fn start_mode() -> ServerPlan {
        ServerPlan { mode: "start", ..ServerPlan::dev() }
    }

    /// On this directory instead.
    pub(crate) fn on(mut self, data: &Path) -> ServerPlan {
        data.clone_into(&mut self.data);
        self
    }

    /// At this address instead.
    pub(crate) fn listen(mut self, address: SocketAddr) -> ServerPlan {
        self.listen = address.to_string();
        self
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> ServerPlan {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> ServerPlan {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// `claviger start` on these NATS servers, on a fresh directory and a free port. It has no master key yet.
    pub(crate) fn nats(urls: &[String]) -> ServerPlan {
        ServerPlan::start_mode().argument("--nats").argument(urls.join(","))
    }

    /// A directory for files beside the data.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// `claviger apikey bootstrap` with the same arguments and variables.
    pub(crate) fn bootstrap(&self) -> Process {
        let mut command = process::command(BINARY);
        command.args(["apikey", "bootstrap", "--data"]).arg(&self.data).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).current_dir(self.home.path());
        Process::spawn(&mut command)
    }

    /// Makes the first admin key, and answers it.
    pub(crate) async fn first_key(&self) -> String {
        let mut process = self.bootstrap();
        assert!(process.ended().await.success(), "{:?}", process.stderr);
        process.stdout.text().trim_end().to_owned()
    }

    /// Starts a server that has to end by itself; answers its exit status and what it said.
    pub(crate) async fn refused(&self) -> (i32, String) {
        let mut process = self.spawn();
        let status = process.ended().await;
        (status.code().unwrap_or(-1), process.stderr.text())
    }

    /// Starts the process without waiting.
    pub(crate) fn spawn(&self) -> Process {
        let mut command = process::command(BINARY);
        command.arg(self.mode).args(["--listen", &self.listen]).arg("--data").arg(&self.data);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.home.path());
        Process::spawn(&mut command)
    }

    /// Starts the server and waits until it serves.
    pub(crate) async fn start(&self) -> Server {
        let process = self.spawn();
        let ready = process.stderr.line("claviger ready api=").await;
        let api = ready.split_whitespace().find_map(|word| word.strip_prefix("api=")).expect("an address").to_owned();
        // Started again, it is where its workers look for it.
        let listen = api.strip_prefix("http://").expect("an address").to_owned();
        Server { process, api, plan: ServerPlan { listen, ..self.clone() } }
    }
}

impl Server {
    /// A development server on a fresh directory.
    pub(crate) async fn dev() -> Server {
        ServerPlan::dev().start().await
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &Path {
        self.plan.data()
    }

    /// A directory for files beside the data.
    pub(crate) fn home(&self) -> &Path {
        self.plan.home()
    }

    /// The admin key that `dev` made.
    pub(crate) fn admin_key(&self) -> String {
        key_file(&self.data().join("admin.key"))
    }

    /// The runtime key that `dev` made.
    pub(crate) fn runtime_key(&self) -> String {
        key_file(&self.data().join("runtime.key"))
    }

    /// The command line with the admin key that `dev` made.
    pub(crate) fn cli(&self) -> Cli {
        Cli::new(&self.api, &self.admin_key())
    }

    /// HTTP with the admin key that `dev` made.
    pub(crate) fn admin(&self) -> Api {
        Api::new(&self.api, &self.admin_key())
    }

    /// Kills it with SIGKILL. What comes back starts it again at the same address.
    pub(crate) async fn kill(mut self) -> ServerPlan {
        self.process.kill().await;
        self.plan
    }

    /// Stops it with SIGTERM, asserts that it ended well, and says how long that took. What comes back starts it again.
    pub(crate) async fn stop(mut self) -> (ServerPlan, Duration) {
        let begun = Instant::now();
        self.process.signal(Signal::TERM);
        let status = self.process.ended().await;
        let took = begun.elapsed();
        assert!(status.success(), "{status}\n{:?}", self.process.stderr);
        (self.plan, took)
    }
}

fn key_file(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim_end().to_owned()
}
