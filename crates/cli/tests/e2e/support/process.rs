//! Child processes with a clean environment. They end with the test.

use std::{
    env,
    ffi::OsStr,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{Output, within};

/// What a child inherits; above all nothing of `CLAVIGER_*`.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// A command with a clean environment.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    for name in INHERITED {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// A running process whose output is collected. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a process");
        let stdout = Output::collect(child.stdout.take().expect("its output"));
        let stderr = Output::collect(child.stderr.take().expect("its errors"));
        Process { child, stdout, stderr }
    }

    /// The process id. Panics when the process has ended.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().cast_signed()).expect("an id");
        kill_process(pid, signal).expect("a signal that can be sent");
    }

    /// Waits for the end of the process and of its output.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = within("the end of a process", self.child.wait()).await.expect("a status");
        self.stdout.to_end().await;
        self.stderr.to_end().await;
        status
    }

    /// Kills it with SIGKILL, at once, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().expect("a process that can be killed");
        assert_eq!(self.ended().await.signal(), Some(Signal::KILL.as_raw()));
    }
}
