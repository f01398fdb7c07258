//! Who can take a job: connected workers, their credit, and the functions' limits.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use claviger_core::{
    Caller, EnvironmentName, FunctionId, SpaceName,
    run::{Run, RunId},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc::UnboundedSender};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{FunctionSpec, Outgoing, lookups::Questions};

/// A function of an environment: what jobs are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    pub(crate) environment: EnvironmentName,
    pub(crate) function: FunctionId,
}

/// A connected worker.
pub(crate) struct Session {
    pub(crate) id: u64,
    /// Names this server process and the session; stands in the claims it holds.
    pub(crate) holder: Arc<str>,
    pub(crate) caller: Caller,
    pub(crate) functions: HashMap<FunctionId, Arc<FunctionSpec>>,
    pub(crate) outbox: UnboundedSender<Outgoing>,
    /// The look-ups it waits for.
    pub(crate) questions: Questions,
    /// The runs it holds; `None` once its connection has ended.
    held: Mutex<Option<HashSet<RunId>>>,
}

impl Session {
    pub(crate) fn new(
        id: u64,
        holder: Arc<str>,
        caller: Caller,
        functions: HashMap<FunctionId, Arc<FunctionSpec>>,
        outbox: UnboundedSender<Outgoing>,
    ) -> Session {
        let (questions, held) = (Questions::default(), Mutex::new(Some(HashSet::new())));
        Session { id, holder, caller, functions, outbox, questions, held }
    }

    /// Notes that it holds a run. False when its connection has ended: nobody would give the run back.
    pub(crate) fn holds(&self, run: RunId) -> bool {
        self.held.lock().as_mut().map(|held| held.insert(run)).is_some()
    }

    pub(crate) fn no_longer_holds(&self, run: RunId) {
        if let Some(held) = self.held.lock().as_mut() {
            held.remove(&run);
        }
    }

    /// The runs it holds.
    pub(crate) fn held(&self) -> Vec<RunId> {
        self.held.lock().iter().flatten().copied().collect()
    }

    pub(crate) fn jobs(&self) -> usize {
        self.held.lock().as_ref().map_or(0, HashSet::len)
    }

    /// Notes that its connection has ended. Answers what is to be given back.
    pub(crate) fn end(&self) -> HashSet<RunId> {
        self.held.lock().take().unwrap_or_default()
    }
}

struct Entry {
    session: Arc<Session>,
    environment: EnvironmentName,
    credit: u32,
    is_draining: bool,
}

/// A topic with workers.
struct Served {
    sessions: Vec<u64>,
    /// Whose turn it is.
    turn: usize,
    /// Told when no run of the topic waits any more, as far as is known here.
    cleared: Arc<Notify>,
    /// Cancelled when the last worker has gone.
    gone: CancellationToken,
    _goes: DropGuard,
}

/// What whoever listens for a topic's hints has to know of its workers.
pub(crate) struct News {
    pub(crate) cleared: Arc<Notify>,
    pub(crate) gone: CancellationToken,
}

impl Served {
    fn new() -> Served {
        let gone = CancellationToken::new();
        Served { sessions: Vec::new(), turn: 0, cleared: Arc::default(), _goes: gone.clone().drop_guard(), gone }
    }
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<u64, Entry>,
    serving: HashMap<Topic, Served>,
    running: HashMap<Topic, u32>,
    /// Topics with offered runs that found no slot, with the turn in which each is served.
    backlog: HashMap<Topic, u64>,
    turns: u64,
    /// Runs that were offered and that no free worker may have: those that may are busy, or not here.
    aside: HashMap<(Topic, Option<SpaceName>), HashSet<RunId>>,
}

/// The workers of this process. One short lock; nothing waits while holding it.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    inner: Arc<Mutex<Inner>>,
    /// Told when a slot may have become free for a topic that waits.
    pub(crate) freed: Arc<Notify>,
}

/// The right to hand one job to one worker; given back when dropped.
pub(crate) struct Slot {
    pool: Pool,
    topic: Topic,
    pub(crate) session: Arc<Session>,
    /// What the worker declared for the function.
    pub(crate) spec: Arc<FunctionSpec>,
}

impl Slot {
    /// The environment of the job.
    pub(crate) fn environment(&self) -> &EnvironmentName {
        &self.topic.environment
    }

    /// The function of the job.
    pub(crate) fn function(&self) -> &FunctionId {
        &self.topic.function
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.pool.inner.lock();
        if let Some(entry) = inner.sessions.get_mut(&self.session.id) {
            entry.credit += 1;
        }
        if let Some(running) = inner.running.get_mut(&self.topic) {
            *running = running.saturating_sub(1);
        }
        if !inner.backlog.is_empty() || !inner.aside.is_empty() {
            self.pool.freed.notify_one();
        }
    }
}

impl Pool {
    /// Answers the topics that had no workers before.
    pub(crate) fn join(&self, session: Arc<Session>, environment: EnvironmentName, credit: u32) -> Vec<(Topic, News)> {
        let mut inner = self.inner.lock();
        let mut new = Vec::new();
        for function in session.functions.keys() {
            let topic = Topic { environment: environment.clone(), function: function.clone() };
            let served = inner.serving.entry(topic.clone()).or_insert_with(Served::new);
            if served.sessions.is_empty() {
                new.push((topic, News { cleared: served.cleared.clone(), gone: served.gone.clone() }));
            }
            served.sessions.push(session.id);
        }
        inner.sessions.insert(session.id, Entry { session, environment, credit, is_draining: false });
        self.freed.notify_one();
        new
    }

    pub(crate) fn leave(&self, session: &Session) {
        let mut inner = self.inner.lock();
        let Some(entry) = inner.sessions.remove(&session.id) else { return };
        for function in session.functions.keys() {
            let topic = Topic { environment: entry.environment.clone(), function: function.clone() };
            if let Some(served) = inner.serving.get_mut(&topic) {
                served.sessions.retain(|id| *id != session.id);
                if served.sessions.is_empty() {
                    inner.serving.remove(&topic);
                }
            }
        }
    }

    pub(crate) fn drain(&self, session: &Session) {
        if let Some(entry) = self.inner.lock().sessions.get_mut(&session.id) {
            entry.is_draining = true;
        }
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.inner.lock().sessions.values().map(|entry| entry.session.clone()).collect()
    }

    /// Workers connected for a function.
    pub(crate) fn workers(&self, topic: &Topic) -> usize {
        self.inner.lock().serving.get(topic).map_or(0, |served| served.sessions.len())
    }

    /// A slot for a new run in a space, unless others wait before it.
    pub(crate) fn acquire_if_first(
        &self,
        topic: &Topic,
        limit: Option<u32>,
        space: Option<&SpaceName>,
    ) -> Option<Slot> {
        let mut inner = self.inner.lock();
        if inner.backlog.contains_key(topic) {
            return None;
        }
        self.take(&mut inner, (topic, limit), |caller| caller.reaches_space(space))
    }

    /// A slot for a run that waits, in whichever space it is.
    pub(crate) fn acquire(&self, topic: &Topic, limit: Option<u32>) -> Option<Slot> {
        self.take(&mut self.inner.lock(), (topic, limit), |_| true)
    }

    /// A slot for a run in a space, in exchange for another one: of a worker that is for that space.
    pub(crate) fn exchange(&self, slot: Slot, limit: Option<u32>, space: Option<&SpaceName>) -> Option<Slot> {
        if slot.session.caller.reaches_space(space) {
            return Some(slot);
        }
        let topic = slot.topic.clone();
        drop(slot);
        self.take(&mut self.inner.lock(), (&topic, limit), |caller| caller.reaches_space(space))
    }

    fn take(
        &self,
        inner: &mut Inner,
        (topic, limit): (&Topic, Option<u32>),
        suits: impl Fn(&Caller) -> bool,
    ) -> Option<Slot> {
        let running = inner.running.get(topic).copied().unwrap_or(0);
        if limit.is_some_and(|limit| running >= limit) {
            return None;
        }
        let Inner { sessions, serving, .. } = inner;
        let Served { sessions: ids, turn, .. } = serving.get_mut(topic)?;
        for step in 0..ids.len() {
            let at = (*turn + step) % ids.len();
            let Some(entry) = sessions.get_mut(&ids[at]) else { continue };
            let Some(spec) = entry.session.functions.get(&topic.function) else { continue };
            if entry.credit > 0 && !entry.is_draining && suits(&entry.session.caller) {
                entry.credit -= 1;
                *turn = at + 1;
                let (session, spec) = (entry.session.clone(), spec.clone());
                *inner.running.entry(topic.clone()).or_default() += 1;
                return Some(Slot { pool: self.clone(), topic: topic.clone(), session, spec });
            }
        }
        None
    }

    /// Notes that a run waits for a worker that is for its space. Whoever looks at the run takes it back.
    pub(crate) fn set_aside(&self, topic: &Topic, space: Option<&SpaceName>, run: RunId) {
        self.inner.lock().aside.entry((topic.clone(), space.cloned())).or_default().insert(run);
        // One may have become free meanwhile.
        self.freed.notify_one();
    }

    /// Forgets that a run was set aside.
    pub(crate) fn take_back(&self, run: &Run) {
        let mut inner = self.inner.lock();
        if inner.aside.is_empty() {
            return;
        }
        let topic = Topic { environment: run.environment.clone(), function: run.function.clone() };
        let key = (topic, run.cause.space.clone());
        let Some(runs) = inner.aside.get_mut(&key) else { return };
        runs.remove(&run.id);
        if runs.is_empty() {
            inner.aside.remove(&key);
        }
    }

    /// Runs that were set aside, taken back, with a slot for each: of a worker that is for its space.
    pub(crate) fn suited(&self, limit: impl Fn(&Topic) -> Option<u32>) -> Vec<(Topic, RunId, Slot)> {
        let mut inner = self.inner.lock();
        let mut aside = std::mem::take(&mut inner.aside);
        let mut suited = Vec::new();
        aside.retain(|(topic, space), runs| {
            let limit = limit(topic);
            while let Some(run) = runs.iter().next().copied() {
                let suits = |caller: &Caller| caller.reaches_space(space.as_ref());
                let Some(slot) = self.take(&mut inner, (topic, limit), suits) else { return true };
                runs.remove(&run);
                suited.push((topic.clone(), run, slot));
            }
            false
        });
        inner.aside = aside;
        suited
    }

    /// Notes that runs of the topic wait, behind those that wait already, and wakes the pump.
    pub(crate) fn wait_for(&self, topic: Topic) {
        let mut inner = self.inner.lock();
        inner.turns += 1;
        let turn = inner.turns;
        inner.backlog.entry(topic).or_insert(turn);
        self.freed.notify_one();
    }

    /// Notes that none waits any more.
    pub(crate) fn is_clear(&self, topic: &Topic) {
        let mut inner = self.inner.lock();
        if inner.backlog.remove(topic).is_some()
            && let Some(served) = inner.serving.get(topic)
        {
            served.cleared.notify_one();
        }
    }

    /// Whether some wait.
    pub(crate) fn has_waiting(&self, topic: &Topic) -> bool {
        self.inner.lock().backlog.contains_key(topic)
    }

    /// The topics with runs that wait, each in its turn.
    pub(crate) fn waiting(&self) -> Vec<Topic> {
        let inner = self.inner.lock();
        let mut waiting: Vec<_> = inner.backlog.iter().map(|(topic, turn)| (*turn, topic.clone())).collect();
        waiting.sort_unstable_by_key(|(turn, _)| *turn);
        waiting.into_iter().map(|(_, topic)| topic).collect()
    }
}
