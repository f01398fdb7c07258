//! A worker driven by hand: three steps, the last with the completion.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use claviger_core::{
    Bounds, Caller, Reach, Revision, Role,
    run::{Retry, RunId},
};
use claviger_engine::{
    Engine,
    events::NewEvent,
    runtime::{
        Ack, Connection, DeclaredSecret, Frame, FrameEnd, FunctionSpec, Job, JobReport, Json, Made, Outcome, Outgoing,
        Registration,
    },
};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{mpsc::UnboundedReceiver, oneshot};

use super::{admin, environment};

const STEPS: usize = 3;

/// Names of the declared secrets.
pub(super) const SECRETS: [&str; 5] = ["STRIPE_KEY", "LEDGER_TOKEN", "MAIL_PASSWORD", "WEBHOOK_SECRET", "REPORT_KEY"];

/// What an emitter waits for.
struct Awaited {
    emitted: Instant,
    ended: oneshot::Sender<()>,
}

/// What the worker and the emitters share.
#[derive(Default)]
struct Desk {
    awaited: Mutex<HashMap<Arc<str>, Awaited>>,
    starts: Mutex<Vec<Duration>>,
    jobs: AtomicUsize,
    events: AtomicUsize,
}

/// A connected worker.
pub(super) struct Worker {
    desk: Arc<Desk>,
}

impl Worker {
    /// Connects it.
    pub(super) async fn connect(engine: &Engine) -> Result<Worker> {
        let bounds = Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
        let caller = Caller {
            id: "worker".into(),
            role: Role::Runtime,
            reach: Reach::One(environment()?),
            bounds: Arc::new(bounds),
        };
        let registration = Registration {
            environment: environment()?,
            functions: vec![spec()?],
            credit: 256,
            worker: "bench".to_owned(),
        };
        let (connection, inbox) = engine.runtime().connect(caller, registration).await?;
        let desk = Arc::new(Desk::default());
        tokio::spawn(work(connection, inbox, desk.clone()));
        Ok(Worker { desk })
    }

    /// Emits an event and waits until its run has ended.
    pub(super) fn run(&self, engine: &Arc<Engine>) -> impl Future<Output = Result<()>> + Send + use<> {
        let (engine, desk) = (engine.clone(), self.desk.clone());
        async move {
            let id = format!("bench-{}", desk.events.fetch_add(1, Ordering::Relaxed));
            let (ended, end) = oneshot::channel();
            desk.awaited.lock().insert(id.as_str().into(), Awaited { emitted: Instant::now(), ended });
            let data = br#"{"amount":1200,"payee":"payee-4711","currency":"EUR"}"#.to_vec();
            let event = NewEvent { id: Some(id), name: "payout.requested".parse()?, data, space: None };
            engine.events().emit(&admin(), &environment()?, event).await?;
            end.await.context("the worker ended")
        }
    }

    /// Jobs that arrived.
    pub(super) fn jobs(&self) -> usize {
        self.desk.jobs.load(Ordering::Relaxed)
    }

    /// How long each took from the emit to the worker, since this was asked last.
    pub(super) fn take_starts(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.desk.starts.lock())
    }
}

fn spec() -> Result<FunctionSpec> {
    let secrets = SECRETS.iter().map(|name| Ok(DeclaredSecret { name: name.parse()?, required: true }));
    Ok(FunctionSpec {
        id: "payout".parse()?,
        triggers: vec!["payout.requested".parse()?],
        spaces: None,
        secrets: secrets.collect::<Result<_>>()?,
        lookups: false,
        retry: Retry::default(),
        concurrency: None,
        timeout: None,
    })
}

/// A job under way.
struct Busy {
    steps: usize,
    ended: oneshot::Sender<()>,
}

async fn work(connection: Connection, mut inbox: UnboundedReceiver<Outgoing>, desk: Arc<Desk>) -> Result<()> {
    let mut busy = HashMap::new();
    while let Some(outgoing) = inbox.recv().await {
        match outgoing {
            Outgoing::Job(job) => {
                desk.jobs.fetch_add(1, Ordering::Relaxed);
                start(&connection, &job, &desk, &mut busy)?;
            }
            Outgoing::Ack(ack) => go_on(&connection, &ack, &mut busy)?,
            other => anyhow::bail!("the engine said {other:?}"),
        }
    }
    Ok(())
}

fn start(connection: &Connection, job: &Job, desk: &Desk, busy: &mut HashMap<RunId, Busy>) -> Result<()> {
    anyhow::ensure!(job.secrets.len() == SECRETS.len(), "a job without its secrets");
    let Some(Awaited { emitted, ended }) = desk.awaited.lock().remove(&job.event.id) else { return Ok(()) };
    desk.starts.lock().push(emitted.elapsed());
    busy.insert(job.run, Busy { steps: 0, ended });
    report(connection, job.run, job.fence, 0)
}

fn go_on(connection: &Connection, ack: &Ack, busy: &mut HashMap<RunId, Busy>) -> Result<()> {
    if ack.ended {
        if let Some(busy) = busy.remove(&ack.run) {
            // Who emitted may have given up.
            let _ = busy.ended.send(());
        }
        return Ok(());
    }
    let job = busy.get_mut(&ack.run).context("an unknown run")?;
    job.steps += 1;
    report(connection, ack.run, ack.fence, job.steps)
}

fn report(connection: &Connection, run: RunId, fence: Revision, step: usize) -> Result<()> {
    let made = Made::Returned(Some(json(r#"{"id":"ch_1200","state":"done"}"#)?));
    let outcomes = vec![Outcome { id: format!("step-{step}").parse()?, made }];
    let ending = if step + 1 == STEPS { Some(FrameEnd::Complete(Some(json(r#"{"paid":true}"#)?))) } else { None };
    connection
        .submit(Frame::Report(JobReport { run, fence, outcomes, ending }))
        .expect("a worker that waits for its answers");
    Ok(())
}

fn json(text: &str) -> Result<Json> {
    Ok(RawValue::from_string(text.to_owned())?)
}
