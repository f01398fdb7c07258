//! Several engines on real NATS servers.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use claviger_core::{Revision, Timestamp};
use claviger_engine::{
    Clock, Error, WallClock,
    events::{Frame as EventFrame, NewEvent},
    runtime::{CancelReason, EventRuns, FrameEnd, HEARTBEAT_EVERY, Known, LEASE, Made, Outgoing, Status},
};
use claviger_store::{NatsLedger, NatsOptions, NatsQueue};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions, SyncInterval};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::{
    nodes::check,
    world::{Worker, World, admin, env, function, made, returned, scope, within},
};

/// What is loose on a busy machine, and still sooner than anything that happens because somebody looks again.
const PROMPTLY: Duration = Duration::from_millis(1_500);

/// The machine's clock, which may be put wrong.
#[derive(Default)]
struct WrongClock(AtomicI64);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp(WallClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

async fn node(urls: Vec<String>) -> World {
    node_with(NatsOptions::new(urls), Arc::new(WallClock)).await
}

async fn node_with(options: NatsOptions, clock: Arc<dyn Clock>) -> World {
    let ledger = NatsLedger::connect(options).await.unwrap();
    let queue = NatsQueue::open(ledger.connection()).await.unwrap();
    World::node(Arc::new(ledger), Arc::new(queue), clock).await
}

async fn payout_worker(world: &World, credit: u32) -> Worker {
    world.worker(vec![function("payout")], credit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_serve_each_others_events() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let (a, b) = (node(server.urls()).await, node(server.urls()).await);
    let mut worker = payout_worker(&b, 1).await;
    let patterns = vec!["payout.requested".parse().unwrap()];
    let mut subscription = b.engine.events().subscribe(&admin(), &env(), patterns, None, None).await.unwrap();
    for at in 0..5 {
        let began = Instant::now();
        let event = a.emit("payout.requested", &at.to_string()).await;
        let job = worker.job().await;
        worker.complete(&job, "7").await;
        let patience = Duration::from_secs(30);
        let runs = a.engine.runtime().event_runs(&admin(), &scope(None), (&event.0, event.1), patience).await.unwrap();
        assert_eq!(runs.runs[0].info.status, Status::Completed);
        assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
        let data = loop {
            if let EventFrame::Event { event, .. } = within(subscription.next()).await.expect("no end") {
                break event.data.get().to_owned();
            }
        };
        assert_eq!(data, at.to_string());
    }
    // Cancelled on one node, stopped on the other.
    a.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    let began = Instant::now();
    a.engine.runtime().cancel(&admin(), &env(), job.run, None).await.unwrap();
    assert_eq!(worker.cancelled().await, CancelReason::Cancelled);
    assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
    check(&*a.ledger, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_on_three_servers_do_every_job_once() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.unwrap();
    let nodes = [node(cluster.urls()).await, node(cluster.urls()).await, node(cluster.urls()).await];
    let mut workers = Vec::new();
    for node in &nodes {
        workers.push(payout_worker(node, 2).await);
    }
    let work = |mut worker: Worker| async move {
        let mut jobs = 0;
        while let Ok(Some(outgoing)) = timeout(Duration::from_secs(5), worker.inbox.recv()).await {
            let Outgoing::Job(job) = outgoing else { continue };
            jobs += 1;
            worker.send(&job, vec![returned("charge", "1")], Some(FrameEnd::Complete(None)));
        }
        jobs
    };
    let emit = async {
        for at in 0..60 {
            nodes[at % 3].emit("payout.requested", &at.to_string()).await;
        }
    };
    let (jobs, ()) = tokio::join!(futures_util::future::join_all(workers.into_iter().map(work)), emit);
    assert_eq!(jobs.iter().sum::<u32>(), 60, "{jobs:?}");
    check(&*nodes[0].ledger, 60).await;
}

/// Emits until it is acknowledged: with its id that is harmless.
async fn emitted(node: &World, id: &str) -> Revision {
    let again = async {
        loop {
            let event = NewEvent {
                id: Some(id.to_owned()),
                name: "payout.requested".parse().unwrap(),
                data: b"{}".to_vec(),
                space: None,
            };
            if let Ok(emitted) = node.engine.events().emit(&admin(), &env(), event).await {
                return emitted.revision;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    within(again).await
}

/// The runs of an event, once all have ended. Asks until it is answered: servers may still be on their way back.
async fn ended(node: &World, id: &str, revision: Revision) -> EventRuns {
    let again = async {
        loop {
            let patience = Duration::from_secs(90);
            let runs = node.engine.runtime().event_runs(&admin(), &scope(None), (id, revision), patience).await;
            match runs {
                Err(Error::Store(claviger_store::Error::Unavailable { .. })) => sleep(Duration::from_millis(50)).await,
                runs => return runs.unwrap(),
            }
        }
    };
    within(again).await
}

/// Does every job it gets, and goes on for as long as it is asked to.
async fn diligent(mut worker: Worker) {
    while let Some(outgoing) = worker.inbox.recv().await {
        let Outgoing::Job(job) = outgoing else { continue };
        worker.send(&job, vec![returned("charge", "1")], None);
        worker.send(&job, Vec::new(), Some(FrameEnd::Complete(None)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_killed_in_turn_and_every_run_ends_once() {
    const EVENTS: usize = 45;
    let options = ServerOptions { sync: SyncInterval::Always, ..ServerOptions::default() };
    let cluster = NatsCluster::start(options, Routes::Direct).await.unwrap();
    let (a, b) = (node(cluster.urls()).await, node(cluster.urls()).await);
    let workers = [payout_worker(&a, 4).await, payout_worker(&b, 4).await];
    let emit = async {
        let mut events = Vec::new();
        for at in 0..EVENTS {
            let id = format!("event-{at}");
            let revision = emitted(if at % 2 == 0 { &a } else { &b }, &id).await;
            events.push((id, revision));
            sleep(Duration::from_millis(100)).await;
        }
        for (id, revision) in &events {
            let runs = ended(&a, id, *revision).await.runs;
            assert_eq!(runs.len(), 1, "{id}");
            assert_eq!(runs[0].info.status, Status::Completed, "{id}");
        }
    };
    let kill = async {
        for server in cluster.servers() {
            server.kill();
            sleep(Duration::from_millis(500)).await;
            server.restart().await.unwrap();
            cluster.ready().await.unwrap();
        }
    };
    let both = async { tokio::join!(emit, kill) };
    tokio::select! {
        _ = both => {}
        _ = futures_util::future::join_all(workers.map(diligent)) => panic!("the connections stand"),
    }
    check(&*a.ledger, EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_node_dies_another_finishes_its_runs() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let (a, b) = (node(server.urls()).await, node(server.urls()).await);
    let mut first = payout_worker(&a, 1).await;
    a.emit("payout.requested", "{}").await;
    let job = first.job().await;
    first.report(&job, vec![returned("charge", "7")]).await;
    let died_at = Instant::now();
    a.die();
    let mut second = payout_worker(&b, 1).await;
    let again = second.job().await;
    assert!(died_at.elapsed() < LEASE + Duration::from_secs(10), "{:?}", died_at.elapsed());
    assert!(matches!(&again.steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    second.complete(&again, "null").await;
    check(&*b.ledger, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_an_hour_loses_no_run_and_ends_none_twice() {
    const HOUR: i64 = 60 * 60 * 1_000;
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    tokio::join!(one_clock_jumps(&server, "ahead", HOUR), one_clock_jumps(&server, "behind", -HOUR));
}

/// While a worker holds a job and another run sleeps, the clock of their node jumps, and not that of the other node.
async fn one_clock_jumps(server: &NatsServer, name: &str, by: i64) {
    let options = NatsOptions { name: name.to_owned(), ..NatsOptions::new(server.urls()) };
    let clock = Arc::new(WrongClock::default());
    let (a, b) = (node_with(options.clone(), clock.clone()).await, node_with(options, Arc::new(WallClock)).await);
    let mut first = payout_worker(&a, 3).await;
    a.emit("payout.requested", "1").await;
    let held = first.job().await;
    a.emit("payout.requested", "2").await;
    let sleeper = first.job().await;
    let until = Timestamp(clock.now().0 + 2_000);
    first.suspend(&sleeper, vec![made("nap", Made::Sleep { until })]).await;
    clock.0.store(by, Ordering::SeqCst);
    let mut second = payout_worker(&b, 3).await;
    // What is emitted at either node is done all the same.
    for node in [&a, &b] {
        node.emit("payout.requested", "3").await;
    }
    let (mut done, began, mut beat) = (BTreeSet::new(), Instant::now(), interval(HEARTBEAT_EVERY));
    // For longer than a claim lasts that nobody renews.
    while done.len() < 3 || began.elapsed() < LEASE + Duration::from_secs(5) {
        assert!(began.elapsed() < 3 * LEASE, "{name}: {done:?}");
        let (worker, outgoing) = tokio::select! {
            outgoing = first.inbox.recv() => (&first, outgoing),
            outgoing = second.inbox.recv() => (&second, outgoing),
            _ = beat.tick() => {
                first.connection.heartbeat();
                second.connection.heartbeat();
                continue;
            }
        };
        if let Some(Outgoing::Job(job)) = outgoing {
            assert_ne!(job.run, held.run, "{name}: the claim stands");
            assert!(done.insert(job.run), "{name}: each is done once");
            worker.send(&job, Vec::new(), Some(FrameEnd::Complete(None)));
        }
    }
    assert!(done.contains(&sleeper.run));
    first.complete(&held, "7").await;
    check(&*a.ledger, 4).await;
}
