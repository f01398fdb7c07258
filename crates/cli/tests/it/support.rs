//! A server of its own for each test, and commands against it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A command of the binary, free of whatever the environment of the tests says.
pub(crate) fn claviger(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CLAVIGER_") {
            command.env_remove(name);
        }
    }
    command.env_remove("CREDENTIALS_DIRECTORY").env("NO_COLOR", "1").args(arguments).stdin(Stdio::null());
    command
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Outcome {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Outcome {
        assert!(self.stderr.contains(text), "`{text}` is not in: {}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn never_shows(self, text: &str) -> Outcome {
        assert!(!self.stderr.contains(text) && !self.stdout.contains(text), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn run(mut command: Command) -> Outcome {
    command.output().unwrap().into()
}

/// Runs a command with this on its standard input.
pub(crate) fn run_with_input(mut command: Command, input: &[u8]) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not want its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// A running process whose standard error is read.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it and waits for a line that begins so. Answers the line.
    #[track_caller]
    pub(crate) fn start(mut command: Command, awaited: &str) -> (Process, String) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let line = loop {
            let start = said.len();
            if stderr.read_line(&mut said).unwrap() == 0 {
                panic!("ended before `{awaited}`, {:?}: {said}", child.wait());
            }
            if said[start..].starts_with(awaited) {
                break said[start..].trim_end().to_owned();
            }
        };
        let lines = Arc::new(Mutex::new(said));
        let reader = std::thread::spawn({
            let lines = lines.clone();
            move || {
                let mut line = String::new();
                while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                    lines.lock().unwrap().push_str(&line);
                    line.clear();
                }
            }
        });
        (Process { child, lines, reader: Some(reader) }, line)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&mut self) -> impl Read + use<> {
        self.child.stdout.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; answers its status and everything that it said.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let said = self.lines.lock().unwrap().clone();
        (status, said)
    }

    pub(crate) fn said(&self) -> String {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on a directory that is removed with it.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) api: String,
    directory: Directory,
}

/// A temporary directory with a data directory in it that is not there yet.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Directory {
        Directory(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// A file beside the data directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `claviger dev` or `claviger start` on it, on a free port.
    pub(crate) fn command(&self, mode: &str) -> Command {
        self.command_on("127.0.0.1:0", mode)
    }

    /// The same on an address.
    pub(crate) fn command_on(&self, address: &str, mode: &str) -> Command {
        let mut command = claviger(&[mode, "--listen", address, "--data"]);
        command.arg(self.data()).stdout(Stdio::null());
        command
    }

    /// A command that ends, such as one that must not start.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = claviger(arguments);
        command.arg("--data").arg(self.data());
        run(command)
    }
}

impl Server {
    pub(crate) fn dev() -> Server {
        let directory = Directory::new();
        let command = directory.command("dev");
        Server::start(directory, command)
    }

    #[track_caller]
    pub(crate) fn start(directory: Directory, command: Command) -> Server {
        let (process, line) = Process::start(command, "claviger ready ");
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let api = words[2].strip_prefix("api=").unwrap().to_owned();
        let data = PathBuf::from(words[3].strip_prefix("data=").unwrap());
        assert_eq!(data, directory.data().canonicalize().unwrap());
        Server { process, api, directory }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.data()
    }

    /// A command against this server, under the admin key that `dev` made.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = claviger(arguments);
        command.env("CLAVIGER_URL", &self.api).env("CLAVIGER_SERVER__DATA", self.data());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments))
    }

    /// Sets a secret by standard input.
    #[track_caller]
    pub(crate) fn set(&self, name: &str, value: &str) -> Value {
        let command = self.command(&["secret", "set", name, "-o", "json"]);
        run_with_input(command, value.as_bytes()).expect(0).json()
    }

    /// Stops it and keeps its directory. Answers its status and what it said.
    pub(crate) fn stop(self, signal: Signal) -> (Directory, ExitStatus, String) {
        self.process.signal(signal);
        let (status, said) = self.process.wait();
        (self.directory, status, said)
    }
}
