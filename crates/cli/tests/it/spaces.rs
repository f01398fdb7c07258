//! Spaces, their secrets, blocks, explanations.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{
    guide::Guide,
    support::{Directory, Outcome, Process, Server, claviger, run, run_with_input},
};

fn set(server: &Server, arguments: &[&str], value: &str) -> Outcome {
    let command = server.command(&[&["secret", "set"], arguments].concat());
    run_with_input(command, value.as_bytes()).never_shows(value)
}

/// The lines of a table as words.
fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_space_is_created_listed_shown_changed_and_deleted() {
    let server = Server::dev();
    server.run(&["space", "list"]).expect(0).says("no spaces in environment `default`").says("claviger space create");
    assert_eq!(server.run(&["space", "list", "-o", "json"]).expect(0).stdout, "[]\n");
    let metadata = "{\"plan\": \"gold\", \"big\": 123456789012345678901234567890}";
    server.run(&["space", "create", "acme", "--metadata", metadata]).expect(0);
    server.run(&["space", "create", "acme"]).expect(5).says("(space_exists)");
    let listed = server.run(&["space", "list"]).expect(0).stdout;
    assert_eq!(words(&listed)[0], ["SPACE", "METADATA", "CREATED", "UPDATED"]);
    assert!(listed.contains("{\"plan\":\"gold\",\"big\":123456789012345678901234567890}"), "{listed}");
    let file = server.data().join("acme.json");
    std::fs::write(&file, "{\"plan\": \"silver\"}").unwrap();
    server.run(&["space", "update", "acme", "--metadata", &format!("@{}", file.display())]).expect(0);
    std::fs::remove_file(file).unwrap();
    let space = server.run(&["space", "get", "acme", "-o", "json"]).expect(0).json();
    assert_eq!((&space["metadata"]["plan"], &space["environment"]), (&"silver".into(), &"default".into()));
    let yaml = server.run(&["space", "get", "acme", "-o", "yaml"]).expect(0).stdout;
    assert!(yaml.contains("plan: silver"), "{yaml}");

    set(&server, &["KEY", "--space", "acme"], "a canary of acme").expect(0);
    let (revision, other) = (space["revision"].to_string(), (space["revision"].as_u64().unwrap() + 1).to_string());
    let update = ["space", "update", "acme", "--metadata", "{}", "--cas"];
    for command in [&[&update[..], &[&other]].concat()[..], &["space", "delete", "acme", "--cas", &other]] {
        server.run(command).expect(5).says("(revision_conflict)").says("`claviger space get NAME`");
    }
    let updated = server.run(&[&update[..], &[&revision, "-o", "json"]].concat()).expect(0).json();
    let revision = updated["revision"].to_string();
    let deleted = server.run(&["space", "delete", "acme", "--cas", &revision]).expect(0).stdout;
    assert!(deleted.contains("1 deleted"), "{deleted}");
    server.run(&["space", "get", "acme"]).expect(4).says("(space_not_found)");
}

#[test]
fn a_long_metadata_is_shortened_in_a_list_only() {
    let server = Server::dev();
    let metadata = format!("{{\"a\":\"{}\"}}", "é".repeat(200));
    server.run(&["space", "create", "acme", "--metadata", &metadata]).expect(0);
    let listed = server.run(&["space", "list"]).expect(0).stdout;
    assert!(listed.contains("éé…") && !listed.contains(&metadata), "{listed}");
    assert!(server.run(&["space", "get", "acme"]).expect(0).stdout.contains(&metadata));
}

#[test]
fn what_is_wrong_with_a_space_is_said_with_what_to_do() {
    let server = Server::dev();
    let unknown: [&[&str]; 8] = [
        &["secret", "list", "--space", "acme"],
        &["secret", "get", "KEY", "-s", "acme"],
        &["secret", "delete", "KEY", "-s", "acme"],
        &["secret", "block", "KEY", "-s", "acme"],
        &["secret", "unblock", "KEY", "-s", "acme"],
        &["secret", "explain", "KEY", "-s", "acme"],
        &["event", "emit", "a", "-s", "acme"],
        &["space", "update", "acme", "--metadata", "{}"],
    ];
    for arguments in unknown {
        server.run(arguments).expect(4).says("(space_not_found)").says("claviger space create");
    }
    set(&server, &["KEY", "-s", "acme"], "a canary").expect(4).says("(space_not_found)").says("claviger space create");
    for name in ["", " a", ".", "..", "a\nb"] {
        server.run(&["space", "create", name]).expect(2).says("(invalid_name)");
        server.run(&["secret", "list", "--space", name]).expect(2).says("(invalid_name)");
    }
    for (metadata, code) in [("{", "invalid_json"), ("[]", "invalid_request"), ("7", "invalid_request")] {
        server.run(&["space", "create", "acme", "--metadata", metadata]).expect(2).says(&format!("({code})"));
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(8 * 1024));
    server.run(&["space", "create", "acme", "--metadata", &large]).expect(2).says("(body_too_large)");
    server.run(&["secret", "block", "KEY"]).expect(2).says("--space");
    server.run(&["space", "create", "acme"]).expect(0);
    let typed = server.run(&["secret", "set", "KEY", "a canary of acme", "-s", "acme"]).expect(0);
    typed.says("secret set KEY --space \"acme\", or leave").never_shows("canary");
    server.run(&["space", "list", "--env", "nowhere"]).expect(4).says("(environment_not_found)");
}

#[test]
fn a_list_shows_where_each_secret_comes_from() {
    let server = Server::dev();
    server.run(&["space", "create", "acme"]).expect(0);
    server.run(&["secret", "list", "--space", "acme"]).expect(0).says("no secrets in space `acme` of environment");
    for name in ["BLOCKED", "INHERITED", "OVERRIDDEN"] {
        server.set(name, "a canary of the environment");
    }
    set(&server, &["OVERRIDDEN", "--space", "acme"], "a canary of acme").expect(0);
    set(&server, &["OWN", "--space", "acme", "-d", "only here"], "a canary of acme").expect(0);
    let blocked = server.run(&["secret", "block", "BLOCKED", "--space", "acme"]).expect(0).stdout;
    assert_eq!(words(&blocked)[0], ["blocked", "BLOCKED"]);
    let got = server.run(&["secret", "get", "BLOCKED", "--space", "acme"]).expect(0).stdout;
    assert!(got.contains("blocked: the space must not see it") && got.contains("none is served"), "{got}");
    let listed = server.run(&["secret", "list", "-s", "acme"]).expect(0).never_shows("canary").stdout;
    let lines = words(&listed);
    assert_eq!(lines[0], ["NAME", "ORIGIN", "VERSION", "REVISION", "DESCRIPTION", "CREATED", "UPDATED"]);
    let origins: Vec<&[&str]> = lines[1..].iter().map(|line| &line[..3]).collect();
    let expected: [&[&str]; 4] = [
        &["BLOCKED", "blocked", "-"],
        &["INHERITED", "inherited", "1"],
        &["OVERRIDDEN", "overridden", "1"],
        &["OWN", "own", "1"],
    ];
    assert_eq!(origins, expected);
    let json = server.run(&["secret", "list", "-s", "acme", "-o", "json"]).expect(0).never_shows("canary").json();
    assert_eq!((&json[0]["origin"], json[0].get("version")), (&"blocked".into(), None));
    let head = server.run(&["secret", "list"]).expect(0).stdout;
    assert!(!head.contains("ORIGIN") && !head.contains("OWN"), "{head}");
    for (name, meaning) in [("INHERITED", "inherited from the environment"), ("OWN", "own: the environment has none")] {
        let got = server.run(&["secret", "get", name, "-s", "acme"]).expect(0).stdout;
        assert!(got.contains(meaning), "{got}");
    }
}

#[test]
fn an_explanation_tells_who_was_asked_who_won_and_since_when() {
    let server = Server::dev();
    server.run(&["space", "create", "acme"]).expect(0);
    let explain = |arguments: &[&str]| {
        server.run(&[&["secret", "explain", "KEY"], arguments].concat()).expect(0).never_shows("canary").stdout
    };
    let nothing = explain(&["-s", "acme"]);
    assert!(nothing.contains("nothing: it is not set") && words(&nothing).len() == 7, "{nothing}");
    server.set("KEY", "a canary of the environment");
    let inherited = explain(&["-s", "acme"]);
    assert!(inherited.contains("version 1 of environment default"), "{inherited}");
    let trail: Vec<Vec<&str>> = words(&inherited).split_off(4);
    assert_eq!(trail[0], ["TRIED", "SCOPE", "SAYS", "SO", "REVISION", "SINCE", "BY"]);
    assert_eq!(trail[1], "1 space acme not set look further".split(' ').collect::<Vec<_>>());
    assert_eq!(trail[2][..6], ["2", "environment", "default", "version", "1", "served"]);
    server.run(&["secret", "block", "KEY", "-s", "acme"]).expect(0);
    let blocked = explain(&["-s", "acme"]);
    assert!(blocked.contains("nothing: it is blocked") && blocked.contains("nothing served"), "{blocked}");
    set(&server, &["KEY", "-s", "acme"], "a canary of acme").expect(0);
    assert!(explain(&["-s", "acme"]).contains("version 1 of space acme of environment default"));
    assert!(explain(&[]).contains("looked up in   environment default"));
    let json = server.run(&["secret", "explain", "KEY", "-s", "acme", "-o", "json"]).expect(0).json();
    assert_eq!((&json["found"]["space"], &json["trail"][0]["verdict"]), (&"acme".into(), &"value".into()));
    assert!(server.run(&["secret", "explain", "KEY", "-o", "yaml"]).expect(0).stdout.contains("trail:"));
}

#[test]
fn an_override_that_is_deleted_and_a_block_that_is_lifted_show_what_is_inherited() {
    let server = Server::dev();
    server.run(&["space", "create", "acme"]).expect(0);
    server.set("KEY", "a canary of the environment");
    let origin =
        || server.run(&["secret", "get", "KEY", "-s", "acme", "-o", "json"]).expect(0).json()["origin"].clone();
    let refused = server.run(&["secret", "delete", "KEY", "-s", "acme"]).expect(4);
    refused.says("(secret_not_found)").says("unblock").says("--space \"acme\"");
    let overridden = set(&server, &["KEY", "-s", "acme", "-o", "json"], "a canary of acme").expect(0).json();
    server.run(&["secret", "delete", "KEY", "-s", "acme", "--cas", "99"]).expect(5).says("(revision_conflict)");
    let revision = overridden["revision"].to_string();
    let deleted = server.run(&["secret", "delete", "KEY", "-s", "acme", "--cas", &revision]).expect(0).stdout;
    assert!(deleted.contains("acme"), "{deleted}");
    assert_eq!(origin(), "inherited");
    server.run(&["secret", "unblock", "KEY", "-s", "acme"]).expect(2).says("not blocked").says("secret explain");
    server.run(&["secret", "block", "KEY", "-s", "acme", "--cas", "0"]).expect(0);
    assert_eq!(origin(), "blocked");
    let unblocked = server.run(&["secret", "unblock", "KEY", "-s", "acme"]).expect(0).stdout;
    assert_eq!(words(&unblocked)[0], ["unblocked", "KEY"]);
    assert_eq!(origin(), "inherited");
}

#[test]
fn odd_names_arrive_as_they_are() {
    let server = Server::dev();
    let names = ["a b", "a:b/c", "%2e%2F", "é€", "-dash", "a?b#c", "*", "\"quoted\""];
    for space in names {
        server.run(&["space", "create", "--", space]).expect(0);
        for name in names {
            let command = server.command(&["secret", "set", "-o", "json", "--space", space, "--", name]);
            // `-dash` begins like a flag: it needs the form with `=`.
            let command = match space.starts_with('-') {
                true => server.command(&["secret", "set", "-o", "json", &format!("--space={space}"), "--", name]),
                false => command,
            };
            let secret = run_with_input(command, b"a canary value").expect(0).never_shows("canary").json();
            assert_eq!((&secret["space"], &secret["name"]), (&space.into(), &name.into()));
        }
        let listed = server.run(&["secret", "list", "-o", "json", &format!("--space={space}")]).expect(0).json();
        assert_eq!(listed.as_array().unwrap().len(), names.len());
    }
    assert_eq!(server.run(&["secret", "list", "-o", "json"]).expect(0).stdout, "[]\n");
    assert_eq!(server.run(&["space", "list", "-o", "json"]).expect(0).json().as_array().unwrap().len(), names.len());
}

#[test]
fn events_of_a_space_are_emitted_and_followed() {
    let server = Server::dev();
    server.run(&["space", "create", "acme"]).expect(0);
    let mut command = server.command(&["subscribe", ">", "--space", "acme", "--count", "2"]);
    command.stdout(Stdio::piped());
    let (mut subscriber, _) = Process::start(command, "subscribed in environment `default`");
    server.run(&["event", "emit", "order.created"]).expect(0);
    let emitted = server.run(&["event", "emit", "order.created", "-s", "acme", "-o", "json"]).expect(0).json();
    assert_eq!(emitted["space"], "acme");
    server.set("KEY", "a canary of the environment");
    set(&server, &["KEY", "-s", "acme"], "a canary of acme").expect(0);
    let lines: Vec<String> = BufReader::new(subscriber.stdout()).lines().map(Result::unwrap).collect();
    assert!(lines[0].contains("  order.created  in acme  null"), "{lines:?}");
    assert!(lines[1].contains("  system.secret.KEY.created  in acme  {"), "{lines:?}");
    let (status, said) = subscriber.wait();
    assert!(status.success(), "{said}");
    server.run(&["subscribe", "a", "--space", ""]).expect(2).says("(invalid_name)");
}

#[test]
fn a_key_is_narrowed_to_spaces() {
    let server = Server::dev();
    for space in ["acme", "other"] {
        server.run(&["space", "create", space]).expect(0);
    }
    let arguments =
        ["apikey", "create", "--role", "runtime", "--secret", "*", "--space", "acme", "--space", "third", "-o", "json"];
    let created = server.run(&arguments).expect(0).json();
    assert_eq!(created["spaces"], serde_json::json!(["acme", "third"]));
    assert!(server.run(&["apikey", "list"]).expect(0).stdout.contains("spaces acme, third"));
    let with_key = |arguments: &[&str]| {
        let mut command = server.command(arguments);
        command.env("CLAVIGER_API_KEY", created["key"].as_str().unwrap());
        run(command)
    };
    let listed = with_key(&["space", "list", "-o", "json"]).expect(0).json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["name"]), (1, &"acme".into()));
    with_key(&["space", "get", "other"]).expect(4).says("(space_not_found)");
    with_key(&["event", "emit", "a", "--space", "acme"]).expect(0);
    with_key(&["event", "emit", "a", "--space", "other"]).expect(4).says("(space_not_found)");
    with_key(&["event", "emit", "a"]).expect(3).says("(denied)");
    with_key(&["secret", "list", "--space", "acme"]).expect(3).says("(denied)");
    server.run(&["apikey", "create", "--role", "viewer", "--space", "acme"]).expect(2).says("(invalid_request)");
}

#[test]
fn the_guide_of_spaces_can_be_followed_as_it_stands() {
    let server = Server::dev();
    let (home, guide) = (Directory::new(), Guide::read("docs/guides/spaces.md"));
    std::fs::write(home.path().join("guide.sh"), guide.script()).unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_claviger"));
    let mut path = vec![binary.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    // What the command line would say in this environment, said by a shell.
    let mut command = std::process::Command::new("bash");
    for (name, value) in server.command(&[]).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg("guide.sh").current_dir(home.path()).env("PATH", std::env::join_paths(path).unwrap());
    let ended = run(command);
    let said = std::fs::read_to_string(home.path().join("said")).unwrap_or_default();
    assert_eq!(ended.status, Some(0), "{said}");
    // The guide shows a key's id, and this server has another one.
    let key = std::fs::read_to_string(server.data().join("admin.key")).unwrap();
    let id = key.split('_').nth(2).unwrap();
    for file in std::fs::read_dir(home.path()).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(path.ends_with("guide.sh") || !text.contains("-of-"), "a value in {}: {text}", path.display());
        std::fs::write(path, text.replace(id, "shqyxxbs")).unwrap();
    }
    guide.compare(home.path());
}

#[test]
fn a_space_needs_a_server_like_everything_else() {
    let mut command = claviger(&["space", "list"]);
    command.env("CLAVIGER_URL", "http://127.0.0.1:1");
    run(command).expect(8).says("(server_unreachable)");
}
