//! What the operating system shows of a process.

#![cfg(target_os = "linux")]

use std::{fs, net::TcpListener, process::Stdio};

use crate::support::{Directory, Process, Server, claviger};

const CANARY: &str = "canary-of-the-arguments-7d2e";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_value_among_the_arguments_is_overwritten() {
    // Nobody answers here, so the command waits.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = claviger(&["secret", "set", "STRIPE_KEY", CANARY, "--description", "kept"]);
    command.env("CLAVIGER_URL", format!("http://{}", silent.local_addr().unwrap())).stdout(Stdio::null());
    let (process, _) = Process::start(command, "warning: a value among the arguments");
    let (_connection, _) = silent.accept().unwrap();
    let arguments = fs::read(format!("/proc/{}/cmdline", process.id())).unwrap();
    let arguments = String::from_utf8(arguments).unwrap();
    assert!(!arguments.contains("canary"), "{arguments:?}");
    assert!(arguments.contains("STRIPE_KEY") && arguments.contains("kept"), "{arguments:?}");
}

#[test]
fn the_master_key_does_not_stay_in_the_environment() {
    let directory = Directory::new();
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", KEY);
    let server = Server::start(directory, command);
    // Without the right to look into it, others see even less.
    if let Ok(environment) = fs::read(format!("/proc/{}/environ", server.process.id())) {
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains(KEY), "{environment}");
        assert!(environment.contains("NO_COLOR"), "{environment}");
    }
}

#[test]
fn a_login_among_the_arguments_is_overwritten() {
    for form in ["--nats=", "--nats "] {
        // Nobody speaks here, so the server waits.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://ada:{CANARY}@{}", silent.local_addr().unwrap());
        let arguments: Vec<String> = format!("start {form}{url} --log warn").split(' ').map(str::to_owned).collect();
        let directory = Directory::new();
        let mut command = claviger(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("CLAVIGER_MASTER_KEY", KEY).current_dir(directory.path());
        let (process, _) = Process::start(command, "warning: a login among the arguments");
        let (_connection, _) = silent.accept().unwrap();
        let arguments = fs::read(format!("/proc/{}/cmdline", process.id())).unwrap();
        let arguments = String::from_utf8(arguments).unwrap();
        assert!(!arguments.contains("canary"), "{arguments:?}");
        assert!(arguments.contains("start") && arguments.contains("warn"), "{arguments:?}");
    }
}
