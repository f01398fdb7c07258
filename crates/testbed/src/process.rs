//! A child process that ends with us, at the latest.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

/// Lines of the log that are shown when a start fails.
const TAIL: usize = 25;

/// A running program that writes its log to a file. Dropped, it is killed and gone.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says is added to the log file.
    ///
    /// # Errors
    /// When it cannot be started, or the file cannot be written.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> Result<Process> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = mortal(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(command).with_context(|| format!("cannot start `{}`", program.display()))?;
        Ok(Process { child, log: log.to_owned() })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Stops it where it is (`SIGSTOP`), and returns when all its threads stand still.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        // The signal is on its way to the last thread: the system tells when all have stopped. Of an end it tells too, to
        // whoever waits for that.
        let ours = WaitId::Pid(self.pid()?);
        waitid(ours, WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        Ok(())
    }

    /// Sends a signal to this very process, which is ours until it was waited for.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(rustix::process::kill_process(self.pid()?, signal)?)
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("no process id")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that the system kills when the thread that started it ends, where a tool for that is there: a test that is
/// killed itself drops nothing.
fn mortal(program: &Path) -> Command {
    static HAS_TOOL: OnceLock<bool> = OnceLock::new();
    let has_tool = HAS_TOOL.get_or_init(|| {
        Command::new("setpriv").args(["--pdeathsig", "KILL", "true"]).status().is_ok_and(|status| status.success())
    });
    if !has_tool {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts it in a thread that lives as long as we do.
fn spawn(command: Command) -> Result<Child> {
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits any more: the child is dropped, and runs on until we end.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = channel();
    starter.send((command, answer)).ok().context("the thread that starts programs has ended")?;
    Ok(child.recv().context("the thread that starts programs has ended")??)
}
