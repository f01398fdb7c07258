//! The session of the README, as it is typed there.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::MetadataExt,
    sync::mpsc,
    time::{Duration, Instant},
};

use claviger::{Context, Function, HandlerError, Worker};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Directory, Server, run, run_with_input};

const VALUE: &str = "sk_live_canary_5f1c";

#[test]
fn the_session_of_the_readme() {
    let server = Server::dev();
    let set = ["secret", "set", "STRIPE_KEY", VALUE, "--env", "default", "--description", "Stripe live key"];
    server.run(&set).expect(0).says("warning: a value among the arguments").never_shows(VALUE);

    let list = server.run(&["secret", "list", "--env", "default"]).expect(0).never_shows(VALUE);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{list:?}");
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(head, ["NAME", "VERSION", "REVISION", "DESCRIPTION", "CREATED", "UPDATED"]);
    assert!(lines[1].starts_with("STRIPE_KEY") && lines[1].contains("Stripe live key"), "{list:?}");

    let secret = server.run(&["secret", "get", "STRIPE_KEY", "-o", "json"]).expect(0).never_shows(VALUE).json();
    assert_eq!((&secret["version"], &secret["description"]), (&json!(1), &json!("Stripe live key")));
    assert_eq!(secret["versions"].as_array().unwrap().len(), 1);

    let rotated = run_with_input(server.command(&["secret", "set", "STRIPE_KEY", "-o", "json"]), b"another_canary\n");
    assert_eq!(rotated.expect(0).never_shows("another_canary").json()["version"], 2);

    server.run(&["secret", "delete", "STRIPE_KEY"]).expect(0);
    server.run(&["secret", "get", "STRIPE_KEY"]).expect(4).says("(secret_not_found)");
    assert_eq!(server.run(&["secret", "list", "-o", "json"]).expect(0).stdout, "[]\n");
    let (_, status, said) = server.stop(Signal::TERM);
    assert!(status.success(), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn an_event_starts_a_run_that_is_waited_for_and_shown() {
    let server = Server::dev();
    server.set("STRIPE_KEY", VALUE);
    let worker = Payout::serve(&server);

    let emitted =
        server.run(&["event", "emit", "payout.requested", "--data", "{\"amount\": 1200}", "--wait"]).expect(0);
    assert!(emitted.stdout.contains("payout") && emitted.stdout.contains("completed"), "{emitted:?}");

    let runs = server.run(&["run", "list", "-o", "json"]).expect(0).json();
    assert_eq!((&runs[0]["status"], &runs[0]["function"]), (&json!("completed"), &json!("payout")));
    let id = runs[0]["id"].as_str().unwrap();
    let run = server.run(&["run", "get", id, "-o", "json"]).expect(0).never_shows(VALUE).json();
    assert_eq!(run["result"], json!({ "amount": 1200, "key": "«STRIPE_KEY@1»" }));
    assert_eq!((&run["steps"][0]["id"], &run["steps"][0]["status"]), (&json!("charge"), &json!("finished")));
    assert_eq!(run["deliveries"][0]["secrets"], json!([{ "name": "STRIPE_KEY", "version": 1 }]));
    server.run(&["run", "get", id]).expect(0).never_shows(VALUE);
    server.run(&["run", "get", id, "-o", "yaml"]).expect(0).never_shows(VALUE);
    server.run(&["run", "cancel", id]).expect(5).says("(run_already_ended)");

    let functions = server.run(&["function", "list", "-o", "json"]).expect(0).json();
    assert_eq!((&functions[0]["id"], &functions[0]["workers"]), (&json!("payout"), &json!(1)));

    let failed = server.run(&["event", "emit", "payout.requested", "--wait", "-o", "json"]).expect(1);
    assert_eq!(failed.says("error: a run did not complete").json()["runs"][0]["status"], "failed");
    worker.stop();
    a_cancelled_run_tells_who_and_why(&server);
    server.run(&["event", "emit", "nobody.listens", "--wait"]).expect(0).says("no function is started");
}

/// Nobody serves its function any more.
fn a_cancelled_run_tells_who_and_why(server: &Server) {
    server.run(&["event", "emit", "payout.requested"]).expect(0);
    let id = loop {
        let queued = server.run(&["run", "list", "--status", "queued", "-o", "json"]).expect(0).json();
        if let Some(id) = queued[0]["id"].as_str() {
            break id.to_owned();
        }
    };
    let cancelled = server.run(&["run", "cancel", &id, "--reason", "sent twice"]).expect(0).stdout;
    let line = cancelled.lines().find(|line| line.starts_with("cancelled ")).unwrap_or_else(|| panic!("{cancelled}"));
    assert!(line.contains(" by ") && line.ends_with(": sent twice"), "{line}");
    assert!(!cancelled.contains("was given"), "{cancelled}");
}

/// A worker with the function of the README, on a thread of its own.
pub(crate) struct Payout {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Payout {
    pub(crate) fn serve(server: &Server) -> Payout {
        let key = std::fs::read_to_string(server.data().join("runtime.key")).unwrap();
        let worker = Worker::new().url(&server.api).api_key(key.trim_end()).function(payout());
        let (started, is_ready) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let handle = worker.start().await.unwrap();
                started.send(()).unwrap();
                tokio::task::spawn_blocking(move || stopped.recv()).await.unwrap().unwrap();
                handle.stop().await.unwrap();
            });
        });
        is_ready.recv().unwrap();
        Payout { stop, thread }
    }

    pub(crate) fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn payout() -> Function {
    Function::new("payout").on("payout.requested").secret("STRIPE_KEY").handler(|context: Context| async move {
        let amount = context.event().data["amount"].as_u64();
        let amount = amount.ok_or_else(|| HandlerError::non_retryable("there is no amount"))?;
        let key = context.secrets().get("STRIPE_KEY")?;
        let charged: u64 = context.step("charge", || async { Ok(amount) }).await?;
        Ok(json!({ "amount": charged, "key": key.expose() }))
    })
}

#[test]
fn everything_is_in_one_directory_for_its_owner_only() {
    let server = Server::dev();
    server.set("STRIPE_KEY", VALUE);
    assert_eq!(std::fs::metadata(server.data()).unwrap().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(server.data()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    assert_eq!(std::fs::read_to_string(server.data().join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn what_was_set_survives_a_kill() {
    let server = Server::dev();
    let set = server.set("STRIPE_KEY", VALUE);
    let keys = std::fs::read(server.data().join("admin.key")).unwrap();
    let (directory, _, _) = server.stop(Signal::KILL);
    let command = directory.command("dev");
    let server = Server::start(directory, command);
    assert_eq!(std::fs::read(server.data().join("admin.key")).unwrap(), keys, "the keys are used again");
    let secret = server.run(&["secret", "get", "STRIPE_KEY", "-o", "json"]).expect(0).json();
    assert_eq!(secret["revision"], set["revision"]);
}

#[test]
fn a_signal_stops_the_server_gracefully_in_time() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::dev();
        let _subscriber = crate::subscribe::subscribed(&server, &[]);
        let began = Instant::now();
        let (_, status, said) = server.stop(signal);
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[test]
fn a_second_signal_stops_the_server_at_once() {
    let server = Server::dev();
    let address = server.api.strip_prefix("http://").unwrap();
    // A request whose body never comes: the server waits for it, within its limit.
    let mut client = TcpStream::connect(address).unwrap();
    let key = std::fs::read_to_string(server.data().join("admin.key")).unwrap();
    let head = format!(
        "PUT /v1/environments/default/secrets/A HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
        key.trim_end()
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100", "the handler reads the body now");
    server.process.signal(Signal::TERM);
    server.process.signal(Signal::INT);
    let (status, said) = server.process.wait();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("on the second signal"), "{said}");
}

#[test]
fn the_log_can_be_json_and_quiet() {
    let directory = Directory::new();
    let mut command = directory.command("dev");
    command.args(["--log-format", "json"]);
    let server = Server::start(directory, command);
    server.run(&["secret", "list"]).expect(0);
    let (directory, _, said) = server.stop(Signal::TERM);
    let line = said.lines().find(|line| line.contains("claviger::access")).unwrap_or_else(|| panic!("{said}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["status"], 200);

    let mut command = directory.command("dev");
    command.env("CLAVIGER_LOG", "off");
    let (_, _, said) = Server::start(directory, command).stop(Signal::TERM);
    assert!(!said.contains("WARN"), "{said}");
}

#[test]
fn a_value_can_come_from_a_file_or_standard_input_and_keeps_its_bytes() {
    let server = Server::dev();
    let directory = Directory::new();
    let file = directory.file("value", [0xff, 0xfe, 0, 1, 2, 3, 4, 5], 0o600);
    server.run(&["secret", "set", "BINARY", "--file", &file]).expect(0);
    run_with_input(server.command(&["secret", "set", "PIPED", "--file", "-"]), b"a piped value").expect(0);
    server.run(&["secret", "set", "BOTH", "value-canary", "--file", &file]).expect(2).never_shows("canary");
    let missing = server.run(&["secret", "set", "NONE", "--file", "/no/such/file"]).expect(2);
    missing.says("no such file or directory");
    run(server.command(&["secret", "get", "NONE"])).expect(4);
}
