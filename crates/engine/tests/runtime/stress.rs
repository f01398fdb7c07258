//! Workers that come, go, fail and wait at random, a store that does not always answer, and a crash in the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use claviger_core::{
    Bounds, Caller, Reach, Revision, Role, Timestamp,
    run::{RunId, StepId},
};
use claviger_engine::{
    Clock, WallClock,
    audit::Fact,
    runtime::{
        Connection, Frame, FrameEnd, FunctionError, FunctionSpec, Job, Known, Lookup, LookupSpace, Made, Outcome,
        Outgoing, Registration, Retryable, Runtime, Status,
    },
};
use claviger_store::{Filter, Record, Stream};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::{JoinSet, yield_now},
};

use crate::{
    cable::random,
    world::{World, admin, env, function, id, json, made, report_of, returned, scope, secret_version, within},
};

/// Where the body of a stored record begins: after format, signature and the revision before.
const BODY: usize = 1 + 32 + 8;
/// What a run of these seeds does at most at once.
const LIMIT: u32 = 3;

/// What the workers saw.
#[derive(Default)]
struct Book {
    /// The results that were acknowledged or shown.
    results: BTreeMap<(RunId, StepId), String>,
    runs: BTreeSet<RunId>,
    /// The versions of `TOKEN` that were told to workers that looked it up.
    told: BTreeSet<(RunId, u64)>,
}

type SharedBook = Arc<Mutex<Book>>;

/// How workers behave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Wild,
    Diligent,
}

fn functions() -> Vec<FunctionSpec> {
    let mut payout = function("payout");
    payout.retry.max_attempts = 100;
    payout.retry.max_delay = Duration::from_millis(5);
    let mut limited = function("limited");
    limited.concurrency = Some(LIMIT);
    (payout.lookups, limited.lookups) = (true, true);
    vec![payout, limited]
}

async fn connect(runtime: &Runtime, credit: u32) -> Option<(Connection, UnboundedReceiver<Outgoing>)> {
    let bounds = Arc::new(Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() });
    let caller = Caller { id: "worker-key".into(), role: Role::Runtime, reach: Reach::One(env()), bounds };
    let registration = Registration { environment: env(), functions: functions(), credit, worker: "w".to_owned() };
    runtime.connect(caller, registration).await.ok()
}

struct Actor {
    connection: Connection,
    inbox: UnboundedReceiver<Outgoing>,
    jobs: Vec<Job>,
    credit: u32,
    seed: u64,
    book: SharedBook,
}

impl Actor {
    /// Works until the connection is of no use any more, or it feels like leaving.
    async fn work(&mut self, mood: Mood) {
        loop {
            if self.jobs.is_empty() {
                let Some(outgoing) = self.inbox.recv().await else { return };
                self.hear(outgoing);
            }
            while let Ok(outgoing) = self.inbox.try_recv() {
                self.hear(outgoing);
            }
            if self.jobs.is_empty() {
                continue;
            }
            let chosen = usize::try_from(random(&mut self.seed)).unwrap_or(0) % self.jobs.len();
            let job = self.jobs.swap_remove(chosen);
            let mood_now = if mood == Mood::Wild { random(&mut self.seed) % 100 } else { 99 };
            if mood_now < 2 {
                return;
            }
            self.act(job, mood_now).await;
        }
    }

    fn hear(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Job(job) => {
                self.note(&job);
                self.jobs.push(*job);
                assert!(self.jobs.len() <= self.credit as usize, "more jobs than credit");
            }
            Outgoing::Cancel { run, fence, .. } => self.jobs.retain(|job| (job.run, job.fence) != (run, fence)),
            _ => {}
        }
    }

    /// A result that was seen once is what everybody sees later.
    fn note(&self, job: &Job) {
        let mut book = self.book.lock();
        book.runs.insert(job.run);
        for step in &job.steps {
            if let Known::Result(Some(result)) = &step.known {
                let known = book.results.entry((job.run, step.id.clone())).or_insert_with(|| result.get().to_owned());
                assert_eq!(known, result.get(), "step {} of {}", step.id, job.run);
            }
        }
    }

    async fn act(&mut self, job: Job, mood: u64) {
        if random(&mut self.seed).is_multiple_of(3) && !self.look_up(&job).await {
            return;
        }
        let step = format!("step {}", job.steps.len());
        let nonce = random(&mut self.seed).to_string();
        let soon = Timestamp(WallClock.now().0 + i64::try_from(random(&mut self.seed) % 20).unwrap_or(0));
        let timeout = Some(Duration::from_millis(random(&mut self.seed) % 60));
        let error = || FunctionError { name: "Error".to_owned(), message: "no luck".to_owned(), stack: None };
        let fail = |retryable| Some(FrameEnd::Fail { error: error(), retryable });
        let wait = || Made::Wait { pattern: "go.*".parse().unwrap(), condition: None, timeout };
        let invoke = || Made::Invoke { function: id("limited"), data: Some(json("1")), timeout: None };
        let send = || Made::Send { event: "go.on".parse().unwrap(), data: None };
        let may_invoke = job.function.as_str() == "payout";
        let (outcomes, ending) = match mood {
            0..8 => (Vec::new(), fail(Retryable::After(Duration::from_millis(2)))),
            8..10 => (Vec::new(), fail(Retryable::No)),
            10..22 => (vec![made(&step, Made::Sleep { until: soon })], Some(FrameEnd::Suspend)),
            22..30 => (vec![made(&step, wait())], Some(FrameEnd::Suspend)),
            30..36 if may_invoke => (vec![made(&step, invoke())], Some(FrameEnd::Suspend)),
            36..40 => (vec![made(&step, send())], None),
            40..75 => (vec![returned(&step, &nonce)], None),
            _ => (vec![returned(&step, &nonce)], Some(FrameEnd::Complete(Some(json(&nonce))))),
        };
        let goes_on = ending.is_none();
        let is_kept = self.report(&job, outcomes, ending).await;
        if is_kept && mood >= 40 {
            let mut book = self.book.lock();
            let known = book.results.entry((job.run, step.parse().unwrap())).or_insert_with(|| nonce.clone());
            assert_eq!(*known, nonce, "an acknowledged result is the first");
        }
        if is_kept && goes_on {
            // Everything again, as a function that is called anew with one more step behind it.
            self.report(&job, vec![made("nap", Made::Sleep { until: soon })], Some(FrameEnd::Suspend)).await;
        }
    }

    /// Looks a secret up, several times at once. Whether the job is held all the same, for all we know.
    async fn look_up(&mut self, job: &Job) -> bool {
        let mut asked: BTreeSet<String> = (0..1 + random(&mut self.seed) % 3).map(|n| n.to_string()).collect();
        for id in &asked {
            let lookup = Lookup {
                run: job.run,
                fence: job.fence,
                id: id.parse().unwrap(),
                name: "TOKEN".parse().unwrap(),
                environment: None,
                space: LookupSpace::OfJob,
            };
            self.connection.submit(Frame::Lookup(lookup)).unwrap();
        }
        while !asked.is_empty() {
            match self.inbox.recv().await {
                Some(Outgoing::Secret(answer)) if answer.fence == job.fence => {
                    assert!(asked.remove(answer.id.as_str()), "each is answered once");
                    let (version, value) = answer.found.expect("it is set");
                    assert_eq!(value.expose(), token(version).as_bytes());
                    self.book.lock().told.insert((job.run, version));
                }
                Some(Outgoing::Unanswered { fence, id, .. }) if fence == job.fence => {
                    assert!(asked.remove(id.as_str()), "each is answered once");
                }
                Some(Outgoing::Cancel { run, fence, .. }) if (run, fence) == (job.run, job.fence) => return false,
                Some(other) => self.hear(other),
                None => return false,
            }
        }
        true
    }

    /// Whether the frame was stored, for all we know.
    async fn report(&mut self, job: &Job, outcomes: Vec<Outcome>, ending: Option<FrameEnd>) -> bool {
        self.connection.submit(report_of(job, outcomes, ending)).unwrap();
        loop {
            match self.inbox.recv().await {
                Some(Outgoing::Ack(ack)) if ack.run == job.run && ack.fence == job.fence => return true,
                Some(Outgoing::Cancel { run, fence, .. }) if (run, fence) == (job.run, job.fence) => return false,
                Some(Outgoing::Refused { .. }) | None => return false,
                Some(other) => self.hear(other),
            }
        }
    }
}

/// Comes back whenever it has left.
async fn worker(runtime: Runtime, mut seed: u64, book: SharedBook) {
    loop {
        let credit = 1 + u32::try_from(random(&mut seed) % 4).unwrap_or(0);
        let Some((connection, inbox)) = connect(&runtime, credit).await else { return };
        let seed = random(&mut seed);
        Actor { connection, inbox, jobs: Vec::new(), credit, seed, book: book.clone() }.work(Mood::Wild).await;
        yield_now().await;
    }
}

/// Emits events, and cancels a run or rotates the secret now and then.
async fn emit(
    world: &World,
    count: u64,
    (seed, version): (&mut u64, &mut u64),
    book: &SharedBook,
) -> Vec<(String, Revision)> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(world.emit("payout.requested", "{}").await);
        if random(seed).is_multiple_of(4) {
            world.emit("go.on", "1").await;
        }
        let chosen = book.lock().runs.iter().nth(usize::try_from(random(seed) % 400).unwrap_or(0)).copied();
        if let Some(run) = chosen {
            // It may have ended, and the store may not answer.
            let _ = world.engine.runtime().cancel(&admin(), &env(), run, None).await;
        }
        if random(seed).is_multiple_of(16) {
            *version += 1;
            assert_eq!(world.set("TOKEN", &token(*version)).await, *version);
        }
        if random(seed).is_multiple_of(8) {
            tokio::time::sleep(Duration::from_millis(random(seed) % 8)).await;
        }
    }
    events
}

fn hire(world: &World, seed: &mut u64, book: &SharedBook) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        workers.spawn(worker(world.engine.runtime().clone(), random(seed), book.clone()));
    }
    workers
}

/// The value of a version of `TOKEN`.
fn token(version: u64) -> String {
    format!("token-number-{version}")
}

/// Whatever a worker was told stands in the journal of its run and in the audit.
async fn check_told(world: &World, book: &SharedBook) {
    let told = std::mem::take(&mut book.lock().told);
    assert!(!told.is_empty());
    let (mut entries, mut after) = (Vec::new(), Some(Revision::ZERO));
    while let Some(from) = after {
        let page = world.engine.audit().list(&admin(), &env(), from, 1_000).await.unwrap();
        entries.extend(page.items);
        after = page.next.map(|next| Revision(next.parse().expect("a revision")));
    }
    for (run, version) in told {
        let told = secret_version("TOKEN", version, None);
        let detail = world.run(run).await;
        assert!(detail.deliveries.iter().any(|delivery| delivery.secrets.contains(&told)), "{run} was told {version}");
        let is_entry = |fact: &Fact| matches!(fact, Fact::Delivered { run: of, secrets, .. } if *of == run && secrets.contains(&told));
        assert!(entries.iter().any(|entry| is_entry(&entry.fact)), "{run} was told {version}");
    }
}

/// What a journal says in the clear: how the run stood after each record, and which steps the record is the first to name.
fn journal(records: &[Record]) -> (Vec<bool>, Vec<String>) {
    let (mut ends, mut steps) = (Vec::new(), Vec::new());
    for record in records {
        let stored: serde_json::Value = serde_json::from_slice(&record.bytes[BODY..]).expect("a record's body");
        let status: Status = serde_json::from_value(stored["summary"]["status"].clone()).expect("a status");
        ends.push(status.has_ended());
        let outcomes = stored["entry"]["progressed"]["outcomes"].as_array().into_iter().flatten();
        steps.extend(outcomes.map(|outcome| outcome[0].as_str().expect("an id").to_owned()));
    }
    (ends, steps)
}

async fn check_journals(world: &World) {
    for subject in world.ledger.subjects(Stream::Runs, &Filter::All).await.unwrap() {
        let (ends, steps) = journal(&world.ledger.history(Stream::Runs, &subject).await.unwrap());
        assert_eq!(ends.iter().filter(|is_end| **is_end).count(), 1, "{subject} has one end");
        assert_eq!(ends.last(), Some(&true), "nothing follows the end of {subject}");
        assert_eq!(steps.iter().collect::<BTreeSet<_>>().len(), steps.len(), "{subject} stores a step once");
    }
}

/// Everything comes to its end, and then every slot is free.
async fn finish(world: &World, events: &[(String, Revision)], book: &SharedBook) {
    let mut crew = Vec::new();
    for credit in [1, 2, 5] {
        let (connection, inbox) = connect(world.engine.runtime(), credit).await.expect("a connection");
        crew.push(Actor { connection, inbox, jobs: Vec::new(), credit, seed: 7, book: book.clone() });
    }
    let all_ended = async {
        for event in events {
            let (event, patience) = ((event.0.as_str(), event.1), Duration::from_secs(30));
            let started = world.engine.runtime().event_runs(&admin(), &scope(None), event, patience).await.unwrap();
            assert!(started.dispatched);
            assert_eq!(started.runs.len(), 1, "one run of event {}", event.0);
            assert!(started.runs[0].info.status.has_ended(), "{:?}", started.runs[0].info);
        }
        // Invoked runs too, whose parents may have ended before.
        loop {
            let filter = claviger_engine::runtime::RunFilter { limit: 500, ..Default::default() };
            let listed = world.engine.runtime().runs(&admin(), &env(), filter).await.unwrap();
            if listed.items.iter().all(|run| run.status.has_ended()) {
                return;
            }
            yield_now().await;
        }
    };
    let [a, b, c] = &mut crew[..] else { panic!("three workers") };
    tokio::select! {
        () = all_ended => {}
        _ = async { tokio::join!(a.work(Mood::Diligent), b.work(Mood::Diligent), c.work(Mood::Diligent)) } => {
            panic!("the connections stand")
        }
    }
    for (name, wanted) in [("limited.requested", LIMIT), ("payout.requested", 1 + 2 + 5)] {
        for _ in 0..wanted {
            world.emit(name, "{}").await;
        }
        within(async {
            let mut held = 0;
            while held < wanted as usize {
                for actor in &mut crew {
                    while let Ok(outgoing) = actor.inbox.try_recv() {
                        actor.hear(outgoing);
                    }
                }
                held = crew.iter().map(|actor| actor.jobs.len()).sum();
                yield_now().await;
            }
        })
        .await;
        for actor in &mut crew {
            for job in std::mem::take(&mut actor.jobs) {
                assert!(actor.report(&job, Vec::new(), Some(FrameEnd::Complete(None))).await);
            }
        }
    }
}

async fn live_through(mut seed: u64) {
    let book = SharedBook::default();
    let world = World::new().await;
    let mut version = world.set("TOKEN", &token(1)).await;
    // The functions are known before the first event.
    drop(connect(world.engine.runtime(), 1).await);
    world.cable.weather(Some((random(&mut seed), 30)));
    let mut workers = hire(&world, &mut seed, &book);
    let mut events = emit(&world, 100, (&mut seed, &mut version), &book).await;
    // The process dies: its workers hear of it as a broken connection.
    world.cable.cut();
    workers.shutdown().await;
    let world = world.restarted().await;
    world.cable.weather(Some((random(&mut seed), 30)));
    let mut workers = hire(&world, &mut seed, &book);
    events.extend(emit(&world, 60, (&mut seed, &mut version), &book).await);
    world.cable.weather(None);
    workers.shutdown().await;
    finish(&world, &events, &book).await;
    check_journals(&world).await;
    check_told(&world, &book).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_every_event_has_one_run_that_ends_once() {
    for seed in [1, 2] {
        let lived = tokio::time::timeout(Duration::from_secs(60), live_through(seed)).await;
        assert!(lived.is_ok(), "seed {seed} did not come to its end");
    }
}
