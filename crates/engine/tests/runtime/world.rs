//! An engine on a store that outlives it, and workers driven by hand.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use claviger_core::{
    Bounds, Caller, EnvironmentName, FunctionId, Reach, Revision, Role, Scope, SecretName, SecretValue,
    run::{Retry, RunId},
    secret::SecretVersion,
};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Clock, Engine, Names, Parts, WallClock,
    access::NewApiKey,
    events::NewEvent,
    runtime::{
        Ack, CancelReason, Connection, DeclaredSecret, Frame, FrameEnd, FunctionError, FunctionSpec, HEARTBEAT_EVERY,
        Job, JobReport, Json, Lookup, LookupSpace, Made, Outcome, Outgoing, Registration, Retryable, RunDetail, Status,
    },
    spaces::NewSpace,
    vault::{SetSecret, Short},
};
use claviger_store::{Ledger, MemoryIndex, MemoryLedger, MemoryQueue, Queue};

use crate::cable::Cable;
use serde_json::value::RawValue;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Long enough for anything that happens at all; waited out only when a test fails.
const PATIENCE: Duration = Duration::from_secs(100);

/// How often something is asked for that tells of itself to nobody.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(crate) struct World {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) cable: Arc<Cable>,
    pub(crate) index: Arc<MemoryIndex>,
    pub(crate) engine: Engine,
}

pub(crate) fn env() -> EnvironmentName {
    "default".parse().unwrap()
}

pub(crate) fn admin() -> Caller {
    claviger_engine::access::system_caller()
}

pub(crate) fn json(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(crate) fn function(id: &str) -> FunctionSpec {
    FunctionSpec {
        id: id.parse().unwrap(),
        triggers: vec![format!("{id}.requested").parse().unwrap()],
        spaces: None,
        secrets: Vec::new(),
        lookups: false,
        retry: Retry { max_attempts: 3, initial_delay: Duration::from_millis(5), ..Retry::default() },
        concurrency: None,
        timeout: None,
    }
}

/// A function that looks secrets up.
pub(crate) fn listener(id: &str) -> FunctionSpec {
    FunctionSpec { lookups: true, ..function(id) }
}

/// Of the environment, or of a space of it.
pub(crate) fn scope(space: Option<&str>) -> Scope {
    Scope { environment: env(), space: space.map(|space| space.parse().unwrap()) }
}

/// A worker's key, narrowed to what is given but for secrets.
pub(crate) fn caller(bounds: Bounds) -> Caller {
    let bounds = Bounds { secrets: vec!["*".to_owned()], ..bounds };
    Caller { id: "worker-key".into(), role: Role::Runtime, reach: Reach::One(env()), bounds: Arc::new(bounds) }
}

/// The same, narrowed to spaces.
pub(crate) fn caller_in(spaces: &[&str]) -> Caller {
    let spaces = Some(spaces.iter().map(|space| space.parse().unwrap()).collect());
    caller(Bounds { spaces, ..Bounds::default() })
}

pub(crate) fn declared(name: &str) -> DeclaredSecret {
    DeclaredSecret { name: name.parse().unwrap(), required: false }
}

/// A function that cannot do without these secrets.
pub(crate) fn needy(id: &str, secrets: &[&str]) -> FunctionSpec {
    let required = |name: &&str| DeclaredSecret { required: true, ..declared(name) };
    FunctionSpec { secrets: secrets.iter().map(required).collect(), ..function(id) }
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it happens in time")
}

impl World {
    pub(crate) async fn new() -> World {
        World::on(Arc::new(MemoryLedger::new())).await
    }

    pub(crate) async fn on(ledger: Arc<dyn Ledger>) -> World {
        World::with(ledger, Arc::new(MemoryIndex::new()), Arc::new(WallClock)).await
    }

    /// One with a clock of its own.
    pub(crate) async fn by(clock: Arc<dyn Clock>) -> World {
        World::with(Arc::new(MemoryLedger::new()), Arc::new(MemoryIndex::new()), clock).await
    }

    async fn with(ledger: Arc<dyn Ledger>, index: Arc<MemoryIndex>, clock: Arc<dyn Clock>) -> World {
        let cable = Arc::new(Cable::new(ledger.clone()));
        let queue = Arc::new(MemoryQueue::new());
        World { engine: open(cable.clone(), queue, index.clone(), clock).await, ledger, cable, index }
    }

    /// One of several engines on the same store.
    pub(crate) async fn node(ledger: Arc<dyn Ledger>, queue: Arc<dyn Queue>, clock: Arc<dyn Clock>) -> World {
        let (cable, index) = (Arc::new(Cable::of_many(ledger.clone())), Arc::new(MemoryIndex::new()));
        World { engine: open(cable.clone(), queue, index.clone(), clock).await, ledger, cable, index }
    }

    /// It dies: it reaches the store no more, and nothing is given back.
    pub(crate) fn die(self) {
        self.cable.cut();
        drop(self.engine);
    }

    /// What a crash and a restart leave: the store, and nothing else. The old engine reaches it no more.
    pub(crate) async fn restarted(self) -> World {
        self.cable.cut();
        drop(self.engine);
        World::with(self.ledger, self.index, Arc::new(WallClock)).await
    }

    pub(crate) async fn set(&self, name: &str, value: &str) -> u64 {
        self.set_in(&scope(None), name, value).await
    }

    pub(crate) async fn set_in(&self, scope: &Scope, name: &str, value: &str) -> u64 {
        let name: SecretName = name.parse().unwrap();
        let value = SecretValue::new(value.as_bytes().to_vec());
        let set = SetSecret { value, description: None, short: Short::Refuse, expected: None };
        let outcome = self.engine.vault().set(&admin(), scope, &name, set).await.unwrap();
        outcome.secret.secret.latest
    }

    pub(crate) async fn space(&self, name: &str) {
        let new = NewSpace { name: name.parse().unwrap(), metadata: json("{}") };
        self.engine.spaces().create(&admin(), &env(), new).await.unwrap();
    }

    pub(crate) async fn emit(&self, name: &str, data: &str) -> (String, Revision) {
        self.emit_as(None, name, data).await
    }

    pub(crate) async fn emit_as(&self, id: Option<&str>, name: &str, data: &str) -> (String, Revision) {
        self.emit_in(None, id, (name, data)).await
    }

    pub(crate) async fn emit_in(
        &self,
        space: Option<&str>,
        id: Option<&str>,
        (name, data): (&str, &str),
    ) -> (String, Revision) {
        let (id, space) = (id.map(str::to_owned), space.map(|space| space.parse().unwrap()));
        let event = NewEvent { id, name: name.parse().unwrap(), data: data.as_bytes().to_vec(), space };
        let emitted = self.engine.events().emit(&admin(), &env(), event).await.unwrap();
        (emitted.id.to_string(), emitted.revision)
    }

    pub(crate) async fn worker(&self, functions: Vec<FunctionSpec>, credit: u32) -> Worker {
        self.worker_of(caller(Bounds::default()), functions, credit).await
    }

    pub(crate) async fn worker_of(&self, caller: Caller, functions: Vec<FunctionSpec>, credit: u32) -> Worker {
        let registration = Registration { environment: env(), functions, credit, worker: "test".to_owned() };
        let (connection, inbox) = self.engine.runtime().connect(caller, registration).await.unwrap();
        Worker { connection, inbox, jobs: VecDeque::new() }
    }

    /// A worker that has one job, of an event without data.
    pub(crate) async fn worker_with_job(&self) -> (Worker, Job) {
        let mut worker = self.worker(vec![function("payout")], 1).await;
        self.emit("payout.requested", "{}").await;
        let job = worker.job().await;
        (worker, job)
    }

    /// A worker with a key of its own, which comes first: its id.
    pub(crate) async fn worker_with_key(&self, function: FunctionSpec) -> (Arc<str>, Worker) {
        let new = NewApiKey {
            role: Role::Runtime,
            environment: Some(env()),
            description: None,
            bounds: Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() },
            ttl: None,
        };
        let access = self.engine.access();
        let (created, key) = access.create_api_key(&admin(), new).await.unwrap();
        let caller = access.admit(&key).await.unwrap();
        (created.id, self.worker_of(caller, vec![function], 1).await)
    }

    /// The runs of an event once it was dispatched.
    pub(crate) async fn runs_of(&self, event: &(String, Revision)) -> Vec<RunDetail> {
        self.runs_in(None, event).await
    }

    /// The same of an event of a space.
    async fn runs_in(&self, space: Option<&str>, event: &(String, Revision)) -> Vec<RunDetail> {
        let (runtime, scope) = (self.engine.runtime(), scope(space));
        let runs = runtime.event_runs(&admin(), &scope, (&event.0, event.1), Duration::ZERO).await.unwrap();
        runs.runs
    }

    /// The runs of an event of a space, or of the environment itself, all of them: none will be added.
    pub(crate) async fn all_runs_of(&self, space: Option<&str>, event: &(String, Revision)) -> Vec<RunDetail> {
        let scope = scope(space);
        within(async {
            loop {
                let runtime = self.engine.runtime();
                let runs = runtime.event_runs(&admin(), &scope, (&event.0, event.1), Duration::ZERO).await.unwrap();
                if runs.dispatched {
                    return runs.runs;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await
    }

    pub(crate) async fn run(&self, id: RunId) -> RunDetail {
        self.engine.runtime().run(&admin(), &env(), id).await.unwrap()
    }

    /// Waits until the run has a status.
    pub(crate) async fn reaches(&self, id: RunId, status: Status) -> RunDetail {
        within(async {
            loop {
                if let Ok(run) = self.engine.runtime().run(&admin(), &env(), id).await
                    && run.info.status == status
                {
                    return run;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await
    }

    /// Waits until an event has a run of a status, and answers the run.
    pub(crate) async fn run_with(&self, event: &(String, Revision), status: Status) -> RunDetail {
        self.run_in(None, event, status).await
    }

    /// The same of an event of a space.
    pub(crate) async fn run_in(&self, space: Option<&str>, event: &(String, Revision), status: Status) -> RunDetail {
        within(async {
            loop {
                if let Some(run) = self.runs_in(space, event).await.into_iter().find(|run| run.info.status == status) {
                    return run;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await
    }
}

async fn open(ledger: Arc<Cable>, queue: Arc<dyn Queue>, index: Arc<MemoryIndex>, clock: Arc<dyn Clock>) -> Engine {
    let mut hex = KEY.as_bytes().to_vec();
    let master = MasterKey::from_hex(&mut hex).unwrap();
    Engine::open(Parts { ledger, queue, index, master, clock, names: Names::Plain }).await.unwrap()
}

pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) inbox: UnboundedReceiver<Outgoing>,
    /// Jobs that arrived while something else was expected.
    pub(crate) jobs: VecDeque<Job>,
}

impl Worker {
    /// What comes next but for changes of what was looked up: some that were made before are told only later.
    pub(crate) async fn hear(&mut self) -> Option<Outgoing> {
        loop {
            match within(self.inbox.recv()).await {
                Some(Outgoing::Changed { .. }) => {}
                other => return other,
            }
        }
    }

    pub(crate) async fn job(&mut self) -> Job {
        if let Some(job) = self.jobs.pop_front() {
            return job;
        }
        match self.hear().await {
            Some(Outgoing::Job(job)) => *job,
            other => panic!("expected a job, got {other:?}"),
        }
    }

    pub(crate) async fn ack(&mut self) -> Ack {
        loop {
            match self.hear().await {
                Some(Outgoing::Ack(ack)) => return ack,
                Some(Outgoing::Job(job)) => self.jobs.push_back(*job),
                other => panic!("expected an ack, got {other:?}"),
            }
        }
    }

    pub(crate) async fn cancelled(&mut self) -> CancelReason {
        match self.hear().await {
            Some(Outgoing::Cancel { reason, .. }) => reason,
            other => panic!("expected a cancel, got {other:?}"),
        }
    }

    /// Asks for a secret by name.
    pub(crate) fn ask(&self, job: &Job, id: &str, name: &str) {
        self.ask_in(job, id, (name, None, LookupSpace::OfJob));
    }

    pub(crate) fn ask_in(&self, job: &Job, id: &str, (name, environment, space): (&str, Option<&str>, LookupSpace)) {
        let (id, name) = (id.parse().unwrap(), name.parse().unwrap());
        let environment = environment.map(|environment| environment.parse().unwrap());
        let lookup = Lookup { run: job.run, fence: job.fence, id, name, environment, space };
        self.connection.submit(Frame::Lookup(lookup)).unwrap();
    }

    /// The next answer to a look-up: its id, and what was found.
    pub(crate) async fn found(&mut self) -> (String, Option<(u64, String)>) {
        let answer = match self.hear().await {
            Some(Outgoing::Secret(answer)) => answer,
            other => panic!("expected a secret, got {other:?}"),
        };
        let text = |value: &SecretValue| String::from_utf8(value.expose().to_vec()).unwrap();
        (answer.id.to_string(), answer.found.map(|(version, value)| (version, text(&value))))
    }

    /// Waits until the job is told of a change, and what it is a change to is to be found.
    pub(crate) async fn changes_to(&mut self, job: &Job, name: &str, expected: Option<(u64, &str)>) {
        let expected = expected.map(|(version, value)| (version, value.to_owned()));
        loop {
            match within(self.inbox.recv()).await {
                Some(Outgoing::Changed { run, fence, name: changed }) => {
                    assert_eq!((run, fence, changed.as_str()), (job.run, job.fence, name));
                }
                other => panic!("expected to hear of a change, got {other:?}"),
            }
            // It may have been one before.
            if self.look_up(job, name).await == expected {
                return;
            }
        }
    }

    /// Looks a secret up where the job is.
    pub(crate) async fn look_up(&mut self, job: &Job, name: &str) -> Option<(u64, String)> {
        self.ask(job, "1", name);
        self.found().await.1
    }

    /// Nothing happens but so many heartbeats.
    pub(crate) async fn beats(&self, times: u32) {
        for _ in 0..times {
            tokio::time::sleep(HEARTBEAT_EVERY).await;
            self.connection.heartbeat();
        }
    }

    pub(crate) fn send(&self, job: &Job, outcomes: Vec<Outcome>, ending: Option<FrameEnd>) {
        self.connection.submit(report_of(job, outcomes, ending)).unwrap();
    }

    pub(crate) async fn report(&mut self, job: &Job, outcomes: Vec<Outcome>) -> Ack {
        self.send(job, outcomes, None);
        self.ack().await
    }

    pub(crate) async fn suspend(&mut self, job: &Job, outcomes: Vec<Outcome>) {
        self.send(job, outcomes, Some(FrameEnd::Suspend));
        assert!(self.ack().await.ended);
    }

    pub(crate) async fn complete(&mut self, job: &Job, result: &str) {
        self.send(job, Vec::new(), Some(FrameEnd::Complete(Some(json(result)))));
        assert!(self.ack().await.ended);
    }

    pub(crate) async fn fail(&mut self, job: &Job, message: &str, retryable: Retryable) {
        let error = FunctionError { name: "Error".to_owned(), message: message.to_owned(), stack: None };
        self.send(job, Vec::new(), Some(FrameEnd::Fail { error, retryable }));
        assert!(self.ack().await.ended);
    }
}

pub(crate) fn secret_version(name: &str, version: u64, space: Option<&str>) -> SecretVersion {
    SecretVersion { name: name.parse().unwrap(), version, space: space.map(|space| space.parse().unwrap()) }
}

pub(crate) fn report_of(job: &Job, outcomes: Vec<Outcome>, ending: Option<FrameEnd>) -> Frame {
    Frame::Report(JobReport { run: job.run, fence: job.fence, outcomes, ending })
}

pub(crate) fn returned(id: &str, result: &str) -> Outcome {
    Outcome { id: id.parse().unwrap(), made: Made::Returned(Some(json(result))) }
}

pub(crate) fn made(id: &str, made: Made) -> Outcome {
    Outcome { id: id.parse().unwrap(), made }
}

pub(crate) fn id(text: &str) -> FunctionId {
    text.parse().unwrap()
}
