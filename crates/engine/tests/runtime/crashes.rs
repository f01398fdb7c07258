//! Workers and servers that go away.

use claviger_engine::runtime::{CancelReason, Known, Made, Status};

use crate::world::{World, function, made, returned, within};

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_goes_on_where_a_lost_one_stopped() {
    let world = World::new().await;
    let (mut first, job) = world.worker_with_job().await;
    first.report(&job, vec![returned("charge", "7")]).await;
    let mut second = world.worker(vec![function("payout")], 1).await;
    drop(first);
    let again = second.job().await;
    assert_eq!((again.run, again.attempt), (job.run, 1));
    assert!(matches!(&again.steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    // The old claim no longer counts, whoever speaks for it.
    second.send(&job, vec![returned("charge", "8")], None);
    assert_eq!(second.cancelled().await, CancelReason::Lost);
    second.complete(&again, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_every_unfinished_run() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 8).await;
    let mut jobs = Vec::new();
    for n in 0..4 {
        world.emit("payout.requested", &n.to_string()).await;
        jobs.push(worker.job().await);
    }
    worker.report(&jobs[0], vec![returned("charge", "7")]).await;
    let wait = Made::Wait { pattern: "payment.done".parse().unwrap(), condition: None, timeout: None };
    worker.suspend(&jobs[1], vec![made("paid", wait)]).await;
    worker.complete(&jobs[2], "null").await;

    // The old process is gone without a word; its claims are void.
    let world = world.restarted().await;
    world.emit("payment.done", "{}").await;
    let mut worker = world.worker(vec![function("payout")], 8).await;
    let mut resumed = Vec::new();
    for _ in 0..3 {
        resumed.push(worker.job().await);
    }
    let of = |index: usize| resumed.iter().find(|job| job.run == jobs[index].run).expect("it was resumed");
    assert!(matches!(&of(0).steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    assert!(matches!(&of(1).steps[0].known, Known::Result(Some(_))));
    assert!(of(3).steps.is_empty());
    for job in &resumed {
        worker.complete(job, "null").await;
    }
    for job in &jobs {
        world.reaches(job.run, Status::Completed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_not_dispatched_before_a_crash_start_their_runs_after_it() {
    let world = World::new().await;
    drop(world.worker(vec![function("payout")], 1).await);
    let mut events = Vec::new();
    for n in 0..20 {
        events.push(world.emit("payout.requested", &n.to_string()).await);
    }
    // At once: whatever of them was dispatched is dispatched again.
    let world = world.restarted().await;
    let mut worker = world.worker(vec![function("payout")], 4).await;
    for _ in 0..20 {
        let job = worker.job().await;
        worker.complete(&job, "null").await;
    }
    for event in &events {
        assert_eq!(world.runs_of(event).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_gives_jobs_back_for_the_next_start() {
    let world = World::new().await;
    let (worker, job) = world.worker_with_job().await;
    let started = std::time::Instant::now();
    within(world.engine.close()).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    drop(worker);
    assert!(!job.run.to_string().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_wait_for_answers_is_refused() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    // Nothing is answered while the store is full.
    world.cable.fill_up(Some(claviger_store::Stream::Runs));
    worker.send(&job, vec![returned("a", "1")], None);
    worker.send(&job, vec![returned("b", "1")], None);
    let frame = crate::world::report_of(&job, Vec::new(), None);
    let refused = worker.connection.submit(frame);
    assert!(matches!(refused, Err(claviger_engine::Error::TooManyRequests)));
    world.cable.fill_up(None);
    worker.ack().await;
    worker.ack().await;
}
