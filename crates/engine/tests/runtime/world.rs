//! An engine on a store that outlives it, and workers driven by hand.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use claviger_core::{
    Bounds, Caller, EnvironmentName, FunctionId, Reach, Revision, Role, Scope, SecretName, SecretValue,
    run::{Retry, RunId},
};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Clock, Engine, Names, Parts, WallClock,
    events::NewEvent,
    runtime::{
        Ack, CancelReason, Connection, DeclaredSecret, Frame, FrameEnd, FunctionError, FunctionSpec, Job, Json, Made,
        Outcome, Outgoing, Registration, Retryable, RunDetail, Status,
    },
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
        secrets: Vec::new(),
        retry: Retry { max_attempts: 3, initial_delay: Duration::from_millis(5), ..Retry::default() },
        concurrency: None,
        timeout: None,
    }
}

pub(crate) fn declared(name: &str) -> DeclaredSecret {
    DeclaredSecret { name: name.parse().unwrap(), required: false }
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it happens in time")
}

impl World {
    pub(crate) async fn new() -> World {
        World::on(Arc::new(MemoryLedger::new())).await
    }

    pub(crate) async fn on(ledger: Arc<dyn Ledger>) -> World {
        World::with(ledger, Arc::new(MemoryIndex::new())).await
    }

    async fn with(ledger: Arc<dyn Ledger>, index: Arc<MemoryIndex>) -> World {
        let cable = Arc::new(Cable::new(ledger.clone()));
        let queue = Arc::new(MemoryQueue::new());
        World { engine: open(cable.clone(), queue, index.clone(), Arc::new(WallClock)).await, ledger, cable, index }
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
        World::with(self.ledger, self.index).await
    }

    pub(crate) async fn set(&self, name: &str, value: &str) -> u64 {
        let scope = Scope::environment(env());
        let name: SecretName = name.parse().unwrap();
        let value = SecretValue::new(value.as_bytes().to_vec());
        let set = SetSecret { value, description: None, short: Short::Refuse, expected: None };
        let outcome = self.engine.vault().set(&admin(), &scope, &name, set).await.unwrap();
        outcome.secret.secret.latest
    }

    pub(crate) async fn emit(&self, name: &str, data: &str) -> (String, Revision) {
        self.emit_as(None, name, data).await
    }

    pub(crate) async fn emit_as(&self, id: Option<&str>, name: &str, data: &str) -> (String, Revision) {
        let event = NewEvent { id: id.map(str::to_owned), name: name.parse().unwrap(), data: data.as_bytes().to_vec() };
        let emitted = self.engine.events().emit(&admin(), &env(), event).await.unwrap();
        (emitted.id.to_string(), emitted.revision)
    }

    pub(crate) async fn worker(&self, functions: Vec<FunctionSpec>, credit: u32) -> Worker {
        let bounds = Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
        let caller =
            Caller { id: "worker-key".into(), role: Role::Runtime, reach: Reach::One(env()), bounds: Arc::new(bounds) };
        self.worker_of(caller, functions, credit).await
    }

    pub(crate) async fn worker_of(&self, caller: Caller, functions: Vec<FunctionSpec>, credit: u32) -> Worker {
        let registration = Registration { environment: env(), functions, credit, worker: "test".to_owned() };
        let (connection, inbox) = self.engine.runtime().connect(caller, registration).await.unwrap();
        Worker { connection, inbox, jobs: VecDeque::new() }
    }

    /// The runs of an event once it was dispatched.
    pub(crate) async fn runs_of(&self, event: &(String, Revision)) -> Vec<RunDetail> {
        let runtime = self.engine.runtime();
        let runs = runtime.event_runs(&admin(), &env(), (&event.0, event.1), Duration::ZERO).await.unwrap();
        runs.runs
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
        within(async {
            loop {
                if let Some(run) = self.runs_of(event).await.into_iter().find(|run| run.info.status == status) {
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
    pub(crate) async fn job(&mut self) -> Job {
        if let Some(job) = self.jobs.pop_front() {
            return job;
        }
        match within(self.inbox.recv()).await {
            Some(Outgoing::Job(job)) => *job,
            other => panic!("expected a job, got {other:?}"),
        }
    }

    pub(crate) async fn ack(&mut self) -> Ack {
        loop {
            match within(self.inbox.recv()).await {
                Some(Outgoing::Ack(ack)) => return ack,
                Some(Outgoing::Job(job)) => self.jobs.push_back(*job),
                other => panic!("expected an ack, got {other:?}"),
            }
        }
    }

    pub(crate) async fn cancelled(&mut self) -> CancelReason {
        match within(self.inbox.recv()).await {
            Some(Outgoing::Cancel { reason, .. }) => reason,
            other => panic!("expected a cancel, got {other:?}"),
        }
    }

    pub(crate) fn send(&self, job: &Job, outcomes: Vec<Outcome>, ending: Option<FrameEnd>) {
        self.connection.submit(Frame { run: job.run, fence: job.fence, outcomes, ending }).unwrap();
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

pub(crate) fn returned(id: &str, result: &str) -> Outcome {
    Outcome { id: id.parse().unwrap(), made: Made::Returned(Some(json(result))) }
}

pub(crate) fn made(id: &str, made: Made) -> Outcome {
    Outcome { id: id.parse().unwrap(), made }
}

pub(crate) fn id(text: &str) -> FunctionId {
    text.parse().unwrap()
}
