//! Configuration: sources, origins, problems.

use serde_json::json;

use crate::support::{Directory, Server, claviger, run};

#[test]
fn later_sources_win_and_each_setting_tells_its_origin() {
    let directory = Directory::new();
    let text = "[server]\nlisten = \"127.0.0.1:1\"\ncors_origins = [\"https://app.example\"]\n\n[vault]\nmaster_key_file = \"master.key\"\n";
    let file = directory.file("config.toml", text, 0o644);
    let mut command = claviger(&["config-file", "show", "-o", "json", "--config", &file, "--data", "/from/flag"]);
    command.env("CLAVIGER_SERVER__LISTEN", "127.0.0.1:2").env("CLAVIGER_SERVER__DATA", "/from/variable");
    command.env("CLAVIGER_MASTER_KEY", crate::master_key::KEY);
    let shown = run(command).expect(0).never_shows(crate::master_key::KEY).json();
    let expected = json!({
        "server.listen": { "value": "127.0.0.1:2", "origin": "CLAVIGER_SERVER__LISTEN" },
        "server.data": { "value": "/from/flag", "origin": "--data" },
        "server.cors_origins": { "value": ["https://app.example"], "origin": format!("{file}:3") },
        "vault.master_key": { "value": "(not shown)", "origin": "CLAVIGER_MASTER_KEY" },
        "sqlite.path": { "value": "/from/flag/claviger.db", "origin": "default" },
        "vault.master_key_file": {
            "value": directory.path().join("master.key").to_str().unwrap(),
            "origin": format!("{file}:6"),
        },
    });
    assert_eq!(shown, expected);
}

#[test]
fn every_problem_is_reported_at_once_with_its_origin() {
    let directory = Directory::new();
    let text = "[server]\nlisten = 8080\nlistn = \"x\"\n\n[servr]\na = 1\n";
    let file = directory.file("config.toml", text, 0o644);
    for start in [&["config-file", "show"][..], &["start"], &["dev"], &["apikey", "bootstrap"]] {
        let mut command = claviger(
            &[start, &["--config", &file, "--cors-origin", "*", "--cors-origin", "null", "--listen", "nowhere"]]
                .concat(),
        );
        command.env("CLAVIGER_SERVER__PORT", "1").env("CLAVIGER_SQLITE__PATH", "").current_dir(directory.path());
        let outcome = run(command).expect(2).says("(config_invalid)").says("7 problems");
        for problem in [
            &format!("{file}:2: `server.listen`: is a number, not a text"),
            &format!("{file}:3: unknown key `server.listn`"),
            &format!("{file}:5: unknown key `servr`"),
            "CLAVIGER_SERVER__PORT: no key has this variable",
            "CLAVIGER_SQLITE__PATH: `sqlite.path`: is empty",
            "--listen: `server.listen`: is not an address and a port",
            "--cors-origin: `server.cors_origins`: `*`, `null` are not exact origins",
        ] {
            assert!(outcome.stderr.contains(problem), "`{problem}` is not in {}", outcome.stderr);
        }
        assert!(!directory.path().join(".claviger").exists(), "nothing was made");
    }
}

#[test]
fn what_is_wrong_elsewhere_is_reported_with_it_and_a_file_in_the_order_of_its_lines() {
    let directory = Directory::new();
    let file = directory.file("config.toml", "[vault]\nx = 1\n[server]\nz = 1\ndata = 2\na = 1\n", 0o644);
    let mut command = claviger(&["start", "--config", &file, "--log", "a=b=c"]);
    command.env("CLAVIGER_MASTER_KEY", "canary");
    let outcome = run(command).expect(2).says("(config_invalid)").says("6 problems").never_shows("canary");
    let lines: Vec<&str> = outcome.stderr.lines().filter(|line| line.starts_with("  ")).collect();
    for (line, number) in lines.iter().zip([2, 4, 5, 6]) {
        assert!(line.contains(&format!("{file}:{number}: ")), "{}", outcome.stderr);
    }
    assert!(lines[4].contains("--log or CLAVIGER_LOG: ") && lines[5].contains("CLAVIGER_MASTER_KEY"), "{lines:?}");
    let alone = run(claviger(&["dev", "--log", "a=b=c"]));
    alone.expect(2).says("(config_invalid)").says("a problem");
}

#[test]
fn a_file_that_cannot_be_read_or_understood_is_a_problem() {
    let directory = Directory::new();
    let missing = directory.path().join("none.toml");
    let outcome = run(claviger(&["config-file", "show", "--config", missing.to_str().unwrap()]));
    outcome.expect(2).says("--config: ").says("no such file or directory");
    let file = directory.file("config.toml", "[server]\nlisten = \"127.0.0.1:0\nx", 0o644);
    run(claviger(&["config-file", "show", "--config", &file])).expect(2).says(&format!("{file}:2: "));
}

#[test]
fn a_server_runs_as_its_file_says() {
    let directory = Directory::new();
    let text = "[server]\nlisten = \"127.0.0.1:0\"\ndata = \"data\"\n[sqlite]\npath = \"elsewhere.db\"\n";
    let file = directory.file("config.toml", text, 0o644);
    let command = claviger(&["dev", "--config", &file]);
    let server = Server::start(directory, command);
    server.set("KEY", "a canary");
    assert!(server.data().parent().unwrap().join("elsewhere.db").exists());
    assert!(!server.data().join("claviger.db").exists());
}
