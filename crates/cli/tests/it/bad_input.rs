//! Directories and inputs that are not as they should be: a clear error, nothing lost, no value repeated.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;

use crate::support::{Directory, Process, Server, claviger, run, run_with_input};

fn chmod(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_server_on_the_same_directory_does_not_start() {
    let server = Server::dev();
    server.set("KEY", "a canary");
    for mode in
        [&["start", "--listen", "127.0.0.1:0"][..], &["dev", "--listen", "127.0.0.1:0"], &["apikey", "bootstrap"]]
    {
        let mut command = claviger(mode);
        command.arg("--data").arg(server.data());
        run(command).expect(5).says("(store_in_use)").says("hint: ");
    }
    server.run(&["secret", "get", "KEY"]).expect(0);
}

#[test]
fn a_directory_or_file_that_others_can_use_is_refused_with_the_command_that_mends_it() {
    let (directory, _, _) = Server::dev().stop(Signal::TERM);
    let data = directory.data();
    chmod(&data, 0o755);
    let refused = directory.run(&["start", "--listen", "127.0.0.1:0"]).expect(1);
    refused.says("(data_directory_mode)").says(&format!("chmod 700 {}", data.display()));
    chmod(&data, 0o700);
    for name in ["claviger.db", "admin.key", "dev-master.key"] {
        chmod(&data.join(name), 0o640);
        let refused = directory.run(&["dev", "--listen", "127.0.0.1:0"]).expect(1);
        refused.says("(data_directory_mode)").says(&format!("chmod 600 {}", data.join(name).display()));
        chmod(&data.join(name), 0o600);
    }
    let command = directory.command("dev");
    Server::start(directory, command);
}

#[test]
fn the_directory_is_private_whatever_the_umask() {
    let directory = Directory::new();
    let binary = env!("CARGO_BIN_EXE_claviger");
    for (umask, name) in [("000", "open"), ("277", "closed")] {
        let data = directory.path().join(name);
        let mut command = std::process::Command::new("sh");
        let script = format!("umask {umask}; exec \"$0\" dev --listen 127.0.0.1:0 --data \"$1\"");
        command.arg("-c").arg(script).arg(binary).arg(&data).stdout(std::process::Stdio::null());
        let (_process, _) = Process::start(command, "claviger ready ");
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&data).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_said_so() {
    let directory = Directory::new();
    let file = directory.file("file", "", 0o600);
    let below = format!("{file}/data");
    for path in [below.as_str(), "/proc/claviger", file.as_str()] {
        let refused = run(claviger(&["dev", "--listen", "127.0.0.1:0", "--data", path]));
        refused.expect(1).says("(data_directory_read_only)").says("--data DIR");
    }
}

#[test]
fn a_store_that_is_no_store_is_damaged_and_left_alone() {
    let directory = Directory::new();
    fs::create_dir(directory.data()).unwrap();
    chmod(&directory.data(), 0o700);
    let content = vec![7_u8; 8_192];
    directory.file("data/claviger.db", &content, 0o600);
    directory.run(&["dev", "--listen", "127.0.0.1:0"]).expect(1).says("(store_corrupt)");
    assert_eq!(fs::read(directory.data().join("claviger.db")).unwrap(), content);
}

#[test]
fn an_address_that_is_taken_is_said_so_and_the_store_is_let_go() {
    let server = Server::dev();
    let address = server.api.strip_prefix("http://").unwrap();
    let directory = Directory::new();
    directory.run(&["dev", "--listen", address]).expect(1).says(address).says("address already in use");
    let command = directory.command("dev");
    Server::start(directory, command);
}

#[test]
fn values_and_names_outside_the_rules_are_refused_without_being_repeated() {
    let server = Server::dev();
    let set = |name: &str, value: &[u8]| run_with_input(server.command(&["secret", "set", name]), value);
    let limit = vec![b'x'; 65_536];
    set("LIMIT", &limit).expect(0);
    set("LIMIT", &[&limit[..], b"y"].concat()).expect(2).says("(value_too_large)").never_shows("xxxxxx");
    let huge = set("HUGE", &vec![b'x'; 3_000_000]).expect(2).never_shows("xxxxxx");
    huge.says("the value is over the limit of 65536 bytes (value_too_large)");
    set("MASK", "a canary «KEY@3»".as_bytes()).expect(2).says("(value_is_mask)").never_shows("canary");
    for name in ["", ".", "..", " KEY", "KEY ", "a\u{7}b", "e\u{301}", "a\u{202e}b", &"n".repeat(1_025)] {
        set(name, b"a value with a canary").expect(2).says("(invalid_name)").never_shows("canary");
    }
    for name in ["a/b", "%2e%2e", "a b", "*", ">", "ä", "system", "../x", "a?b#c", "a\\b"] {
        set(name, b"a value with a canary").expect(0);
        assert_eq!(server.run(&["secret", "get", name, "-o", "json"]).expect(0).json()["name"], name);
    }
    server.run(&["secret", "set", "KEY", "canary-1", "canary-2"]).expect(2).never_shows("canary");
    server.run(&["secret", "set", "KEY", "-canary"]).expect(2).never_shows("canary");
    server.run(&["secret", "set", "--cas", "canary", "KEY"]).expect(2).never_shows("canary");
    server.run(&["env", "create", "Not-A-Name"]).expect(2).says("(invalid_name)");
    let large = format!("\"{}\"", "x".repeat(262_144));
    let emit = server.command(&["event", "emit", "a", "--data", "-"]);
    run_with_input(emit, large.as_bytes()).expect(2).says("(event_too_large)");
}
