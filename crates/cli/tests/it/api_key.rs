//! API keys.

use crate::support::{Directory, Outcome, Server, run};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn bootstrap(directory: &Directory, arguments: &[&str]) -> Outcome {
    let mut command = crate::support::claviger(&[&["apikey", "bootstrap"], arguments].concat());
    command.arg("--data").arg(directory.data()).env("CLAVIGER_MASTER_KEY", KEY);
    run(command)
}

#[test]
fn the_first_admin_key_of_a_store_is_made_beside_it_and_once() {
    let directory = Directory::new();
    let first = bootstrap(&directory, &[]).expect(0).says("expires       in 23h");
    bootstrap(&directory, &[]).expect(5).says("there is an admin key already");
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", KEY);
    let server = Server::start(directory, command);
    assert!(!server.process.said().contains("bootstrap"), "{}", server.process.said());
    let mut list = server.command(&["apikey", "list", "-o", "json"]);
    list.env("CLAVIGER_API_KEY", first.stdout.trim());
    let keys = run(list).expect(0).json();
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["role"]), (1, &"admin".into()));
}

#[test]
fn a_fresh_store_hints_at_the_first_key_and_makes_none() {
    let directory = Directory::new();
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", KEY);
    let server = Server::start(directory, command);
    assert!(server.process.said().contains("claviger apikey bootstrap --data "), "{}", server.process.said());
    assert!(!server.data().join("admin.key").exists());
    server.run(&["secret", "list"]).expect(3).says("(unauthenticated)");
}

#[test]
fn a_key_goes_alone_to_standard_output_and_works_until_it_is_revoked() {
    let server = Server::dev();
    let created = server.run(&["apikey", "create", "--role", "viewer", "-d", "for a test", "--ttl", "1h"]).expect(0);
    let key = created.stdout.trim().to_owned();
    assert!(key.starts_with("clv_default_") && !key.contains(char::is_whitespace), "{created:?}");
    assert!(!created.stderr.contains(&key));
    let list = || {
        let mut command = server.command(&["secret", "list"]);
        command.env("CLAVIGER_API_KEY", &key);
        run(command)
    };
    list().expect(0);
    let id = key.split('_').nth(2).unwrap();
    let revoked = server.run(&["apikey", "revoke", id, "-o", "json"]).expect(0).json();
    assert!(revoked["revokedAt"].is_string());
    list().expect(3).says("(unknown_api_key)").never_shows(&key);
    let listed = server.run(&["apikey", "list"]).expect(0).never_shows(&key);
    assert!(listed.stdout.lines().any(|line| line.starts_with(id) && line.ends_with("revoked")), "{listed:?}");
}

#[test]
fn the_list_shows_what_narrows_each_key() {
    let server = Server::dev();
    server
        .run(&[
            "apikey",
            "create",
            "--role",
            "runtime",
            "--secret",
            "STRIPE_*",
            "--secret",
            "A",
            "--function",
            "payout",
        ])
        .expect(0);
    server.run(&["apikey", "create", "--role", "subscriber", "--event", "payout.>"]).expect(0);
    let listed = server.run(&["apikey", "list"]).expect(0).stdout;
    for bound in ["secrets *", "secrets STRIPE_*, A", "functions payout", "events payout.>"] {
        assert!(listed.contains(bound), "`{bound}` is not in {listed}");
    }
}

#[test]
fn bounds_that_a_role_needs_are_asked_for() {
    let server = Server::dev();
    server.run(&["apikey", "create", "--role", "runtime"]).expect(2).says("(invalid_request)");
    server.run(&["apikey", "create", "--role", "subscriber"]).expect(2).says("(invalid_request)");
    server.run(&["apikey", "create", "--role", "king"]).expect(2).says("(invalid_request)");
    server.run(&["apikey", "create"]).expect(2).says("--role <ROLE>");
    server.run(&["apikey", "create", "viewer"]).expect(2);
    let created = server.run(&[
        "apikey",
        "create",
        "--role",
        "subscriber",
        "--event",
        "system.secret.*.updated",
        "--origin",
        "https://app.example",
        "-o",
        "json",
    ]);
    let created = created.expect(0).json();
    assert_eq!(created["events"][0], "system.secret.*.updated");
    assert!(created["expiresAt"].is_string() && created["key"].is_string());
}
