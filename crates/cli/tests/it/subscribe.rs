//! Subscriptions.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Process, Server};

/// A subscription to rotations that has begun.
pub(crate) fn subscribed(server: &Server, arguments: &[&str]) -> Process {
    let mut command = server.command(&[&["subscribe", "system.secret.*.updated"], arguments].concat());
    command.stdout(Stdio::piped());
    Process::start(command, "subscribed in environment `default`").0
}

#[test]
fn a_rotation_is_printed_as_it_happens() {
    let server = Server::dev();
    server.set("STRIPE_KEY", "first canary");
    let mut subscriber = subscribed(&server, &["--count", "1"]);
    let line = BufReader::new(subscriber.stdout());
    server.set("STRIPE_KEY", "second canary");
    let line = line.lines().next().unwrap().unwrap();
    assert!(line.contains("  system.secret.STRIPE_KEY.updated  {"), "{line}");
    let (status, said) = subscriber.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn a_subscription_goes_on_after_a_restart_without_a_gap() {
    let server = Server::dev();
    server.set("STRIPE_KEY", "first canary");
    let mut subscriber = subscribed(&server, &["-o", "json", "--count", "2"]);
    let mut lines = BufReader::new(subscriber.stdout()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    server.set("STRIPE_KEY", "second canary");
    let second = next();
    assert_eq!(second["data"]["version"], 2);

    let address = server.api.strip_prefix("http://").unwrap().to_owned();
    let (directory, _, _) = server.stop(Signal::KILL);
    let command = directory.command_on(&address, "dev");
    let server = Server::start(directory, command);
    server.set("STRIPE_KEY", "third canary");
    assert_eq!(next()["data"]["version"], 3);
    let (status, said) = subscriber.wait();
    assert!(status.success() && said.contains("the connection is lost"), "{said}");

    // The cursor of an event is where to go on after it.
    let cursor = second["cursor"].as_str().unwrap();
    let again = server.run(&["subscribe", ">", "--after", cursor, "--count", "1", "-o", "json"]).expect(0);
    assert_eq!(again.json()["data"]["version"], 3);
}

#[test]
fn data_that_yaml_cannot_hold_stays_json_text_and_the_subscription_goes_on() {
    let server = Server::dev();
    let mut command = server.command(&["subscribe", "odd.*", "-o", "yaml", "--count", "3"]);
    command.stdout(Stdio::piped());
    let (mut subscriber, _) = Process::start(command, "subscribed in environment `default`");
    for data in ["{\"amount\": 1e999}", "\"\\ud800\"", "{\"amount\": 5}"] {
        server.run(&["event", "emit", "odd.number", "--data", data]).expect(0);
    }
    let printed = std::io::read_to_string(subscriber.stdout()).unwrap();
    let (status, said) = subscriber.wait();
    assert!(status.success(), "{said}");
    assert!(printed.contains("1e999") && printed.contains("ud800") && printed.contains("amount: 5"), "{printed}");
}

#[test]
fn what_cannot_be_subscribed_to_is_said_at_once() {
    let server = Server::dev();
    server.run(&["subscribe", "a..b"]).expect(2).says("(invalid_pattern)");
    for cursor in ["nonsense", "", " ", "a\nb", "«a»"] {
        server.run(&["subscribe", "a", "--after", cursor]).expect(2).says("(invalid_cursor)");
    }
    server.run(&["subscribe", "a", "--env", "other"]).expect(4).says("(environment_not_found)");
}
