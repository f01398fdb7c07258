//! A house to test in: a store that outlives its engines, callers, and short words for long calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use claviger_core::{
    Bounds, Caller, EnvironmentName, Incarnation, Pattern, Revision, Role, Scope, SecretValue, Timestamp,
};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Clock, Engine, Error, Names, Parts,
    access::{NewApiKey, system_caller},
    events::{Cursor, Emitted, Event, Frame, GapReason, NewEvent, Subscription},
    vault::{SetSecret, Short},
};
use claviger_store::{Append, Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Record, Result, Stream, Subject, Tail};

/// The instant at which every test begins: 2026-11-21T00:00:00Z.
pub(super) const START: i64 = 1_795_219_200_000;

/// Lets an engine close without closing the store, so that the next one finds it as it was. Fails as often as told.
pub(super) struct Lasting(MemoryLedger, AtomicU32);

impl Lasting {
    /// Makes the next reads fail.
    pub(super) fn fail_reads(&self, count: u32) {
        self.1.store(count, Ordering::SeqCst);
    }

    /// The reads that are still to fail.
    pub(super) fn failing(&self) -> u32 {
        self.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Ledger for Lasting {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        self.0.append(batch).await
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.0.last(stream, subject).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.0.history(stream, subject).await
    }

    async fn subjects(&self, stream: Stream, filter: &claviger_store::Filter) -> Result<Vec<Subject>> {
        self.0.subjects(stream, filter).await
    }

    async fn read(
        &self,
        stream: Stream,
        filter: &claviger_store::Filter,
        after: Revision,
        limit: usize,
    ) -> Result<Vec<Record>> {
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(claviger_store::Error::Unavailable { source: None });
        }
        self.0.read(stream, filter, after, limit).await
    }

    fn tail(&self, stream: Stream, filter: claviger_store::Filter, after: Revision) -> Tail {
        self.0.tail(stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.0.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.0.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.0.barrier(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<claviger_store::Bounds> {
        self.0.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.0.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.0.incarnation()
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) {}
}

/// A clock that a test sets.
#[derive(Default)]
pub(super) struct SetClock(AtomicI64);

impl SetClock {
    pub(super) fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(START + self.0.load(Ordering::SeqCst))
    }
}

/// A store and its key, without an engine.
pub(super) struct Rig {
    pub(super) ledger: Arc<Lasting>,
    pub(super) clock: Arc<SetClock>,
    index: Arc<MemoryIndex>,
    master: String,
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig {
            ledger: Arc::new(Lasting(MemoryLedger::new(), AtomicU32::new(0))),
            clock: Arc::default(),
            index: Arc::new(MemoryIndex::new()),
            master: MasterKey::generate().to_hex().to_string(),
        }
    }

    pub(super) async fn engine(&self) -> Engine {
        self.engine_on(self.ledger.clone()).await
    }

    /// An engine on another store than the rig's.
    pub(super) async fn engine_on(&self, ledger: Arc<dyn Ledger>) -> Engine {
        let parts = Parts {
            ledger,
            queue: Arc::new(MemoryQueue::new()),
            index: self.index.clone(),
            master: MasterKey::from_hex(&mut self.master.clone().into_bytes()).unwrap(),
            clock: self.clock.clone(),
            names: Names::Plain,
        };
        Engine::open(parts).await.unwrap()
    }
}

pub(super) fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

pub(super) fn default() -> EnvironmentName {
    environment("default")
}

pub(super) fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A caller with a key of its own.
pub(super) async fn caller(engine: &Engine, role: Role, place: Option<&str>, events: &[&str]) -> Caller {
    let secrets = if role == Role::Runtime { vec!["*".to_owned()] } else { Vec::new() };
    let new = NewApiKey {
        role,
        environment: place.map(environment),
        description: None,
        bounds: Bounds { secrets, events: patterns(events), ..Bounds::default() },
        ttl: None,
    };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.unwrap();
    engine.access().authenticate(&key).unwrap()
}

pub(super) async fn emit_as(
    engine: &Engine,
    caller: &Caller,
    id: Option<&str>,
    name: &str,
    data: &str,
) -> std::result::Result<Emitted, Error> {
    let event = NewEvent {
        id: id.map(str::to_owned),
        name: name.parse().unwrap(),
        data: data.as_bytes().to_vec(),
        space: None,
    };
    engine.events().emit(caller, &default(), event).await
}

pub(super) async fn emit(engine: &Engine, name: &str, data: &str) -> Emitted {
    emit_as(engine, &system_caller(), None, name, data).await.unwrap()
}

pub(super) async fn emit_in(engine: &Engine, place: &EnvironmentName, name: &str, data: &str) -> Emitted {
    let event = NewEvent { id: None, name: name.parse().unwrap(), data: data.as_bytes().to_vec(), space: None };
    engine.events().emit(&system_caller(), place, event).await.unwrap()
}

pub(super) async fn set(engine: &Engine, place: &EnvironmentName, name: &str, value: &str) {
    let set = SetSecret {
        value: SecretValue::new(value.as_bytes().to_vec()),
        description: None,
        short: Short::Refuse,
        expected: None,
    };
    let scope = Scope::environment(place.clone());
    engine.vault().set(&system_caller(), &scope, &name.parse().unwrap(), set).await.unwrap();
}

pub(super) async fn delete(engine: &Engine, place: &EnvironmentName, name: &str) {
    let scope = Scope::environment(place.clone());
    engine.vault().delete(&system_caller(), &scope, &name.parse().unwrap(), None).await.unwrap();
}

/// A subscription in `default` of the engine's own caller, with its first frame taken.
pub(super) async fn subscribe(engine: &Engine, texts: &[&str], after: Option<&Cursor>) -> (Subscription, Cursor) {
    subscribe_as(engine, &system_caller(), texts, after).await
}

pub(super) async fn subscribe_as(
    engine: &Engine,
    caller: &Caller,
    texts: &[&str],
    after: Option<&Cursor>,
) -> (Subscription, Cursor) {
    let place = match &caller.reach {
        claviger_core::Reach::All => default(),
        claviger_core::Reach::One(own) => own.clone(),
    };
    let subscribed = engine.events().subscribe(caller, &place, patterns(texts), after.cloned(), None).await;
    let mut subscription = subscribed.unwrap();
    match frame(&mut subscription).await {
        Frame::Ready { cursor } => (subscription, cursor),
        other => panic!("the first frame is {other:?}"),
    }
}

/// The next frame, which must come.
pub(super) async fn frame(subscription: &mut Subscription) -> Frame {
    let next = tokio::time::timeout(Duration::from_secs(30), subscription.next());
    next.await.expect("a frame within 30 s").expect("the subscription goes on")
}

pub(super) async fn event(subscription: &mut Subscription) -> (Arc<Event>, Cursor) {
    match frame(subscription).await {
        Frame::Event { event, cursor } => (event, cursor),
        other => panic!("not an event: {other:?}"),
    }
}

/// A gap: reason, stream, asked, first and the cursor after it.
pub(super) type Gap = (GapReason, &'static str, u64, u64, Cursor);

pub(super) async fn gap(subscription: &mut Subscription) -> Gap {
    match frame(subscription).await {
        Frame::Gap { reason, stream, asked, first, cursor } => (reason, stream, asked.0, first.0, cursor),
        other => panic!("not a gap: {other:?}"),
    }
}

/// Names and data of the next events.
pub(super) async fn events(subscription: &mut Subscription, count: usize) -> Vec<(String, String)> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let (event, _) = event(subscription).await;
        taken.push((event.name.to_string(), event.data.get().to_owned()));
    }
    taken
}

/// A cursor with all its positions moved.
pub(super) fn moved(cursor: &Cursor, by: u64) -> Cursor {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor.to_string()).unwrap();
    for position in bytes[9..].chunks_exact_mut(9) {
        let revision = u64::from_be_bytes(position[1..].try_into().unwrap()) + by;
        position[1..].copy_from_slice(&revision.to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(bytes).parse().unwrap()
}
