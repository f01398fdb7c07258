//! A server with keys of every role, whose every name carries the control.

use std::{fs, os::unix::fs::PermissionsExt};

use claviger_testbed::{Access, NatsServer, ServerOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::canaries::Canaries;
use crate::support::{Api, Cli, NodeProgram, NodeWorker, Process, Server, ServerPlan, Transcript};

/// How the server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `dev`, with a text log.
    Development,
    /// `start` with a master key in the environment, with a JSON log that says everything.
    Production,
    /// The same on a NATS server with a password.
    Nats,
}

/// The server and all that runs around it.
pub(super) struct House {
    pub(super) server: Server,
    /// Where the store is, if not in the server's directory.
    pub(super) nats: Option<NatsServer>,
    pub(super) cli: Cli,
    pub(super) api: Api,
    /// By role.
    pub(super) roles: Vec<(&'static str, String)>,
    pub(super) worker: NodeWorker,
    /// Follows every event, by the command line.
    pub(super) subscriber: Process,
    /// Follows every event, as the bytes come.
    pub(super) stream: Transcript,
    first_key: String,
    master_key: Vec<u8>,
}

/// What each role needs to be told.
const ROLES: [(&str, &[&str]); 5] = [
    ("operator", &[]),
    ("viewer", &[]),
    ("runtime", &["--secret", "*"]),
    ("subscriber", &["--event", ">"]),
    ("admin", &[]),
];

const NATS_PASSWORD: &str = "3Qe7uTzK9nLw2RbXc5VdYg8HsJmPfA4t6UoEiZxN";

const MASTER_KEY: &str = "8f3a5cd2917be604a1b2c3d4e5f60718293a4b5c6d7e8f901a2b3c4d5e6f7081";

impl House {
    pub(super) async fn open(kind: Kind, canaries: &Canaries) -> House {
        let nats = if kind == Kind::Nats { Some(nats().await) } else { None };
        let server = start(kind, nats.as_ref()).await;
        let first = first_key(kind, &server).await;
        let cli = Cli::new(&server.api, &first);
        let mut roles = Vec::new();
        for (role, bounds) in ROLES {
            let arguments = [&["apikey", "create", "--role", role][..], bounds].concat();
            // Not with the transcript: this answer has the key.
            let created = Cli::new(&server.api, &first).json(&arguments).await;
            roles.push((role, created["key"].as_str().expect("a key").to_owned()));
        }
        let api = Api::new(&server.api, &first);
        let stream = follow(&api).await;
        let subscriber = cli.spawn(&["subscribe", ">", "-o", "json"]);
        subscriber.stderr.line("subscribed").await;
        set_first_values(&cli, &server, canaries).await;
        furnish_a_space(&cli, canaries).await;
        let control = Canaries::control();
        let program = NodeProgram::script(include_str!("leaky.mjs"));
        let variables = [("CONTROL", control.as_str())];
        let worker = program.start(&server.api, &key_of(&roles, "runtime"), &variables).await;
        let master_key = master_key(kind, &server);
        House { server, nats, cli, api, roles, worker, subscriber, stream, first_key: first, master_key }
    }

    pub(super) fn key(&self, role: &str) -> String {
        key_of(&self.roles, role)
    }

    /// The secret parts of every key there is.
    pub(super) fn keys(&self) -> Vec<(String, Vec<u8>)> {
        let roles = self.roles.iter().map(|(role, key)| (format!("{role} key"), secret_part(key)));
        let first = ("first key".to_owned(), secret_part(&self.first_key));
        let password = ("password at NATS".to_owned(), NATS_PASSWORD.as_bytes().to_vec());
        roles.chain([first, ("master key".to_owned(), self.master_key.clone()), password]).collect()
    }
}

/// One that lets in who has the password.
async fn nats() -> NatsServer {
    let access = Access::Password { user: "claviger".to_owned(), password: NATS_PASSWORD.to_owned() };
    NatsServer::start(ServerOptions { access, ..ServerOptions::default() }).await.expect("a NATS server")
}

async fn start(kind: Kind, nats: Option<&NatsServer>) -> Server {
    let control = Canaries::control();
    let plan = match kind {
        Kind::Development => ServerPlan::dev().argument("--log").argument("debug"),
        Kind::Production | Kind::Nats => ServerPlan::start_mode().variable("CLAVIGER_MASTER_KEY", MASTER_KEY),
    };
    let data = plan.home().join(&control);
    let mut plan = plan.variable("CONTROL", &control).variable("CLAVIGER_FLATFILE__ENABLED", "true").on(&data);
    if let Some(nats) = nats {
        // In a file, where a password belongs.
        let file = plan.home().join("config.toml");
        let url = nats.url().replace("://", &format!("://claviger:{NATS_PASSWORD}@"));
        fs::write(&file, format!("[nats]\nservers = [\"{url}\"]\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
        plan = plan.argument("--config").argument(file);
    }
    if kind == Kind::Development {
        return plan.start().await;
    }
    fs::write(plan.home().join("first.key"), plan.first_key().await).expect("a file");
    plan.argument("--log").argument("trace").argument("--log-format").argument("json").start().await
}

async fn first_key(kind: Kind, server: &Server) -> String {
    match kind {
        Kind::Development => server.admin_key(),
        _ => fs::read_to_string(server.home().join("first.key")).expect("a key"),
    }
}

fn master_key(kind: Kind, server: &Server) -> Vec<u8> {
    let text = match kind {
        Kind::Development => fs::read_to_string(server.data().join("dev-master.key")).expect("a key"),
        _ => MASTER_KEY.to_owned(),
    };
    let digits = text.trim_end().as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

fn key_of(roles: &[(&str, String)], role: &str) -> String {
    roles.iter().find(|(known, _)| *known == role).expect("a role").1.clone()
}

/// An API key without what it shows of itself.
fn secret_part(key: &str) -> Vec<u8> {
    key.rsplit('_').next().expect("a secret part").as_bytes()[..43].to_vec()
}

/// Keeps the bytes of a subscription to everything.
async fn follow(api: &Api) -> Transcript {
    let request = api.request(Method::GET, "/v1/environments/default/subscribe?pattern=%3E");
    let mut response = api.send(request.header("accept", "text/event-stream")).await;
    assert!(response.status().is_success(), "{}", response.status());
    let transcript = Transcript::default();
    let kept = transcript.clone();
    let first = response.chunk().await.expect("a frame").expect("a frame");
    kept.add(&first);
    tokio::spawn(async move {
        while let Ok(Some(chunk)) = response.chunk().await {
            kept.add(&chunk);
        }
    });
    transcript
}

/// Values of every kind, by every way in.
async fn set_first_values(cli: &Cli, server: &Server, canaries: &Canaries) {
    let control = Canaries::control();
    cli.set("PLAIN", canaries.plain()).await;
    cli.set("SPECIAL", &canaries.special()).await;
    cli.set("ROTATED", canaries.rotated()[0]).await;
    cli.set("DELETED", canaries.deleted()[0]).await;
    cli.set(&format!("UNUSED_{control}"), canaries.unused()).await;
    for (name, bytes) in [("LINES", canaries.lines().into_bytes()), ("BINARY", canaries.binary())] {
        let file = server.home().join(name);
        fs::write(&file, bytes).expect("a file");
        cli.ok(&["secret", "set", name, "--raw", "--file", file.to_str().expect("a path")]).await;
        fs::remove_file(file).expect("no file");
    }
    let described = ["secret", "set", "ARGUMENT", canaries.argument(), "--description", &control];
    cli.ok(&described).await;
}

/// A space that inherits, overrides and blocks.
async fn furnish_a_space(cli: &Cli, canaries: &Canaries) {
    let space = Canaries::space();
    cli.ok(&["space", "create", &space, "--metadata", &data().to_string()]).await;
    cli.set("INHERITED", canaries.inherited()).await;
    cli.set("BLOCKED", canaries.blocked()).await;
    cli.set("OVERRIDDEN", canaries.inherited()).await;
    let set = ["secret", "set", "OVERRIDDEN", "--space", &space];
    let ran = cli.run_with_input(&set, canaries.of_space().as_bytes()).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    cli.ok(&["secret", "block", "BLOCKED", "--space", &space]).await;
}

/// What `test.NAME` is emitted with.
pub(super) fn data() -> Value {
    json!({ "control": Canaries::control() })
}
