//! One server's way to a store that others write to as well, with everything that may be wrong about it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use claviger_core::{Caller, Incarnation, Revision, Role, Timestamp};
use claviger_engine::{
    Clock, Engine, Error, Names, Parts,
    access::{NewApiKey, system_caller},
};
use claviger_store::{
    Append, Bounds, Expected, Filter, Index, Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Record, Result, Stream,
    Subject, Tail,
};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::support::{environment, master};

/// What all servers share.
pub(super) struct Sea {
    inner: MemoryLedger,
    clock: Arc<SetClock>,
}

/// One server's view of it.
pub(super) struct Node {
    sea: Arc<Sea>,
    /// The streams whose tails are silent, each with the end of the stream as far as this server knows.
    silent: watch::Sender<HashMap<Stream, Revision>>,
    /// The streams whose barriers get no answer.
    cut_off: watch::Sender<HashSet<Stream>>,
    /// So many reads of a subject's last record are still answered with the one before it.
    stale: AtomicU32,
    /// What the store has lost: everything after these revisions.
    lost: Mutex<HashMap<Stream, Revision>>,
    barriers: AtomicU64,
    pub(super) index: Arc<dyn Index>,
}

#[derive(Default)]
pub(super) struct SetClock(AtomicI64);

impl SetClock {
    pub(super) fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

impl Sea {
    pub(super) fn new() -> Arc<Sea> {
        Arc::new(Sea { inner: MemoryLedger::new(), clock: Arc::default() })
    }

    pub(super) fn clock(&self) -> &SetClock {
        &self.clock
    }

    /// A server that has not been here before.
    pub(super) fn node(self: &Arc<Sea>) -> Arc<Node> {
        self.node_with(Arc::new(MemoryIndex::new()))
    }

    /// A server that comes back with its index.
    pub(super) fn node_with(self: &Arc<Sea>, index: Arc<dyn Index>) -> Arc<Node> {
        Arc::new(Node {
            sea: self.clone(),
            silent: watch::Sender::default(),
            cut_off: watch::Sender::default(),
            stale: AtomicU32::new(0),
            lost: Mutex::default(),
            barriers: AtomicU64::new(0),
            index,
        })
    }
}

fn control() -> Subject {
    Subject::new(&["control"])
}

impl Node {
    pub(super) async fn engine(self: &Arc<Node>) -> Engine {
        self.try_engine().await.expect("the engine opens")
    }

    pub(super) async fn try_engine(self: &Arc<Node>) -> std::result::Result<Engine, Error> {
        Engine::open(Parts {
            ledger: self.clone(),
            queue: Arc::new(MemoryQueue::new()),
            index: self.index.clone(),
            master: master(7),
            clock: self.sea.clock.clone(),
            names: Names::Plain,
        })
        .await
    }

    /// From now on the tail of a stream says nothing, and the server knows of nothing new.
    pub(super) async fn silence(&self, stream: Stream) {
        let end = self.end(stream).await.expect("the end of the stream");
        self.silent.send_modify(|silent| {
            silent.insert(stream, end);
        });
    }

    /// From now on barriers get no answer.
    pub(super) fn cut_off(&self) {
        self.cut_off.send_replace(Stream::ALL.into());
    }

    /// From now on the barriers of a stream get no answer.
    pub(super) fn cut_off_from(&self, stream: Stream) {
        self.cut_off.send_replace([stream].into());
    }

    /// Everything works again.
    pub(super) fn heal(&self) {
        self.silent.send_replace(HashMap::new());
        self.cut_off.send_replace(HashSet::new());
        self.stale.store(0, Ordering::SeqCst);
        self.lost.lock().clear();
    }

    /// Has the next reads of a last record answered with the one before it.
    pub(super) fn answer_late(&self, reads: u32) {
        self.stale.store(reads, Ordering::SeqCst);
    }

    /// Has the store lose everything after a revision.
    pub(super) fn lose_after(&self, stream: Stream, revision: u64) {
        self.lost.lock().insert(stream, Revision(revision));
    }

    /// Barriers that were begun.
    pub(super) fn barriers(&self) -> u64 {
        self.barriers.load(Ordering::SeqCst)
    }

    fn shows(&self, stream: Stream, record: &Record) -> bool {
        let is_lost = self.lost.lock().get(&stream).is_some_and(|end| record.revision > *end);
        !is_lost && record.subject != control()
    }

    async fn visible(&self, stream: Stream, filter: &Filter, after: Revision) -> Result<Vec<Record>> {
        let mut records = self.sea.inner.read(stream, filter, after, usize::MAX).await?;
        records.retain(|record| self.shows(stream, record));
        Ok(records)
    }

    async fn end(&self, stream: Stream) -> Result<Revision> {
        let records = self.visible(stream, &Filter::All, Revision::ZERO).await?;
        Ok(records.last().map_or(Revision::ZERO, |record| record.revision))
    }
}

#[async_trait]
impl Ledger for Node {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        // The window of message ids is over at once: what relies on more than a guard is noticed.
        let batch = batch.into_iter().map(|append| Append { message_id: None, ..append }).collect();
        self.sea.inner.append(batch).await
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        let mut kept = self.history(stream, subject).await?;
        let is_late = self.stale.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_late {
            kept.pop();
        }
        Ok(kept.pop())
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        self.visible(stream, &Filter::Exact(subject.clone()), Revision::ZERO).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        let mut subjects = self.sea.inner.subjects(stream, filter).await?;
        subjects.retain(|subject| *subject != control());
        Ok(subjects)
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        let mut records = self.visible(stream, filter, after).await?;
        records.truncate(limit);
        Ok(records)
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        let silent = self.silent.subscribe();
        let tail = self.sea.inner.tail(stream, filter, after).filter(|record| {
            let is_shown = record.as_ref().map_or(true, |record| record.subject != control());
            std::future::ready(is_shown)
        });
        let held = move |record| {
            let mut silent = silent.clone();
            async move {
                // The node is gone when this fails, and so is whoever follows.
                let _ = silent.wait_for(|silent| !silent.contains_key(&stream)).await;
                record
            }
        };
        tail.then(held).boxed()
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.sea.inner.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.sea.inner.purge(stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.barriers.fetch_add(1, Ordering::SeqCst);
        let mut cut_off = self.cut_off.subscribe();
        let _ = cut_off.wait_for(|cut_off| !cut_off.contains(&stream)).await;
        let barrier = Append::new(stream, control(), Vec::new(), Expected::Any);
        self.sea.inner.append(vec![barrier]).await.remove(0)?;
        self.end(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        let known = self.silent.borrow().get(&stream).copied();
        let last = match known {
            Some(known) => known,
            None => self.end(stream).await?,
        };
        Ok(Bounds { last, ..self.sea.inner.bounds(stream).await? })
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.sea.inner.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.sea.inner.incarnation()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn close(&self) {}
}

/// An API key in the default environment, and its id.
pub(super) async fn api_key(engine: &Engine, role: Role) -> (String, String) {
    let secrets = if role == Role::Runtime { vec!["*".to_owned()] } else { Vec::new() };
    let bounds = claviger_core::Bounds { secrets, ..claviger_core::Bounds::default() };
    let new = NewApiKey { role, environment: Some(environment()), description: None, bounds, ttl: None };
    let (info, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    (key.to_string(), info.id.to_string())
}

/// Whoever presents a key that another server may have made a moment ago.
pub(super) async fn admitted(engine: &Engine, key: &str) -> Caller {
    loop {
        match engine.access().admit(key).await {
            Ok(caller) => return caller,
            Err(Error::UnknownApiKey) => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub(super) async fn revoke(engine: &Engine, id: &str) {
    engine.access().revoke_api_key(&system_caller(), id).await.expect("revoked");
}
