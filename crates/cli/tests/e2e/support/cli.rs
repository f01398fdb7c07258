//! The command line, from the real binary.

use std::{process::Stdio, str};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Process, Transcript, process, server::BINARY, within};

/// The command line with an address and a key. What its commands print is kept.
#[derive(Clone, Debug)]
pub(crate) struct Cli {
    api: String,
    key: String,
    pub(crate) transcript: Transcript,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    pub(crate) fn new(api: &str, key: &str) -> Cli {
        Cli { api: api.to_owned(), key: key.to_owned(), transcript: Transcript::default() }
    }

    /// The same with another key, into the same transcript.
    pub(crate) fn with_key(&self, key: &str) -> Cli {
        Cli { key: key.to_owned(), ..self.clone() }
    }

    /// A command that was not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(BINARY);
        command.args(arguments).env("CLAVIGER_URL", &self.api).env("CLAVIGER_API_KEY", &self.key);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, b"").await
    }

    /// Runs a command to its end, with this on its standard input.
    pub(crate) async fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a command");
        let mut stdin = child.stdin.take().expect("its input");
        // A command that does not read its input may have ended already.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        let output = within("the end of a command", child.wait_with_output()).await.expect("its output");
        self.transcript.add(&output.stdout);
        self.transcript.add(&output.stderr);
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs a command that has to succeed, and answers its standard output.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).await.ok(arguments)
    }

    /// Runs a command that has to succeed with `-o json`, and answers what it prints.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        let text = self.ok(&arguments).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Sets a secret by standard input.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Value {
        let arguments = ["secret", "set", name, "-o", "json"];
        let text = self.run_with_input(&arguments, value.as_bytes()).await.ok(&arguments);
        serde_json::from_str(&text).expect("metadata")
    }

    /// Starts a command that goes on.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        Process::spawn(&mut self.command(arguments))
    }
}

impl Ran {
    /// Its standard output. Panics when it failed.
    pub(crate) fn ok(self, arguments: &[&str]) -> String {
        assert_eq!(self.code, 0, "{arguments:?}\n{}{}", self.stdout, self.stderr);
        self.stdout
    }
}
