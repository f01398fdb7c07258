//! Where the master key comes from, and what happens without the right one.

use rustix::process::Signal;

use crate::support::{Directory, Outcome, Server, claviger, run};

pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const OTHER: &str = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub(crate) fn start_with(directory: &Directory, key: &str) -> Outcome {
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", key);
    run(command)
}

pub(crate) fn server_with(directory: Directory, key: &str) -> Server {
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", key);
    Server::start(directory, command)
}

#[test]
fn a_key_that_is_none_is_described_and_never_repeated() {
    let directory = Directory::new();
    start_with(&directory, &KEY[..63]).expect(2).says("(invalid_master_key)").says("63 bytes").never_shows(&KEY[..20]);
    let mistyped = KEY.replacen('a', "g", 1);
    let outcome = start_with(&directory, &mistyped).expect(2);
    outcome.says("(invalid_master_key)").says("position 21").never_shows(&KEY[..20]);
    start_with(&directory, "").expect(2).says("(invalid_master_key)");
    assert!(!directory.data().exists(), "nothing was made");
}

#[test]
fn a_wrong_key_is_refused_with_both_fingerprints_and_changes_nothing() {
    let (directory, status, _) = server_with(Directory::new(), KEY).stop(Signal::TERM);
    assert!(status.success());
    let wrong = start_with(&directory, OTHER).expect(6).says("(wrong_master_key)").says("expected ").says("given ");
    wrong.never_shows(OTHER);
    directory.run(&["start", "--listen", "127.0.0.1:0"]).expect(6).says("(no_master_key)");
    assert!(!directory.data().join("dev-master.key").exists());
    server_with(directory, KEY);
}

#[test]
fn two_sources_are_a_conflict_that_names_both() {
    let directory = Directory::new();
    let file = directory.file("master.key", KEY, 0o600);
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", KEY).env("CLAVIGER_MASTER_KEY_FILE", &file);
    run(command).expect(2).says("(master_key_conflict)").says("by CLAVIGER_MASTER_KEY and by CLAVIGER_MASTER_KEY_FILE");
    let mut command = directory.command("start");
    command.env("CREDENTIALS_DIRECTORY", directory.path()).args(["--master-key-file", &file]);
    directory.file("claviger.master_key", KEY, 0o600);
    let outcome = run(command).expect(2).says("(master_key_conflict)");
    outcome.says("the credential claviger.master_key and by [vault] master_key_file (--master-key-file)");
}

#[test]
fn each_source_alone_opens_the_store() {
    let (directory, _, _) = server_with(Directory::new(), KEY).stop(Signal::TERM);
    let file = directory.file("master.key", format!("{KEY}\n"), 0o640);
    let link = directory.path().join("link.key");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY_FILE", &link);
    let (directory, _, _) = Server::start(directory, command).stop(Signal::TERM);

    let mut command = directory.command("start");
    command.args(["--master-key-file", &file]);
    let (directory, _, _) = Server::start(directory, command).stop(Signal::TERM);

    directory.file("claviger.master_key", KEY, 0o400);
    let mut command = directory.command("start");
    command.env("CREDENTIALS_DIRECTORY", directory.path());
    Server::start(directory, command);
}

#[test]
fn a_key_file_that_others_can_read_or_the_group_can_write_is_refused() {
    let directory = Directory::new();
    for mode in [0o644, 0o660] {
        let file = directory.file("master.key", KEY, mode);
        let mut command = directory.command("start");
        command.args(["--master-key-file", &file]);
        run(command).expect(1).says("(data_directory_mode)").says("chmod 600").never_shows(KEY);
    }
}

#[test]
fn a_development_key_serves_this_machine_only() {
    let directory = Directory::new();
    let exposed = directory.run(&["dev", "--listen", "0.0.0.0:0"]).expect(2);
    exposed.says("(dev_key_exposed)").says("--allow-dev-key");
    assert!(!directory.data().exists(), "nothing was made");
    let mut command = claviger(&["dev", "--listen", "0.0.0.0:0", "--allow-dev-key", "--data"]);
    command.arg(directory.data());
    let server = Server::start(directory, command);
    assert!(server.process.said().contains("whoever has the directory has the secrets"));
}

#[test]
fn whoever_sets_a_secret_is_told_of_a_development_key() {
    let set = |server: &Server, key: Option<&str>| {
        let mut command = server.command(&["secret", "set", "KEY"]);
        command.envs(key.map(|key| ("CLAVIGER_API_KEY", key)));
        crate::support::run_with_input(command, b"a canary").expect(0)
    };
    set(&Server::dev(), None).says("warning: the server has a development key only");
    let directory = Directory::new();
    let mut command = claviger(&["apikey", "bootstrap", "--data"]);
    command.arg(directory.data()).env("CLAVIGER_MASTER_KEY", KEY);
    let admin = run(command).expect(0).stdout;
    set(&server_with(directory, KEY), Some(admin.trim())).never_shows("development");
}
