//! What the tests have in common: stores, a clock, a ledger that can be made to fail, callers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use claviger_core::{
    Bounds as KeyBounds, Caller, EnvironmentName, FunctionId, Incarnation, Reach, Revision, Role, Scope, SecretName,
    SecretValue, Timestamp, run::RunId, secret::SecretVersion,
};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Clock, Engine, Error, Names, Parts,
    access::system_caller,
    runtime::DeclaredSecret,
    vault::{Delivered, Prepared, Request, SecretMetadata, SetOutcome, SetSecret, Short},
};
use claviger_store::{
    Append, Bounds, Filter, Index, Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Record, Result, Stream, Subject,
    Tail,
};
use parking_lot::Mutex;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("a short time"), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store that outlives the engines opened on it.
pub(crate) struct Store {
    pub(crate) ledger: Arc<FailingLedger>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) names: Names,
}

impl Store {
    pub(crate) fn memory() -> Store {
        Store::over(Arc::new(MemoryLedger::new()), Arc::new(MemoryIndex::new()))
    }

    pub(crate) fn over(inner: Arc<dyn Ledger>, index: Arc<dyn Index>) -> Store {
        let clock = Arc::new(TestClock(AtomicI64::new(1_700_000_000_000)));
        Store { ledger: Arc::new(FailingLedger { inner, full: Mutex::default() }), index, clock, names: Names::Plain }
    }

    pub(crate) async fn engine(&self) -> Engine {
        self.try_engine(master(7)).await.expect("the engine opens")
    }

    /// Another server on the same ledger, with an index of its own.
    pub(crate) async fn another_engine(&self) -> Engine {
        let another = Store {
            ledger: self.ledger.clone(),
            index: Arc::new(MemoryIndex::new()),
            clock: self.clock.clone(),
            ..*self
        };
        another.engine().await
    }

    pub(crate) async fn try_engine(&self, master: MasterKey) -> std::result::Result<Engine, Error> {
        Engine::open(Parts {
            ledger: self.ledger.clone(),
            queue: Arc::new(MemoryQueue::new()),
            index: self.index.clone(),
            master,
            clock: self.clock.clone(),
            names: self.names,
        })
        .await
    }
}

pub(crate) async fn memory_engine() -> (Store, Engine) {
    let store = Store::memory();
    let engine = store.engine().await;
    (store, engine)
}

/// The master key whose 64 digits are all this one.
pub(crate) fn master(digit: u32) -> MasterKey {
    let digit = char::from_digit(digit, 16).expect("a hexadecimal digit");
    MasterKey::from_hex(&mut String::from(digit).repeat(64).into_bytes()).expect("64 digits")
}

pub(crate) fn environment() -> EnvironmentName {
    "default".parse().expect("a name")
}

pub(crate) fn scope() -> Scope {
    Scope::environment(environment())
}

pub(crate) fn name(text: &str) -> SecretName {
    text.parse().expect("a secret name")
}

/// A version of a secret of the environment itself.
pub(crate) fn version(secret: &str, version: u64) -> SecretVersion {
    SecretVersion { name: name(secret), version, space: None }
}

pub(crate) fn function() -> FunctionId {
    "payout".parse().expect("a function id")
}

/// A caller of a role in the default environment; a runtime caller may receive everything.
pub(crate) fn caller(role: Role) -> Caller {
    let secrets = if role == Role::Runtime { vec!["*".to_owned()] } else { Vec::new() };
    let bounds = Arc::new(KeyBounds { secrets, ..KeyBounds::default() });
    Caller { id: role.as_str().into(), role, reach: Reach::One(environment()), bounds }
}

pub(crate) fn value(text: &str) -> SetSecret {
    SetSecret {
        value: SecretValue::new(text.as_bytes().to_vec()),
        description: None,
        short: Short::Refuse,
        expected: None,
    }
}

pub(crate) async fn set(engine: &Engine, secret: &str, text: &str) -> SetOutcome {
    let set = engine.vault().set(&system_caller(), &scope(), &name(secret), value(text)).await;
    set.expect("the secret is set")
}

pub(crate) async fn list(engine: &Engine) -> std::result::Result<Vec<SecretMetadata>, Error> {
    let page = engine.vault().list(&system_caller(), &scope(), None, 1_000).await?;
    assert_eq!(page.next, None);
    Ok(page.items.into_iter().map(|item| item.secret).collect())
}

pub(crate) fn declared(secrets: &[&str]) -> Vec<DeclaredSecret> {
    secrets.iter().map(|secret| DeclaredSecret { name: name(secret), required: false }).collect()
}

pub(crate) async fn prepare(engine: &Engine, declared: &[DeclaredSecret]) -> std::result::Result<Prepared, Error> {
    let request = Request { scope: &scope(), function: &function(), run: RunId([1; 16]), declared };
    engine.vault().prepare(&caller(Role::Runtime), request).await
}

/// Hands over what a function that declares these secrets receives.
pub(crate) async fn deliver(engine: &Engine, store: &Store, secrets: &[&str]) -> std::result::Result<Delivered, Error> {
    let prepared = prepare(engine, &declared(secrets)).await?;
    let stored = store.ledger.append(vec![engine.vault().delivery_audit(&prepared)]).await.remove(0)?;
    engine.vault().open(prepared, Some(stored))
}

/// What a function would see: name, version and the value as text.
pub(crate) async fn delivered(engine: &Engine, store: &Store, secrets: &[&str]) -> Vec<(String, u64, String)> {
    let delivered = deliver(engine, store, secrets).await.expect("the secrets are delivered");
    let shown = |(name, version, value): &(SecretName, u64, Arc<SecretValue>)| {
        (name.to_string(), *version, String::from_utf8(value.expose().to_vec()).expect("text"))
    };
    delivered.values.iter().map(shown).collect()
}

/// Completes when the condition holds; panics after ten seconds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let met = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), met).await.expect("it never came about");
}

/// Every record of a stream.
pub(crate) async fn records(store: &Store, stream: Stream) -> Vec<Record> {
    store.ledger.read(stream, &Filter::All, Revision::ZERO, 100_000).await.expect("the stream is read")
}

/// A ledger of which a stream can be made full.
pub(crate) struct FailingLedger {
    inner: Arc<dyn Ledger>,
    full: Mutex<Option<Stream>>,
}

impl FailingLedger {
    pub(crate) fn fill(&self, stream: Stream) {
        *self.full.lock() = Some(stream);
    }

    pub(crate) fn make_room(&self) {
        *self.full.lock() = None;
    }
}

#[async_trait]
impl Ledger for FailingLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        let mut results: Vec<Result<Revision>> = Vec::with_capacity(batch.len());
        for append in batch {
            let fails = *self.full.lock() == Some(append.stream);
            results.push(match results.last() {
                Some(Err(_)) if append.follows => Err(claviger_store::Error::Skipped),
                _ if fails => Err(claviger_store::Error::Full),
                _ => self.inner.append(vec![Append { follows: false, ..append }]).await.remove(0),
            });
        }
        results
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.inner.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.inner.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        self.inner.subjects(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        self.inner.read(stream, filter, after, limit).await
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        self.inner.tail(stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.inner.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.inner.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.inner.barrier(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.inner.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.inner.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
