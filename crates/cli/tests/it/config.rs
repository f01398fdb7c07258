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

#[test]
fn logins_in_addresses_are_never_shown() {
    let directory = Directory::new();
    let text = "[nats]\nservers = [\"nats://ada:canary@a:4222\", \"b:4222\"]\nmonitor = [\"http://canary@a:8222\"]\nreplicas = 3\nrequire = \"durable\"\nseal_names = true\nname = \"team-1\"\nca_file = \"ca.pem\"\n";
    let file = directory.file("config.toml", text, 0o600);
    let shown =
        run(claviger(&["config-file", "show", "-o", "json", "--config", &file])).expect(0).never_shows("canary");
    let shown = shown.json();
    for (key, line, value) in [
        ("servers", 2, json!(["nats://***@a:4222", "nats://***@b:4222"])),
        ("monitor", 3, json!(["http://***@a:8222"])),
        ("replicas", 4, json!("3")),
        ("require", 5, json!("durable")),
        ("seal_names", 6, json!("true")),
        ("name", 7, json!("team-1")),
        ("ca_file", 8, json!(directory.path().join("ca.pem").to_str().unwrap())),
    ] {
        let expected = json!({ "value": value, "origin": format!("{file}:{line}") });
        assert_eq!(shown[format!("nats.{key}")], expected, "{shown}");
    }
    assert_eq!(shown.get("sqlite.path"), None, "{shown}");
    let mut command = claviger(&["config-file", "show", "--nats", "nats://ada:canary@a,b"]);
    command.env("CLAVIGER_NATS__SERVERS", "c");
    let outcome = run(command).expect(0).never_shows("canary");
    assert!(outcome.stdout.contains("nats://***@a, nats://***@b   --nats"), "{}", outcome.stdout);
}

#[test]
fn what_does_not_fit_together_on_nats_is_reported_at_once() {
    let directory = Directory::new();
    let text = "[nats]\nservers = [\"nats://ada:canary@a\", \"canary b\"]\nreplicas = 9\nrequire = \"fast\"\nseal_names = 1\nname = \"a.b\"\n";
    let file = directory.file("wrong.toml", text, 0o600);
    let outcome = run(claviger(&["start", "--config", &file])).expect(2).says("5 problems").never_shows("canary");
    for problem in [
        "2: `nats.servers`: member 2 is not an address such as `nats://127.0.0.1:4222`",
        "3: `nats.replicas`: is not a number from 1 to 5",
        "4: `nats.require`: is not `durable`",
        "5: `nats.seal_names`: is a number, not true or false",
        "6: `nats.name`: is not made of 1 to 32 letters, digits and `-`",
    ] {
        assert!(outcome.stderr.contains(&format!("{file}:{problem}")), "`{problem}` is not in {}", outcome.stderr);
    }
    let text = "[nats]\nservers = [\"tls://ada:canary@a\"]\ncredentials_file = \"a.creds\"\ncert_file = \"a.pem\"\n[sqlite]\npath = \"a.db\"\n";
    let file = directory.file("together.toml", text, 0o644);
    let outcome = run(claviger(&["start", "--config", &file])).expect(2).says("4 problems").never_shows("canary");
    for problem in [
        "2: `nats.servers`: has a login, and others can read this file",
        "3: `nats.credentials_file`: `nats.servers` has a login already",
        "4: `nats.cert_file`: needs `nats.key_file`",
        "6: `sqlite.path`: has no meaning with `nats.servers`",
    ] {
        assert!(outcome.stderr.contains(&format!("{file}:{problem}")), "`{problem}` is not in {}", outcome.stderr);
    }
    let alone = run(claviger(&["start", "--nats-creds", "a.creds"])).expect(2);
    alone.says("--nats-creds: `nats.credentials_file`: has no meaning without `nats.servers`");
}

#[test]
fn development_is_not_on_nats() {
    let directory = Directory::new();
    let file = directory.file("config.toml", "[nats]\nservers = [\"nats://127.0.0.1:9\"]\n", 0o644);
    let what = "`nats.servers`: `claviger dev` keeps everything in its data directory";
    for (arguments, origin) in
        [(&["dev", "--nats", "nats://127.0.0.1:9"][..], "--nats"), (&["dev", "--config", &file], &*format!("{file}:2"))]
    {
        let mut command = claviger(arguments);
        command.current_dir(directory.path());
        run(command).expect(2).says("(config_invalid)").says(&format!("{origin}: {what}"));
    }
    assert!(!directory.path().join(".claviger").exists(), "nothing was made");
}
