//! Forms of output, exit statuses, and what needs no server.

use std::process::Stdio;

use crate::support::{Directory, Server, claviger, run, run_with_input};

#[test]
fn data_goes_to_standard_output_in_three_forms_and_all_else_to_standard_error() {
    let server = Server::dev();
    server.run(&["secret", "list"]).expect(0).says("no secrets in environment `default`");
    server.run(&["run", "list"]).expect(0).says("no runs");
    server.run(&["function", "list"]).expect(0).says("no functions");
    for list in [["secret", "list"], ["run", "list"], ["function", "list"]] {
        let empty = server.run(&[list[0], list[1], "-o", "json"]).expect(0);
        assert_eq!((empty.stdout.as_str(), empty.stderr.as_str()), ("[]\n", ""));
    }
    server.set("STRIPE_KEY", "a value with a canary");
    let json = server.run(&["secret", "list", "-o", "json"]).expect(0).json();
    let members: Vec<&str> = json[0].as_object().unwrap().keys().map(String::as_str).collect();
    for member in ["name", "environment", "space", "version", "revision", "createdAt", "updatedAt", "updatedBy"] {
        assert!(members.contains(&member), "{member} is not in {members:?}");
    }
    let yaml = server.run(&["secret", "list", "-o", "yaml"]).expect(0);
    assert!(yaml.stdout.starts_with("- ") && yaml.stdout.contains("name: STRIPE_KEY"), "{yaml:?}");
    assert!(!server.run(&["secret", "list"]).stdout.contains('\u{1b}'));
}

#[test]
fn the_exit_status_says_what_kind_of_failure_it_was() {
    let server = Server::dev();
    server.set("STRIPE_KEY", "a value with a canary");
    server.run(&["secret", "get", "NONE"]).expect(4).says("error: ").says("(secret_not_found)").says("hint: ");
    server.run(&["secret", "list", "--env", "nowhere"]).expect(4).says("(environment_not_found)");
    server.run(&["env", "create", "default"]).expect(5).says("(environment_exists)");
    server.run(&["secret", "delete", "STRIPE_KEY", "--cas", "99"]).expect(5).says("(revision_conflict)");
    server.run(&["apikey", "revoke", "aaaaaaaa"]).expect(4).says("(api_key_not_found)");
    server.run(&["event", "emit", "system.secret.A.updated"]).expect(2).says("(reserved_event_name)");
    server.run(&["event", "emit", "a", "--data", "{"]).expect(2).says("(invalid_json)");
    server.run(&["run", "list", "--status", "lost"]).expect(2).says("(invalid_request)");
    server.run(&["run", "get", "run_0"]).expect(4);
    let mut command = server.command(&["secret", "list"]);
    command.env("CLAVIGER_API_KEY", std::fs::read_to_string(server.data().join("runtime.key")).unwrap());
    run(command).expect(3).says("(denied)").says("CLAVIGER_API_KEY holds this key");
    let mut command = server.command(&["secret", "list"]);
    command.env("CLAVIGER_API_KEY", "clv_default_mistyped");
    run(command).expect(3).says("(invalid_api_key)").never_shows("clv_default_mistyped");
    let mut command = claviger(&["secret", "list"]);
    command.env("CLAVIGER_URL", &server.api).env("CLAVIGER_SERVER__DATA", "/no/such/directory");
    run(command).expect(3).says("(unauthenticated)").says("CLAVIGER_API_KEY").never_shows("Bearer");
}

#[test]
fn usage_is_that_of_the_command_whatever_variables_say() {
    let mut command = claviger(&["subscribe"]);
    command.env("CLAVIGER_URL", "http://127.0.0.1:1").env("CLAVIGER_ENV", "prod");
    run(command).expect(2).says("Usage: claviger subscribe [OPTIONS] <PATTERN>...");
    run(claviger(&["apikey", "revoke"])).expect(2).says("Usage: claviger apikey revoke [OPTIONS] <ID>");
}

#[test]
fn a_server_that_is_not_there_has_a_status_of_its_own() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = claviger(&["secret", "list"]);
    command.env("CLAVIGER_URL", format!("http://127.0.0.1:{port}"));
    run(command).expect(8).says("(server_unreachable)").says("claviger dev");
    run(claviger(&["secret", "list", "--url", "ftp://a"])).expect(2).says("(invalid_request)");
}

#[test]
fn compare_and_set_sets_only_what_is_as_expected() {
    let server = Server::dev();
    let set = |value: &str, cas: &str| {
        run_with_input(server.command(&["secret", "set", "KEY", "--cas", cas, "-o", "json"]), value.as_bytes())
    };
    let first = set("first canary", "0").expect(0).json()["revision"].to_string();
    set("second canary", "0").expect(5).says("(revision_conflict)").says(&format!("is {first}")).never_shows("canary");
    set("second canary", &first).expect(0);
}

#[test]
fn environments_come_from_the_flag_then_the_variable_then_the_key() {
    let server = Server::dev();
    server.run(&["env", "create", "prod"]).expect(0);
    let created = server.run(&["apikey", "create", "--role", "operator", "--env", "prod"]).expect(0);
    let environment_of = |variable: Option<&str>, arguments: &[&str]| {
        let mut command = server.command(&[&["secret", "set", "KEY", "-o", "json"], arguments].concat());
        command.env("CLAVIGER_API_KEY", created.stdout.trim());
        command.envs(variable.map(|name| ("CLAVIGER_ENV", name)));
        run_with_input(command, b"a canary")
    };
    assert_eq!(environment_of(None, &[]).expect(0).json()["environment"], "prod");
    assert_eq!(environment_of(Some("default"), &["-e", "prod"]).expect(0).json()["environment"], "prod");
    environment_of(Some("default"), &[]).expect(4).says("(environment_not_found)");
    assert_eq!(server.set("KEY", "a canary")["environment"], "default");
}

#[test]
fn a_short_value_is_refused_unless_it_is_wanted() {
    let server = Server::dev();
    let short = |arguments: &[&str]| {
        run_with_input(server.command(&[&["secret", "set", "PIN"], arguments].concat()), b"12345\n")
    };
    short(&[]).expect(2).says("(value_too_short)").says("--allow-short");
    short(&["--allow-short"]).expect(0).says("never masked");
    // The line break counts when it is kept: six bytes.
    short(&["--raw"]).expect(0);
}

#[test]
fn what_has_no_server_works_without_one() {
    let page = run(claviger(&["explain", "revision_conflict"])).expect(0);
    assert!(page.stdout.starts_with("# revision_conflict\n"), "{page:?}");
    assert!(run(claviger(&["explain"])).expect(0).stdout.contains("store_in_use"));
    run(claviger(&["explain", "no_such_code"])).expect(4);
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(claviger(&["completion", shell])).expect(0).stdout.contains("claviger"));
    }
    assert!(run(claviger(&["version"])).expect(0).stdout.starts_with("claviger "));
    assert!(run(claviger(&["openapi"])).expect(0).json()["paths"].is_object());
    run(claviger(&[])).expect(2);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = claviger(&["explain"]);
    let status = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((status.status.code(), status.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_key_file_that_others_can_read_is_not_used() {
    let directory = Directory::new();
    std::fs::create_dir(directory.data()).unwrap();
    directory.file("data/admin.key", "clv_all_x", 0o644);
    let mut command = claviger(&["secret", "list"]);
    command.env("CLAVIGER_SERVER__DATA", directory.data());
    run(command).expect(1).says("(data_directory_mode)").says("chmod 600");
}
