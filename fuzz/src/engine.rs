//! Cursors and stored records.

use std::{
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread,
};

use claviger_core::{EnvironmentName, Scope, secret::Secret};
use claviger_crypto::{Keyring, MasterKey};
use claviger_engine::{Engine, Error, Names, Parts, WallClock, access::system_caller, events::Cursor};
use claviger_store::{Append, Expected, Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Stream, Subject};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// What is read as a cursor is printed the same.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Cursor>() {
        Ok(cursor) => assert_eq!(cursor.to_string(), text),
        Err(error) => assert!(matches!(error, Error::InvalidCursor)),
    }
}

const SOUND: &[u8] = include_bytes!("../corpus/record/plain");

struct World {
    runtime: Runtime,
    ledger: Arc<MemoryLedger>,
    keyring: Keyring,
    engine: Engine,
}

/// An engine whose keyring is known here, so that records can be signed that it never wrote.
static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| {
    // A runtime cannot be made and driven on a thread that another one drives.
    let made = thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ledger = Arc::new(MemoryLedger::new());
        let master = MasterKey::generate();
        let (keyring, record) = Keyring::create(&master);
        let append = Append::new(Stream::Keyring, Subject::new(&["keyring"]), record, Expected::Absent);
        let parts = Parts {
            ledger: ledger.clone(),
            queue: Arc::new(MemoryQueue::new()),
            index: Arc::new(MemoryIndex::new()),
            master,
            clock: Arc::new(WallClock),
            names: Names::Plain,
        };
        let engine = runtime.block_on(async {
            ledger.append(vec![append]).await.remove(0).expect("appended");
            Engine::open(parts).await.expect("the engine opens")
        });
        let world = World { runtime, ledger, keyring, engine };
        // Otherwise every record is refused for its signature, and nothing is tried.
        assert!(read(&world, sign(&world.keyring, &subject(), SOUND)).is_some(), "a sound record is read");
        Mutex::new(world)
    });
    made.join().expect("the world is made")
});

/// A secret's record with any body, properly signed, is the metadata that stands there or corruption. Any bytes as a
/// record are corruption.
pub fn record(data: &[u8]) {
    let world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(read) = read(&world, sign(&world.keyring, &subject(), data)) {
        tells(&serde_json::from_slice(data).unwrap_or_default(), &read);
    }
    assert!(read(&world, data.to_vec()).is_none(), "nobody signed it");
}

/// The body tells what was read. Members in their order are read too, and unknown ones may be what `Value` cannot hold.
fn tells(body: &Value, read: &Secret) {
    let Some(told) = body.get("secret").filter(|told| told.is_object()) else { return };
    assert_eq!(told["name"], read.name.as_str());
    assert_eq!(told["environment"], read.scope.environment.as_str());
    assert_eq!(told.get("description").and_then(Value::as_str), read.description.as_deref());
    assert_eq!((&told["latest"], &told["active"]), (&read.latest.into(), &read.active.into()));
    assert_eq!((&told["created_at"], &told["updated_at"]), (&read.created_at.0.into(), &read.updated_at.0.into()));
    assert_eq!(told["updated_by"], *read.updated_by);
    assert_eq!(told["versions"].as_array().map(Vec::len), Some(read.versions.len()));
}

fn subject() -> Subject {
    Subject::new(&["secret", "default", "env", "A"])
}

/// The secret that is set by these bytes as its record.
fn read(world: &World, bytes: Vec<u8>) -> Option<Secret> {
    world.runtime.block_on(describe(world, bytes))
}

async fn describe(world: &World, bytes: Vec<u8>) -> Option<Secret> {
    world.ledger.purge(Stream::Secrets, &subject()).await.expect("purged");
    let append = Append::new(Stream::Secrets, subject(), bytes, Expected::Absent);
    world.ledger.append(vec![append]).await.remove(0).expect("appended");
    let scope = Scope::environment("default".parse::<EnvironmentName>().expect("a name"));
    let vault = world.engine.vault();
    // The list waits until the record is folded.
    let listed = vault.list(&system_caller(), &scope, None, 10).await;
    assert!(matches!(listed, Ok(_) | Err(Error::Corrupt { .. })), "{listed:?}");
    let seen = vault.describe(&system_caller(), &scope, &"A".parse().expect("a name")).await;
    assert!(matches!(seen, Ok(_) | Err(Error::Corrupt { .. } | Error::SecretNotFound)), "{seen:?}");
    seen.ok().map(|listed| listed.secret.secret)
}

/// Format, code, no record before it, body.
fn sign(keyring: &Keyring, subject: &Subject, body: &[u8]) -> Vec<u8> {
    let signed = [&[0; 8], body].concat();
    let code = keyring.mac(&format!("secrets/{subject}"), &signed);
    [&[1], &code[..], &signed].concat()
}
