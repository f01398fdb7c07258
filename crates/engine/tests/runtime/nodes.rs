//! Several engines on one store.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use claviger_core::Timestamp;
use claviger_engine::{
    Clock, Error,
    events::Frame as EventFrame,
    runtime::{CancelReason, HEARTBEAT_EVERY, Known, LEASE, Made, Outgoing, Status},
};
use claviger_store::{Filter, Ledger, MemoryLedger, MemoryQueue, Queue, Record, Stream};
use tokio::time::{Instant, sleep};

use crate::{
    cable::{Fault, random},
    world::{Worker, World, admin, env, function, id, json, made, needy, returned, scope, within},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Sooner than anything that happens only because somebody looks from time to time.
const PROMPTLY: Duration = Duration::from_secs(1);
/// Where the body of a stored record begins: after format, signature and the revision before.
const BODY: usize = 1 + 32 + 8;

/// What the engines share.
pub(crate) struct Store {
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn Queue>,
}

/// A clock that may be wrong: it follows the test's time, with an offset.
struct OwnClock {
    began: Instant,
    offset: AtomicI64,
}

impl OwnClock {
    fn new() -> Arc<OwnClock> {
        Arc::new(OwnClock { began: Instant::now(), offset: AtomicI64::new(0) })
    }

    fn jump_to(&self, offset: i64) {
        self.offset.store(offset, Ordering::SeqCst);
    }
}

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        Timestamp(1_700_000_000_000 + passed + self.offset.load(Ordering::SeqCst))
    }
}

fn hour() -> i64 {
    i64::try_from(HOUR.as_millis()).unwrap()
}

impl Store {
    pub(crate) fn new() -> Store {
        Store { ledger: Arc::new(MemoryLedger::new()), queue: Arc::new(MemoryQueue::new()) }
    }

    pub(crate) async fn node(&self) -> World {
        self.node_with(OwnClock::new()).await
    }

    async fn node_with(&self, clock: Arc<OwnClock>) -> World {
        World::node(self.ledger.clone(), self.queue.clone(), clock).await
    }

    pub(crate) async fn check(&self, runs: usize) {
        check(&*self.ledger, runs).await;
    }
}

async fn journals(ledger: &dyn Ledger) -> Vec<Vec<Record>> {
    let mut journals = Vec::new();
    for subject in ledger.subjects(Stream::Runs, &Filter::All).await.unwrap() {
        journals.push(ledger.history(Stream::Runs, &subject).await.unwrap());
    }
    journals
}

/// Every run has ended, once; no step was stored twice; whatever was reported was reported by the holder of the claim.
pub(crate) async fn check(ledger: &dyn Ledger, runs: usize) {
    let journals = journals(ledger).await;
    assert_eq!(journals.len(), runs);
    for journal in journals {
        let bodies: Vec<serde_json::Value> =
            journal.iter().map(|record| serde_json::from_slice(&record.bytes[BODY..]).unwrap()).collect();
        let ends = bodies.iter().filter(|body| is_end(body)).count();
        assert_eq!((ends, is_end(bodies.last().unwrap())), (1, true), "{bodies:#?}");
        let outcomes = |body: &serde_json::Value| {
            let outcomes = body["entry"]["progressed"]["outcomes"].as_array().cloned().unwrap_or_default();
            outcomes.into_iter().map(|outcome| outcome[0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let steps: Vec<String> = bodies.iter().flat_map(outcomes).collect();
        assert_eq!(steps.iter().collect::<BTreeSet<_>>().len(), steps.len(), "{bodies:#?}");
        let mut claim = None;
        for (record, body) in journal.iter().zip(&bodies) {
            let is_claim = !body["entry"]["claimed"].is_null() || !body["entry"]["created"]["claim"].is_null();
            if is_claim {
                claim = Some(record.revision.0);
            }
            if let Some(fence) = body["entry"]["progressed"]["fence"].as_u64() {
                assert_eq!(Some(fence), claim, "{bodies:#?}");
            }
        }
    }
}

fn is_end(body: &serde_json::Value) -> bool {
    serde_json::from_value::<Status>(body["summary"]["status"].clone()).unwrap().has_ended()
}

/// Two engines, and what they share.
pub(crate) async fn two_nodes() -> (Store, World, World) {
    let store = Store::new();
    let (a, b) = (store.node().await, store.node().await);
    (store, a, b)
}

/// Revokes a key as soon as this node has heard of it.
pub(crate) async fn revoke(node: &World, id: &str) {
    within(async {
        while let Err(error) = node.engine.access().revoke_api_key(&admin(), id).await {
            assert!(matches!(error, Error::ApiKeyNotFound), "{error}");
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn payout_worker(world: &World) -> Worker {
    world.worker(vec![function("payout")], 1).await
}

#[tokio::test(start_paused = true)]
async fn a_worker_on_one_node_serves_what_another_emits() {
    let (store, a, b) = two_nodes().await;
    let mut worker = payout_worker(&b).await;
    for _ in 0..3 {
        let began = Instant::now();
        let event = a.emit("payout.requested", "{}").await;
        let job = worker.job().await;
        assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
        worker.complete(&job, "7").await;
        // Whoever waits for it on the other node hears of it at once.
        let patience = Duration::from_secs(30);
        let runs = a.engine.runtime().event_runs(&admin(), &scope(None), (&event.0, event.1), patience).await.unwrap();
        assert_eq!(runs.runs[0].info.status, Status::Completed);
        assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
    }
    store.check(3).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_on_another_node_hears_of_the_end_promptly() {
    let (_, a, b) = two_nodes().await;
    let mut worker = payout_worker(&b).await;
    let event = a.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    let ended_at = async {
        sleep(Duration::from_millis(300)).await;
        worker.complete(&job, "7").await;
        Instant::now()
    };
    let runtime = a.engine.runtime();
    let waited = async {
        let runs = runtime.event_runs(&admin(), &scope(None), (&event.0, event.1), HOUR).await.unwrap();
        assert_eq!(runs.runs[0].info.status, Status::Completed);
        Instant::now()
    };
    let (ended_at, heard_at) = tokio::join!(ended_at, waited);
    assert!(heard_at.duration_since(ended_at) < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_handed_to_the_node_that_has_room() {
    let store = Store::new();
    let (a, b, c) = (store.node().await, store.node().await, store.node().await);
    let mut busy = payout_worker(&a).await;
    a.emit("payout.requested", "1").await;
    let held = busy.job().await;
    // Created while its own node has no room, and nobody else has a worker.
    a.emit("payout.requested", "2").await;
    let event = a.emit("payout.requested", "3").await;
    a.run_with(&event, Status::Queued).await;
    let (mut of_b, mut of_c) = (payout_worker(&b).await, payout_worker(&c).await);
    let (second, third) = (of_b.job().await, of_c.job().await);
    assert_ne!(second.run, third.run);
    of_b.complete(&second, "null").await;
    of_c.complete(&third, "null").await;
    busy.complete(&held, "null").await;
    store.check(3).await;
}

#[tokio::test(start_paused = true)]
async fn when_a_node_dies_another_goes_on_where_it_stopped() {
    let (store, a, b) = two_nodes().await;
    let (mut first, job) = a.worker_with_job().await;
    first.report(&job, vec![returned("charge", "7")]).await;
    let died_at = Instant::now();
    a.die();
    let mut second = payout_worker(&b).await;
    let again = second.job().await;
    assert!(died_at.elapsed() < LEASE + Duration::from_secs(10), "{:?}", died_at.elapsed());
    assert_eq!((again.run, again.attempt), (job.run, 1));
    assert!(matches!(&again.steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    second.report(&again, vec![returned("charge", "8"), returned("send", "1")]).await;
    second.complete(&again, "null").await;
    let run = b.run(job.run).await;
    assert_eq!(run.steps.len(), 2);
    let released = journals(&*store.ledger).await.concat().into_iter().any(|record| {
        let body: serde_json::Value = serde_json::from_slice(&record.bytes[BODY..]).unwrap();
        body["entry"]["released"]["lost"] == true
    });
    assert!(released, "its worker counts as lost");
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_longer_than_a_lease_keeps_its_claim() {
    let (store, a, b) = two_nodes().await;
    let mut first = payout_worker(&a).await;
    let mut second = payout_worker(&b).await;
    a.emit("payout.requested", "{}").await;
    let job = first.job().await;
    first.beats(30).await;
    first.complete(&job, "7").await;
    assert!(second.inbox.try_recv().is_err());
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_hears_that_its_claim_is_gone() {
    let (store, a, b) = two_nodes().await;
    let mut first = payout_worker(&a).await;
    let mut second = payout_worker(&b).await;
    a.emit("payout.requested", "{}").await;
    let job = first.job().await;
    // It sends no heartbeats, as if it could not.
    let again = second.job().await;
    assert_eq!(again.run, job.run);
    assert_eq!(first.cancelled().await, CancelReason::Lost);
    first.send(&job, vec![returned("charge", "1")], None);
    assert_eq!(first.cancelled().await, CancelReason::Lost);
    second.complete(&again, "null").await;
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_costs_nobody_a_claim() {
    let (store, a, b) = two_nodes().await;
    let mut first = payout_worker(&a).await;
    let mut second = payout_worker(&b).await;
    a.emit("payout.requested", "{}").await;
    let job = first.job().await;
    first.beats(5).await;
    a.cable.cut();
    b.cable.cut();
    first.beats(10).await;
    a.cable.mend();
    b.cable.mend();
    first.beats(15).await;
    first.complete(&job, "7").await;
    assert!(second.inbox.try_recv().is_err());
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_closes_hands_its_jobs_on_at_once() {
    let (store, a, b) = two_nodes().await;
    let (first, job) = a.worker_with_job().await;
    let mut second = payout_worker(&b).await;
    let began = Instant::now();
    let leave = async {
        drop(first);
        a.engine.close().await;
    };
    let (again, ()) = tokio::join!(second.job(), leave);
    assert_eq!(again.run, job.run);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    second.complete(&again, "null").await;
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_the_worker_on_another_node() {
    let (store, a, b) = two_nodes().await;
    let (mut worker, job) = b.worker_with_job().await;
    let began = Instant::now();
    a.engine.runtime().cancel(&admin(), &env(), job.run, None).await.unwrap();
    assert_eq!(worker.cancelled().await, CancelReason::Cancelled);
    assert!(began.elapsed() < PROMPTLY);
    // Its slot is free again.
    b.emit("payout.requested", "{}").await;
    let next = worker.job().await;
    worker.complete(&next, "null").await;
    store.check(2).await;
}

#[tokio::test(start_paused = true)]
async fn waits_outlive_their_node_with_what_happened_meanwhile() {
    for name in ["payment.done", "system.secret.PAID.created"] {
        let (store, a, b) = two_nodes().await;
        // Before the wait: it does not count.
        b.emit("payment.done", "0").await;
        b.set("EARLIER", "some-value-long-enough").await;
        let (mut worker, job) = a.worker_with_job().await;
        let wait = Made::Wait { pattern: name.parse().unwrap(), condition: None, timeout: None };
        worker.suspend(&job, vec![made("paid", wait)]).await;
        a.die();
        // Nobody watches at the moment.
        b.emit("payment.done", "1").await;
        b.set("PAID", "some-value-long-enough").await;
        let mut worker = payout_worker(&b).await;
        let again = worker.job().await;
        let Known::Result(Some(event)) = &again.steps[0].known else { panic!("{name}") };
        let event: serde_json::Value = serde_json::from_str(event.get()).unwrap();
        assert_eq!(event["name"], name);
        if name == "payment.done" {
            assert_eq!(event["data"], 1);
        }
        worker.complete(&again, "null").await;
        store.check(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sleeps_and_invocations_outlive_their_node() {
    let store = Store::new();
    let clock = OwnClock::new();
    let (a, b) = (store.node_with(clock.clone()).await, store.node_with(clock.clone()).await);
    let mut worker = a.worker(vec![function("payout"), function("child")], 4).await;
    a.emit("payout.requested", "{}").await;
    a.emit("payout.requested", "{}").await;
    let (sleeper, parent) = (worker.job().await, worker.job().await);
    let until = Timestamp(clock.now().0 + 60_000);
    worker.suspend(&sleeper, vec![made("nap", Made::Sleep { until })]).await;
    let invoke = Made::Invoke { function: id("child"), data: Some(json("1")), timeout: None };
    worker.suspend(&parent, vec![made("call", invoke)]).await;
    let child = worker.job().await;
    a.die();
    let mut worker = b.worker(vec![function("payout"), function("child")], 4).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 3 {
        let job = worker.job().await;
        assert!(seen.insert(job.run), "each once");
        if job.run == sleeper.run {
            assert!(clock.now() >= until);
        }
        worker.complete(&job, "null").await;
    }
    assert!(seen.contains(&child.run));
    store.check(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_hears_of_an_end_that_its_node_did_not_live_to_tell() {
    let store = Store::new();
    let (a, b, c) = (store.node().await, store.node().await, store.node().await);
    let mut worker = a.worker(vec![function("payout"), function("child")], 4).await;
    a.emit("payout.requested", "{}").await;
    let parent = worker.job().await;
    let invoke = Made::Invoke { function: id("child"), data: Some(json("1")), timeout: None };
    worker.suspend(&parent, vec![made("call", invoke)]).await;
    let child = worker.job().await;
    // By then every node knows of the parent, and that its child goes on.
    worker.connection.heartbeat();
    worker.beats(9).await;
    sleep(HEARTBEAT_EVERY).await;
    // The child's end is stored, and nothing after it.
    a.cable.befall(&[Fault::None, Fault::Unstored]);
    worker.complete(&child, "7").await;
    let ended_at = Instant::now();
    a.die();
    let mut workers = [b.worker(vec![function("payout")], 1).await, c.worker(vec![function("payout")], 1).await];
    let [of_b, of_c] = &mut workers;
    let (again, worker) = tokio::select! {
        job = of_b.job() => (job, of_b),
        job = of_c.job() => (job, of_c),
    };
    assert_eq!(again.run, parent.run);
    assert!(ended_at.elapsed() < LEASE, "{:?}", ended_at.elapsed());
    assert!(matches!(&again.steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    worker.complete(&again, "null").await;
    store.check(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_session_of_a_key_that_was_revoked_elsewhere_changes_nothing_although_the_tail_is_silent() {
    let (store, a, b) = two_nodes().await;
    let (key, mut worker) = b.worker_with_key(function("payout")).await;
    b.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    worker.report(&job, vec![returned("charge", "7")]).await;
    b.cable.silence(Some(Stream::Access));
    let revoked_at = Instant::now();
    revoke(&a, &key).await;
    sleep(PROMPTLY).await;
    let before = (journals(&*store.ledger).await.concat().len(), events(&store).await.len());
    let send = made("tell", Made::Send { event: "order.paid".parse().unwrap(), data: None });
    worker.send(&job, vec![send], None);
    // Long enough for a lease to be renewed.
    worker.beats(1).await;
    sleep(PROMPTLY * 3).await;
    assert!(worker.inbox.try_recv().is_err(), "nobody can tell yet");
    b.cable.silence(None);
    match within(worker.inbox.recv()).await {
        Some(Outgoing::Refused { error: claviger_engine::Error::UnknownApiKey, .. }) => {}
        other => panic!("{other:?}"),
    }
    worker.connection.heartbeat();
    sleep(PROMPTLY).await;
    assert!(revoked_at.elapsed() < LEASE, "nobody took the run over yet");
    assert_eq!((journals(&*store.ledger).await.concat().len(), events(&store).await.len()), before);
}

async fn events(store: &Store) -> Vec<Record> {
    store.ledger.read(Stream::Events, &Filter::All, claviger_core::Revision::ZERO, 10).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_blocked_run_goes_on_when_the_secret_is_set_on_another_node() {
    let (store, a, b) = two_nodes().await;
    let mut worker = a.worker(vec![needy("payout", &["PAID"])], 1).await;
    let event = a.emit("payout.requested", "{}").await;
    a.run_with(&event, Status::Blocked).await;
    let began = Instant::now();
    b.set("PAID", "some-value-long-enough").await;
    let job = worker.job().await;
    assert!(began.elapsed() < PROMPTLY);
    worker.complete(&job, "null").await;
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_sent_before_its_node_died_is_not_sent_again() {
    let (store, a, b) = two_nodes().await;
    let (first, job) = a.worker_with_job().await;
    let send = || made("tell", Made::Send { event: "order.paid".parse().unwrap(), data: Some(json("7")) });
    // The event is stored, and the journal does not say so.
    a.cable.fill_up(Some(Stream::Runs));
    first.send(&job, vec![send()], None);
    within(async {
        while a.cable.refused() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    a.die();
    let mut second = payout_worker(&b).await;
    let again = second.job().await;
    assert!(again.steps.is_empty());
    let ack = second.report(&again, vec![send()]).await;
    let Known::Result(Some(sent)) = &ack.steps[0].known else { panic!("{ack:?}") };
    let sent: serde_json::Value = serde_json::from_str(sent.get()).unwrap();
    second.complete(&again, "null").await;
    let events = events(&store).await;
    assert_eq!(events.len(), 2, "what started the run, and what it sent");
    assert_eq!(sent["revision"], events[1].revision.0);
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_on_one_node_gets_what_another_writes_in_order() {
    let (_, a, b) = two_nodes().await;
    let patterns = vec!["order.*".parse().unwrap()];
    let mut subscription = b.engine.events().subscribe(&admin(), &env(), patterns, None, None).await.unwrap();
    for at in 0..50 {
        a.emit("order.created", &at.to_string()).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        match within(subscription.next()).await.expect("no end") {
            EventFrame::Event { event, .. } => seen.push(event.data.get().parse::<u32>().unwrap()),
            EventFrame::Ready { .. } => {}
            EventFrame::Gap { .. } => panic!("a gap"),
        }
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_takes_no_claim_away_and_keeps_no_event_from_its_run() {
    for offset in [hour(), -hour()] {
        let store = Store::new();
        let clock = OwnClock::new();
        let (a, b) = (store.node().await, store.node_with(clock.clone()).await);
        let mut first = payout_worker(&a).await;
        a.emit("payout.requested", "1").await;
        let job = first.job().await;
        clock.jump_to(offset);
        let mut second = payout_worker(&b).await;
        // What the node with the wrong clock registers and emits counts all the same.
        let mut other = b.worker(vec![function("other")], 1).await;
        let began = Instant::now();
        for node in [&a, &b] {
            node.emit("other.requested", "{}").await;
            let job = other.job().await;
            other.complete(&job, "null").await;
        }
        assert!(began.elapsed() < PROMPTLY);
        first.beats(12).await;
        assert!(second.inbox.try_recv().is_err(), "the claim stands");
        first.complete(&job, "7").await;
        store.check(3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_a_node_with_a_wrong_clock_lapses_as_soon_as_any_other() {
    for offset in [hour(), -hour()] {
        let store = Store::new();
        let clock = OwnClock::new();
        let (a, b) = (store.node_with(clock.clone()).await, store.node().await);
        let mut first = payout_worker(&a).await;
        clock.jump_to(offset);
        a.emit("payout.requested", "1").await;
        let job = first.job().await;
        let died_at = Instant::now();
        a.die();
        let mut second = payout_worker(&b).await;
        let again = second.job().await;
        assert_eq!(again.run, job.run);
        assert!(died_at.elapsed() < LEASE + Duration::from_secs(10), "{:?}", died_at.elapsed());
        second.complete(&again, "null").await;
        store.check(1).await;
    }
}

/// A worker that takes its time, disappears now and then, and otherwise does its jobs.
async fn careless(world: &World, mut seed: u64) {
    loop {
        let mut worker = world.worker(vec![function("payout")], 2).await;
        let lifetime = sleep(Duration::from_secs(random(&mut seed) % 200));
        let work = async {
            loop {
                match worker.inbox.recv().await {
                    Some(Outgoing::Job(job)) => {
                        let step = format!("step {}", job.steps.len());
                        sleep(Duration::from_millis(random(&mut seed) % 20_000)).await;
                        worker.connection.heartbeat();
                        worker.send(&job, vec![returned(&step, "1")], None);
                        sleep(Duration::from_millis(random(&mut seed) % 40_000)).await;
                        let ending = claviger_engine::runtime::FrameEnd::Complete(Some(json("1")));
                        worker.send(&job, Vec::new(), Some(ending));
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = lifetime => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_jump_and_every_run_ends_once() {
    for mut seed in [1, 2] {
        let store = Store::new();
        let clocks = [OwnClock::new(), OwnClock::new()];
        let (a, b) = (store.node_with(clocks[0].clone()).await, store.node_with(clocks[1].clone()).await);
        drop(payout_worker(&a).await);
        for node in [&a, &b] {
            node.cable.weather(Some((random(&mut seed), 40)));
        }
        let mut events = Vec::new();
        let seeds = [random(&mut seed), random(&mut seed)];
        let live = async {
            for at in 0..20_u64 {
                let node = if at % 2 == 0 { &a } else { &b };
                events.push(node.emit("payout.requested", "{}").await);
                sleep(Duration::from_millis(random(&mut seed) % 10_000)).await;
                let offset = [0, hour(), -hour()][usize::try_from(random(&mut seed) % 3).unwrap()];
                clocks[usize::try_from(random(&mut seed) % 2).unwrap()].jump_to(offset);
            }
            let runtime = a.engine.runtime();
            for (id, revision) in &events {
                let runs = runtime.event_runs(&admin(), &scope(None), (id, *revision), 3 * HOUR).await.unwrap();
                assert_eq!(runs.runs.len(), 1);
                assert!(runs.runs[0].info.status.has_ended(), "{:?}", runs.runs[0].info);
            }
        };
        tokio::select! {
            () = live => {}
            () = careless(&a, seeds[0]) => {}
            () = careless(&b, seeds[1]) => {}
        }
        store.check(20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn three_nodes_share_the_work_and_create_each_run_once() {
    let store = Store::new();
    let nodes = [store.node().await, store.node().await, store.node().await];
    let mut workers = Vec::new();
    for node in &nodes {
        workers.push(node.worker(vec![function("payout")], 3).await);
    }
    let work = |mut worker: Worker| async move {
        let mut jobs = 0;
        while let Ok(Some(outgoing)) = tokio::time::timeout(Duration::from_secs(20), worker.inbox.recv()).await {
            let Outgoing::Job(job) = outgoing else { continue };
            jobs += 1;
            sleep(Duration::from_millis(500)).await;
            let ending = claviger_engine::runtime::FrameEnd::Complete(None);
            worker.send(&job, Vec::new(), Some(ending));
        }
        jobs
    };
    let emit = async {
        for at in 0..90 {
            nodes[at % 3].emit("payout.requested", &at.to_string()).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let (jobs, ()) = tokio::join!(futures_util::future::join_all(workers.into_iter().map(work)), emit);
    assert_eq!(jobs.iter().sum::<u32>(), 90, "each job was done once: {jobs:?}");
    assert!(jobs.iter().all(|jobs| *jobs >= 10), "{jobs:?}");
    store.check(90).await;
}
