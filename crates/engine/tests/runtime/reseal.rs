//! A store that moves to new keys says the same as before, and nothing of it opens with the former ones.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use claviger_core::{Bounds, Revision, Role, Scope, SecretValue};
use claviger_crypto::{Keyring, MasterKey};
use claviger_engine::{
    Engine, Error, Names, Parts, Reseal, WallClock,
    access::NewApiKey,
    runtime::{Known, Made, Retryable, RunDetail, RunFilter, Status},
    spaces::NewSpace,
    vault::{SetSecret, Short},
};
use claviger_store::{
    Append, Expected, Filter, Ledger, MemoryIndex, MemoryQueue, Record, SqliteLedger, SqliteOptions, Stream, Subject,
};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::{
    cable::Cable,
    world::{KEY, World, admin, declared, env, function, id, json, made, returned},
};

const NEW_KEY: &str = "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "b00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Bytes of a former record that stand for it: long enough to be found nowhere by chance.
const NEEDLE: usize = 24;

fn key(hex: &str) -> MasterKey {
    MasterKey::from_hex(&mut hex.as_bytes().to_vec()).unwrap()
}

fn open_ledger(directory: &TempDir) -> Arc<SqliteLedger> {
    Arc::new(SqliteLedger::open(SqliteOptions::new(directory.path().join("ledger.db"))).unwrap())
}

async fn open(ledger: Arc<SqliteLedger>, index: Arc<MemoryIndex>, hex: &str) -> Result<World, Error> {
    let cable = Arc::new(Cable::new(ledger.clone()));
    let parts = Parts {
        ledger: cable.clone(),
        queue: Arc::new(MemoryQueue::new()),
        index: index.clone(),
        master: key(hex),
        clock: Arc::new(WallClock),
        names: Names::Plain,
    };
    Ok(World { engine: Engine::open(parts).await?, ledger, cable, index })
}

async fn reseal(ledger: &SqliteLedger) -> Result<(), Error> {
    let reseal = Reseal::plan(ledger, Some(&key(KEY)), &key(NEW_KEY)).await?.expect("there is something to move");
    ledger.rewrite(move |stream, record| reseal.record(stream, record)).await?;
    Ok(ledger.scrub().await?)
}

async fn everything(ledger: &dyn Ledger) -> Vec<(Stream, Record)> {
    let mut all = Vec::new();
    for stream in Stream::ALL {
        let records = ledger.read(stream, &Filter::All, Revision::ZERO, 10_000).await.unwrap();
        all.extend(records.into_iter().map(|record| (stream, record)));
    }
    all
}

/// The keys of a record, its signature, and a part of each envelope in it.
fn needles(stream: Stream, record: &Record) -> Vec<Vec<u8>> {
    if stream == Stream::Keyring {
        return vec![record.bytes[20..20 + NEEDLE].to_vec()];
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let envelopes = record.bytes.split(|byte| !is_base64(byte)).filter(|run| run.len() >= 120);
    let parts = envelopes.map(|envelope| envelope[envelope.len() / 2..][..NEEDLE].to_vec());
    parts.chain([record.bytes[1..1 + NEEDLE].to_vec()]).collect()
}

/// How many of the needles stand in some file of the directory.
fn found(directory: &Path, needles: &HashSet<Vec<u8>>) -> usize {
    let mut found = HashSet::new();
    for file in fs::read_dir(directory).unwrap() {
        let content = fs::read(file.unwrap().path()).unwrap();
        found.extend(content.windows(NEEDLE).filter(|window| needles.contains(*window)).map(<[u8]>::to_vec));
    }
    found.len()
}

/// What people see of a store.
#[derive(Debug, PartialEq)]
struct Seen {
    runs: Vec<String>,
    secrets: Vec<String>,
    audit: Vec<String>,
    api_keys: String,
    environments: String,
    spaces: String,
}

async fn see(world: &World) -> Seen {
    let engine = &world.engine;
    let mut runs: Vec<RunDetail> = Vec::new();
    for run in
        engine.runtime().runs(&admin(), &env(), RunFilter { limit: 100, ..RunFilter::default() }).await.unwrap().items
    {
        runs.push(world.run(run.id).await);
    }
    runs.sort_by_key(|run| run.info.id);
    let mut secrets = Vec::new();
    for scope in [Scope::environment(env()), Scope::environment("prod".parse().unwrap()), space()] {
        let page = engine.vault().list(&admin(), &scope, None, 100).await.unwrap();
        for item in &page.items {
            let explained = engine.vault().explain(&admin(), &scope, &item.secret.secret.name).await.unwrap();
            secrets.push(format!("{item:?} {explained:?}"));
        }
    }
    let audit = engine.audit().list(&admin(), &env(), Revision::ZERO, 1_000).await.unwrap();
    Seen {
        runs: runs.iter().map(|run| format!("{run:?}")).collect(),
        secrets,
        audit: audit.items.iter().map(|entry| format!("{entry:?}")).collect(),
        api_keys: format!("{:?}", engine.access().list_api_keys(&admin()).await.unwrap()),
        environments: format!("{:?}", engine.access().list_environments(&admin()).await.unwrap()),
        spaces: format!("{:?}", engine.spaces().list(&admin(), &env(), None, 10).await.unwrap()),
    }
}

fn space() -> Scope {
    Scope { environment: env(), space: Some("team a".parse().unwrap()) }
}

async fn set(world: &World, scope: &Scope, name: &str, value: &str) {
    let value = SecretValue::new(value.as_bytes().to_vec());
    let set = SetSecret { value, description: Some("shown".to_owned()), short: Short::Accept, expected: None };
    world.engine.vault().set(&admin(), scope, &name.parse().unwrap(), set).await.unwrap();
}

/// A function that declares every secret of the default environment.
fn payout() -> claviger_engine::runtime::FunctionSpec {
    let mut payout = function("payout");
    payout.secrets = vec![declared("STRIPE_KEY"), declared("PIN")];
    payout
}

/// Fills a store with every kind of record there is. Answers an API key.
async fn live(world: &World) -> String {
    let vault = world.engine.vault();
    for version in 1..=3 {
        world.set("STRIPE_KEY", &format!("sk_live_canary_{version}")).await;
    }
    world.set("FORMER", "deleted before").await;
    vault.delete(&admin(), &Scope::environment(env()), &"FORMER".parse().unwrap(), None).await.unwrap();
    set(world, &Scope::environment(env()), "PIN", "1234").await;
    let new = NewSpace { name: space().space.unwrap(), metadata: RawValue::from_string("{}".to_owned()).unwrap() };
    world.engine.spaces().create(&admin(), &env(), new).await.unwrap();
    set(world, &space(), "STRIPE_KEY", "of a space").await;
    // Blocked over an override, and where there was nothing.
    set(world, &space(), "PIN", "5678").await;
    for name in ["PIN", "NEVER_SET"] {
        vault.block(&admin(), &space(), &name.parse().unwrap(), None).await.unwrap();
    }
    world.engine.access().create_environment(&admin(), "prod").await.unwrap();
    set(world, &Scope::environment("prod".parse().unwrap()), "STRIPE_KEY", "of production").await;
    let new =
        NewApiKey { role: Role::Admin, environment: None, description: None, bounds: Bounds::default(), ttl: None };
    let (_, api_key) = world.engine.access().create_api_key(&admin(), new).await.unwrap();

    let mut fragile = function("fragile");
    fragile.retry.max_attempts = 2;
    let mut slow = function("slow");
    slow.retry.initial_delay = std::time::Duration::from_secs(3_600);
    let functions = vec![payout(), fragile, slow, function("parent"), function("child"), function("waits")];
    let mut worker = world.worker(functions, 8).await;

    // Finished, with views of what the secret stood in, and with a sent event.
    world.emit("payout.requested", r#"{"n":1}"#).await;
    let job = worker.job().await;
    world.emit("nobody.listens", r#"{"key":"sk_live_canary_3"}"#).await;
    let send = Made::Send { event: "told.all".parse().unwrap(), data: Some(json("[5]")) };
    worker.report(&job, vec![returned("leak", r#"["sk_live_canary_3"]"#), made("send", send)]).await;
    worker.complete(&job, r#"{"used":"sk_live_canary_3"}"#).await;
    // Failed for good, after a second attempt, with a step that failed.
    world.emit("fragile.requested", "2").await;
    for _ in 0..2 {
        let job = worker.job().await;
        worker.fail(&job, "out of stock", Retryable::Yes).await;
    }
    // Failed, to be tried again later.
    world.emit("slow.requested", "3").await;
    let job = worker.job().await;
    worker.fail(&job, "not yet", Retryable::Yes).await;
    // Waits for a run that waits for an event.
    world.emit("parent.requested", "4").await;
    let job = worker.job().await;
    let invoke = Made::Invoke { function: id("child"), data: Some(json(r#"{"n":4}"#)), timeout: None };
    worker.suspend(&job, vec![made("call", invoke)]).await;
    let child = worker.job().await;
    let wait = Made::Wait { pattern: "order.paid".parse().unwrap(), condition: None, timeout: None };
    worker.suspend(&child, vec![returned("before", r#""kept""#), made("paid", wait)]).await;
    api_key.to_string()
}

struct Store {
    directory: TempDir,
    index: Arc<MemoryIndex>,
    api_key: String,
    seen: Seen,
    records: Vec<(Stream, Record)>,
}

impl Store {
    /// A store that was lived in, under [`KEY`], and closed.
    async fn new() -> Store {
        let directory = tempfile::tempdir().unwrap();
        let world = open(open_ledger(&directory), Arc::default(), KEY).await.unwrap();
        let api_key = live(&world).await;
        world.engine.close().await;
        let index = world.index.clone();
        drop(world);
        // What the server had to do when the worker went is done now.
        let world = open(open_ledger(&directory), index.clone(), KEY).await.unwrap();
        let seen = see(&world).await;
        assert_eq!((seen.runs.len(), seen.secrets.len()), (5, 6));
        let records = everything(&*world.ledger).await;
        world.engine.close().await;
        Store { directory, index, api_key, seen, records }
    }

    fn ledger(&self) -> Arc<SqliteLedger> {
        open_ledger(&self.directory)
    }

    async fn open(&self, hex: &str) -> Result<World, Error> {
        open(self.ledger(), self.index.clone(), hex).await
    }

    fn needles(&self) -> HashSet<Vec<u8>> {
        self.records.iter().flat_map(|(stream, record)| needles(*stream, record)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_reads_the_same_and_goes_on() {
    let store = Store::new().await;
    let ledger = store.ledger();
    reseal(&ledger).await.unwrap();
    let records = everything(&*ledger).await;
    assert_eq!(records.len(), store.records.len());
    for ((stream, before), (_, after)) in store.records.iter().zip(&records) {
        assert_eq!((before.revision, before.stored_at), (after.revision, after.stored_at));
        let is_data_key = before.subject.as_str().starts_with("datakey.");
        assert_eq!(before.subject == after.subject, !is_data_key, "an id never stands for two keys: {}", after.subject);
        assert!(before.bytes != after.bytes, "{stream} {}", before.revision);
    }
    for stream in Stream::ALL {
        assert!(records.iter().any(|(other, _)| *other == stream), "{stream} has a record");
    }
    drop(ledger);

    let world = store.open(NEW_KEY).await.unwrap();
    assert_eq!(see(&world).await, store.seen);
    assert_eq!(world.engine.access().authenticate(&store.api_key).unwrap().role, Role::Admin);
    assert_eq!(world.engine.events().unreadable_total(), 0);

    // The suspended run and the one that invoked it go on, with what they knew.
    let mut worker = world.worker(vec![function("parent"), function("child"), payout()], 8).await;
    world.emit("order.paid", r#"{"by":"card"}"#).await;
    let child = worker.job().await;
    assert_eq!(child.event.data.get(), r#"{"n":4}"#);
    assert!(matches!(&child.steps[0].known, Known::Result(Some(result)) if result.get() == r#""kept""#));
    assert!(matches!(&child.steps[1].known, Known::Result(Some(result)) if result.get().contains("card")));
    worker.complete(&child, r#""done""#).await;
    let parent = worker.job().await;
    assert!(matches!(&parent.steps[0].known, Known::Result(Some(result)) if result.get() == r#""done""#));
    worker.complete(&parent, "null").await;
    world.reaches(parent.run, Status::Completed).await;

    world.emit("payout.requested", "7").await;
    let job = worker.job().await;
    let values: Vec<_> = job.secrets.iter().map(|secret| (secret.version, secret.value.expose())).collect();
    assert_eq!(values, [(3, &b"sk_live_canary_3"[..]), (1, b"1234")]);
    world.set("STRIPE_KEY", "sk_live_canary_4").await;
    // What was blocked is, until it is not.
    let vault = world.engine.vault();
    vault.unblock(&admin(), &space(), &"PIN".parse().unwrap(), None).await.unwrap();
    let found = vault.explain(&admin(), &space(), &"PIN".parse().unwrap()).await.unwrap().found;
    assert_eq!(found, Some((Scope::environment(env()), 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_keys_open_nothing() {
    let store = Store::new().await;
    let keys = |records: &[(Stream, Record)], prefix: &str| -> Vec<Record> {
        let of_prefix = |(_, record): &&(Stream, Record)| record.subject.as_str().starts_with(prefix);
        records.iter().filter(of_prefix).map(|(_, record)| record.clone()).collect()
    };
    let former = Keyring::open(&key(KEY), &keys(&store.records, "keyring")[0].bytes).unwrap();
    let ledger = store.ledger();
    reseal(&ledger).await.unwrap();
    let records = everything(&*ledger).await;
    assert_eq!(keys(&records, "datakey.").len(), 2);
    for record in keys(&records, "datakey.") {
        let environment = record.subject.tokens().nth(1).unwrap();
        assert!(former.load_data_key(environment, &record.bytes).is_err(), "{}", record.subject);
    }
    for (_, record) in records.iter().filter(|(stream, _)| *stream != Stream::Keyring) {
        let context = |stream: &str| format!("{stream}/{}", record.subject);
        for stream in Stream::ALL {
            assert!(!former.verify_mac(&context(stream.name()), &record.bytes[33..], &record.bytes[1..33]));
        }
    }
    drop(ledger);
    assert_eq!(store.open(KEY).await.err().unwrap().code(), "wrong_master_key");
    assert!(store.open(NEW_KEY).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_former_records_stays_in_the_files() {
    let store = Store::new().await;
    let needles = store.needles();
    assert!(needles.len() > 50);
    assert_eq!(found(store.directory.path(), &needles), needles.len(), "the search finds all of them");
    let ledger = store.ledger();
    reseal(&ledger).await.unwrap();
    assert_eq!(found(store.directory.path(), &needles), 0, "nothing is left while it is open");
    ledger.close().await;
    assert_eq!(found(store.directory.path(), &needles), 0, "nothing is left after closing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_off_changes_nothing() {
    let store = Store::new().await;
    for at in [1, store.records.len() / 2, store.records.len()] {
        let ledger = store.ledger();
        let reseal = Reseal::plan(&*ledger, Some(&key(KEY)), &key(NEW_KEY)).await.unwrap().unwrap();
        let mut seen = 0;
        let outcome = ledger.rewrite(move |stream, record| {
            seen += 1;
            if seen == at { Err(Error::Stopping) } else { reseal.record(stream, record) }
        });
        assert_eq!(outcome.await.unwrap_err().code(), Error::Stopping.code());
        drop(ledger);
        let world = store.open(KEY).await.unwrap();
        assert_eq!(see(&world).await, store.seen);
        world.engine.close().await;
        drop(world);
        assert_eq!(store.open(NEW_KEY).await.err().unwrap().code(), "wrong_master_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_does_not_verify_stops_it() {
    let store = Store::new().await;
    let ledger = store.ledger();
    let subject = Subject::new(&["audit", "default", "delivery"]);
    let forged = Append::new(Stream::Audit, subject, vec![1; 200], Expected::Any);
    let revision = ledger.append(vec![forged]).await.remove(0).unwrap();
    match reseal(&ledger).await {
        Err(Error::Corrupt { stream: "audit", revision: at, .. }) => assert_eq!(at, revision),
        outcome => panic!("{outcome:?}"),
    }
    let records = everything(&*ledger).await;
    for ((_, before), (_, after)) in store.records.iter().zip(&records) {
        assert_eq!(before.bytes, after.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_planned_only_when_there_is_something_to_move() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open_ledger(&directory);
    let plan = async |former: Option<&str>, master| {
        let former = former.map(key);
        Reseal::plan(&*ledger, former.as_ref(), &key(master)).await
    };
    assert!(plan(Some(KEY), NEW_KEY).await.unwrap().is_none(), "the store is new");
    let _world = open(ledger.clone(), Arc::default(), KEY).await.unwrap();
    assert!(plan(Some(OTHER_KEY), KEY).await.unwrap().is_none(), "it has the key already");
    assert!(plan(Some(KEY), NEW_KEY).await.unwrap().is_some());
    for former in [None, Some(OTHER_KEY)] {
        let error = plan(former, NEW_KEY).await.unwrap_err();
        let given = key(NEW_KEY).fingerprint().to_string();
        assert!(matches!(&error, Error::WrongMasterKey { given: shown, .. } if *shown == given), "{error}");
    }
}
