//! A Node.js process with the clients.

use std::{os::unix::fs::symlink, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::support::{Output, Server, process, root, within};

/// A process with both clients, and one key.
pub(super) struct Clients {
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub(super) stderr: Output,
    _child: Child,
    _directory: TempDir,
}

/// What `event.secrets` came to: its value, or what it was rejected with.
pub(super) type Found = Result<String, String>;

impl Clients {
    /// The clients, as their users set them up: with two variables.
    pub(super) fn start(server: &Server, key: &str) -> Clients {
        Clients::with(key, &[("AGENT_INTERNAL_URL", &format!("{}/flatfile", server.api))])
    }

    /// The same with these variables beside the key.
    pub(super) fn with(key: &str, variables: &[(&str, &str)]) -> Clients {
        let packages = root().join("tests/flatfile/node_modules");
        assert!(packages.join("@flatfile/api").exists(), "`cargo xtask setup` installs the Flatfile clients");
        let directory = tempfile::tempdir().expect("a directory");
        symlink(packages, directory.path().join("node_modules")).expect("its packages");
        let driver = directory.path().join("driver.mjs");
        std::fs::write(&driver, include_str!("driver.mjs")).expect("the program");
        let mut command = process::command("node");
        command.arg(driver).env("FLATFILE_BEARER_TOKEN", key).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("Node.js");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        Clients {
            stdin: child.stdin.take().expect("its input"),
            answers: stdout.lines(),
            stderr: Output::collect(child.stderr.take().expect("its errors")),
            _child: child,
            _directory: directory,
        }
    }

    /// Does a command, and answers what came of it: `value`, or `error`.
    pub(super) async fn attempt(&mut self, command: &Value) -> Value {
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("a process that reads");
        let answer = within("an answer of the clients", self.answers.next_line()).await.expect("text");
        let answer = answer.unwrap_or_else(|| panic!("the process ended: {:?}", self.stderr));
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Does a command that has to succeed.
    pub(super) async fn value(&mut self, command: &Value) -> Value {
        let mut answer = self.attempt(command).await;
        assert!(answer.get("error").is_none(), "{command}: {answer}\n{:?}", self.stderr);
        answer["value"].take()
    }

    /// Calls `api.<resource>.<method>(parameters…)`, and answers the `data` of its result.
    pub(super) async fn call(&mut self, path: &str, parameters: Value) -> Value {
        let mut answer = self.value(&call(path, parameters)).await;
        answer["data"].take()
    }

    /// The same for a call that has to fail: its name, status and body.
    pub(super) async fn refused(&mut self, path: &str, parameters: Value) -> (String, Value, Value) {
        let mut answer = self.attempt(&call(path, parameters)).await;
        assert!(answer.get("error").is_some(), "{path}: {answer}");
        let message = &answer["body"]["errors"][0]["message"];
        assert!(message.as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        let name = answer["name"].as_str().expect("a name").to_owned();
        (name, answer["status"].take(), answer["body"].take())
    }

    /// Hands an event to the listener, which asks for these secrets.
    pub(super) async fn dispatch<const N: usize>(&mut self, event: &Value, secrets: [Value; N]) -> [Found; N] {
        let handled = self.value(&json!({ "do": "dispatch", "event": event, "secrets": secrets.to_vec() })).await;
        let found = handled[0]["secrets"].as_array().expect("secrets").iter().map(found).collect::<Vec<_>>();
        found.try_into().expect("one for each")
    }

    /// The same for one secret, by its name.
    pub(super) async fn secret(&mut self, event: &Value, name: &str) -> Found {
        let [found] = self.dispatch(event, [json!([name])]).await;
        found
    }
}

pub(super) fn found(answer: &Value) -> Found {
    match answer["value"].as_str() {
        Some(value) => Ok(value.to_owned()),
        None => Err(answer["error"].as_str().expect("an error").to_owned()),
    }
}

fn call(path: &str, parameters: Value) -> Value {
    let path: Vec<&str> = path.split('.').collect();
    json!({ "do": "call", "path": path, "with": parameters })
}

/// A development server, the clients with an operator's key and with a runtime key, and the id of the environment.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) operator: Clients,
    pub(super) runtime: Clients,
    pub(super) environment: String,
}

impl Stage {
    pub(super) async fn set() -> Stage {
        let server = Server::dev().await;
        let operator_key = key(&server, "operator", &["--env", "default"]).await;
        let mut operator = Clients::start(&server, &operator_key);
        let runtime = Clients::start(&server, &server.runtime_key());
        let environments = operator.call("environments.list", json!([{ "pageSize": 100 }])).await;
        let environment = environments[0]["id"].as_str().expect("an id").to_owned();
        Stage { server, operator, runtime, environment }
    }

    /// A new space, and its id.
    pub(super) async fn space(&mut self, name: &str) -> String {
        let new = json!([{ "name": name, "environmentId": self.environment }]);
        self.operator.call("spaces.create", new).await["id"].as_str().expect("an id").to_owned()
    }

    /// Sets a secret in the environment, or in a space, and answers its row.
    pub(super) async fn set_secret(&mut self, space: Option<&str>, name: &str, value: &str) -> Value {
        let sent = json!([{ "name": name, "value": value, "environmentId": self.environment, "spaceId": space }]);
        let rows = self.operator.call("secrets.upsert", sent).await;
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        rows[0].clone()
    }

    /// An event as they come: with an API key as its actor.
    pub(super) fn event(&self, space: Option<&str>) -> Value {
        json!({
            "id": "us_evt_qgpXn6x9veAtkSZ2", "domain": "space", "topic": "space:updated", "payload": {},
            "context": {
                "environmentId": self.environment, "spaceId": space, "accountId": "us_acc_00000001",
                "actorId": "us_key_l7DZXYfw",
            },
        })
    }
}

/// A new API key.
pub(super) async fn key(server: &Server, role: &str, arguments: &[&str]) -> String {
    let arguments = [&["apikey", "create", "--role", role], arguments].concat();
    server.cli().json(&arguments).await["key"].as_str().expect("a key").to_owned()
}
