//! From the development key to a master key.

use std::{fs, path::Path, sync::Arc};

use claviger_crypto::MasterKey;
use claviger_engine::{Engine, Names, Parts, WallClock, access::system_caller, events::NewEvent};
use claviger_store::{Ledger, MemoryIndex, MemoryQueue, SqliteLedger, SqliteOptions};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    master_key::{KEY, OTHER, server_with, start_with},
    session::Payout,
    support::{Directory, Process, Server},
};

const VALUE: &str = "sk_live_canary_5f1c";

/// What the server says while it moves a store.
const MOVES: &str = "claviger moves the store to the master key ";

fn development_key(data: &Path) -> String {
    fs::read_to_string(data.join("dev-master.key")).unwrap()
}

/// A directory that `claviger dev` made, with a secret; and its development key.
fn developed() -> (Directory, String) {
    let server = Server::dev();
    server.set("STRIPE_KEY", VALUE);
    let development = development_key(&server.data());
    let (directory, _, _) = server.stop(Signal::KILL);
    (directory, development)
}

/// Reads the secret as people may, and has it delivered.
fn check(server: &Server) {
    let secret = server.run(&["secret", "get", "STRIPE_KEY", "-o", "json"]).expect(0).json();
    assert_eq!(secret["version"], 1);
    let worker = Payout::serve(server);
    server.run(&["event", "emit", "payout.requested", "--data", "{\"amount\": 7}", "--wait"]).expect(0);
    let runs = server.run(&["run", "list", "-o", "json"]).expect(0).json();
    let run = server.run(&["run", "get", runs[0]["id"].as_str().unwrap(), "-o", "json"]).expect(0).json();
    assert_eq!(run["result"], json!({ "amount": 7, "key": "«STRIPE_KEY@1»" }), "only what was delivered is masked");
    worker.stop();
}

#[test]
fn a_development_store_moves_to_a_master_key() {
    let (directory, development) = developed();
    let server = server_with(directory, KEY);
    let said = server.process.said();
    assert!(said.contains(&format!("{MOVES}done=100%")), "{said}");
    assert!(said.contains("the development key was destroyed; a copy of the data directory"), "{said}");
    assert!(!server.data().join("dev-master.key").exists());
    // The API keys of development are accepted as before.
    check(&server);
    let (directory, _, said) = server.stop(Signal::TERM);
    assert!(!said.contains(&development) && !said.contains(KEY) && !said.contains("canary"), "{said}");

    // The former key is of no use any more, and the new one is all that is needed.
    start_with(&directory, &development).expect(6).says("(wrong_master_key)");
    directory.run(&["start", "--listen", "127.0.0.1:0"]).expect(6).says("(no_master_key)").says("CLAVIGER_MASTER_KEY");
    directory.run(&["dev", "--listen", "127.0.0.1:0"]).expect(6).says("(no_master_key)");
    assert!(!directory.data().join("dev-master.key").exists());
    let server = server_with(directory, KEY);
    assert!(!server.process.said().contains("development"), "{}", server.process.said());
}

#[test]
fn a_move_that_died_before_the_key_was_destroyed_is_finished() {
    let (directory, development) = developed();
    let (mut directory, _, _) = server_with(directory, KEY).stop(Signal::TERM);
    // As it was, and as it is when the power fails between overwriting and removing it.
    for left in [development.clone(), "\0".repeat(64)] {
        directory.file("data/dev-master.key", &left, 0o600);
        let without = directory.run(&["start", "--listen", "127.0.0.1:0"]).expect(6);
        without.says("_master_key)").says("hint: give it with CLAVIGER_MASTER_KEY").never_shows(&development);
        start_with(&directory, OTHER).expect(6).says("(wrong_master_key)");
        assert_eq!(development_key(&directory.data()), left, "a wrong key changes nothing");
        let server = server_with(directory, KEY);
        assert!(!server.data().join("dev-master.key").exists());
        assert!(!server.process.said().contains(MOVES), "there is nothing to move");
        (directory, ..) = server.stop(Signal::TERM);
    }
    check(&server_with(directory, KEY));
}

#[test]
fn a_store_with_neither_key_is_left_alone() {
    let (directory, _) = developed();
    directory.file("data/dev-master.key", OTHER, 0o600);
    start_with(&directory, KEY).expect(6).says("(wrong_master_key)").never_shows(OTHER);
    assert_eq!(development_key(&directory.data()), OTHER);
}

#[test]
fn a_development_key_without_a_store_is_destroyed() {
    let directory = Directory::new();
    fs::create_dir(directory.data()).unwrap();
    fs::set_permissions(directory.data(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    directory.file("data/dev-master.key", OTHER, 0o600);
    let server = server_with(directory, KEY);
    assert!(!server.data().join("dev-master.key").exists());
}

/// Emits enough events that moving them takes a while.
fn fill(directory: &Directory, development: &str) {
    let ledger = SqliteLedger::open(SqliteOptions::new(directory.data().join("claviger.db"))).unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(ledger);
    let master = MasterKey::from_hex(&mut development.as_bytes().to_vec()).unwrap();
    let parts = Parts {
        ledger,
        queue: Arc::new(MemoryQueue::new()),
        index: Arc::new(MemoryIndex::new()),
        master,
        clock: Arc::new(WallClock),
        names: Names::Plain,
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Arc::new(Engine::open(parts).await.unwrap());
        let data = serde_json::to_vec(&"x".repeat(2_000)).unwrap();
        let emit = |_| {
            let (engine, data) = (engine.clone(), data.clone());
            async move {
                let event = NewEvent { id: None, name: "nobody.listens".parse().unwrap(), data, space: None };
                engine.events().emit(&system_caller(), &"default".parse().unwrap(), event).await.unwrap();
            }
        };
        let mut emits: tokio::task::JoinSet<()> = (0..2_000).map(emit).collect();
        while let Some(emitted) = emits.join_next().await {
            emitted.unwrap();
        }
        engine.close().await;
    });
}

/// Starts the server and kills it once it has said this, or once it is ready. Whether it moved the store.
fn kill_at(directory: &Directory, progress: &str) -> bool {
    let mut command = directory.command("start");
    command.env("CLAVIGER_MASTER_KEY", KEY);
    let (process, first) = Process::start(command, "claviger ");
    let is_at = |said: &str| said.contains(progress) || said.contains("claviger ready ");
    while !is_at(&process.said()) {
        std::thread::yield_now();
    }
    process.signal(Signal::KILL);
    process.wait();
    first.starts_with(MOVES)
}

#[test]
fn a_server_that_is_killed_while_it_moves_the_store_goes_on_at_the_next_start() {
    let (directory, development) = developed();
    fill(&directory, &development);
    let mut killed = 0;
    for progress in ["records=", "done=10%", "done=40%", "done=70%", "done=90%", "done=100%"] {
        // On a slow machine one of them may have come to its end before it was killed.
        if !kill_at(&directory, progress) {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0);
    let server = server_with(directory, KEY);
    assert!(!server.data().join("dev-master.key").exists());
    check(&server);
    let (directory, _, _) = server.stop(Signal::TERM);
    start_with(&directory, &development).expect(6).says("(wrong_master_key)");
}
