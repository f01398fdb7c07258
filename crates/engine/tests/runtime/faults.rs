//! What must not be lost when the store does not answer, or a worker goes away in between.

use std::time::Duration;

use claviger_engine::{
    Error,
    runtime::{CancelReason, Condition, FrameEnd, Known, Made, Outgoing, Retryable, Status},
};
use claviger_store::{Filter, Stream};

use crate::{
    cable::Fault,
    world::{World, admin, env, function, id, json, made, needy, returned, scope, within},
};

async fn refused_more_than(world: &World, count: u64) {
    within(async {
        while world.cable.refused() <= count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_could_not_be_given_back_is_given_back_later() {
    let world = World::new().await;
    let (first, job) = world.worker_with_job().await;
    world.cable.fill_up(Some(Stream::Runs));
    drop(first);
    refused_more_than(&world, 0).await;
    world.cable.fill_up(None);
    let mut second = world.worker(vec![function("payout")], 1).await;
    let again = second.job().await;
    assert_eq!(again.run, job.run);
    second.complete(&again, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_creation_was_not_answered_is_executed() {
    for fault in [Fault::Unanswered, Fault::Unstored] {
        let world = World::new().await;
        let mut worker = world.worker(vec![function("payout")], 1).await;
        world.cable.befall(&[fault]);
        let event = world.emit("payout.requested", "{}").await;
        let job = worker.job().await;
        worker.complete(&job, "null").await;
        assert_eq!(world.runs_of(&event).await.len(), 1);
        world.run_with(&event, Status::Completed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_not_answered_frees_the_worker_and_is_followed_up() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("parent"), function("child")], 1).await;
    world.emit("parent.requested", "{}").await;
    let parent = worker.job().await;
    let invoke = Made::Invoke { function: id("child"), data: None, timeout: None };
    worker.suspend(&parent, vec![made("call", invoke)]).await;
    let child = worker.job().await;
    world.cable.befall(&[Fault::Unanswered]);
    worker.send(&child, Vec::new(), Some(FrameEnd::Complete(Some(json("7")))));
    // It is stored. The worker hears that there is nothing left to do for it, and has room for the next.
    assert_eq!(worker.cancelled().await, CancelReason::Lost);
    let again = worker.job().await;
    assert_eq!(again.run, parent.run);
    assert!(matches!(&again.steps[0].known, Known::Result(Some(result)) if result.get() == "7"));
    world.reaches(child.run, Status::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_was_not_answered_stops_the_job() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    world.cable.befall(&[Fault::Unanswered]);
    let answer = world.engine.runtime().cancel(&admin(), &env(), job.run, None).await;
    assert!(matches!(answer, Err(Error::Store(_))));
    assert_eq!(worker.cancelled().await, CancelReason::Cancelled);
    world.emit("payout.requested", "{}").await;
    assert_ne!(worker.job().await.run, job.run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_cancels_all_the_same() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    {
        let runtime = world.engine.runtime();
        let (caller, environment) = (admin(), env());
        let mut asked = Box::pin(runtime.cancel(&caller, &environment, job.run, None));
        // Asked, and not waited for.
        let _ = futures_util::poll!(&mut asked);
    }
    assert_eq!(worker.cancelled().await, CancelReason::Cancelled);
    world.reaches(job.run, Status::Cancelled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_function_does_not_keep_the_others_waiting() {
    let world = World::new().await;
    let names = ["a", "b", "c", "d", "e"];
    let functions = || names.iter().map(|name| function(name)).collect::<Vec<_>>();
    drop(world.worker(functions(), 1).await);
    for name in names {
        for _ in 0..6 {
            let event = world.emit(&format!("{name}.requested"), "{}").await;
            world.run_with(&event, Status::Queued).await;
        }
    }
    let mut worker = world.worker(functions(), 1).await;
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..names.len() * 2 {
        let job = worker.job().await;
        served.insert(job.function.to_string());
        worker.complete(&job, "null").await;
    }
    assert_eq!(served.len(), names.len(), "{served:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wait_gets_the_first_event_that_fits() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 30).await;
    let mut jobs = Vec::new();
    for n in 0..30 {
        world.emit("payout.requested", "{}").await;
        let job = worker.job().await;
        let condition = (n % 2 == 0).then(|| Condition { path: "data".to_owned(), equals: serde_json::json!(1) });
        let wait = Made::Wait { pattern: "payment.*".parse().unwrap(), condition, timeout: None };
        worker.report(&job, vec![made("paid", wait)]).await;
        jobs.push(job);
    }
    world.emit("payment.done", "1").await;
    world.emit("payment.done", "2").await;
    for job in &jobs {
        worker.suspend(job, Vec::new()).await;
    }
    for _ in &jobs {
        let again = worker.job().await;
        let Known::Result(Some(event)) = &again.steps[0].known else { panic!("an event") };
        assert!(event.get().contains(r#""data":1,"#), "{event}");
        worker.complete(&again, "null").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_on_its_way_starts_a_function_that_gets_another_trigger() {
    let world = World::new().await;
    let _worker = world.worker(vec![function("payout")], 1).await;
    world.cable.fill_up(Some(Stream::Runs));
    let event = world.emit("payout.requested", "{}").await;
    refused_more_than(&world, 0).await;
    let mut more = function("payout");
    more.triggers.push("refund.requested".parse().unwrap());
    let _other = world.worker(vec![more], 1).await;
    world.cable.fill_up(None);
    world.run_with(&event, Status::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_larger_than_a_record_is_stored_in_parts() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let large = format!("\"{}\"", "x".repeat(250 * 1024));
    let outcomes = (0..6).map(|n| returned(&format!("part {n}"), &large)).collect();
    worker.send(&job, outcomes, Some(FrameEnd::Complete(Some(json(&large)))));
    assert!(worker.ack().await.ended);
    let run = world.reaches(job.run, Status::Completed).await;
    assert_eq!((run.steps.len(), run.result.unwrap().get().len()), (6, large.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_with_too_many_steps_does_nothing() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 1).await;
    let (_, revision) = world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    let send = |n| made(&format!("send {n}"), Made::Send { event: "noise".parse().unwrap(), data: None });
    worker.send(&job, (0..=claviger_core::run::MAX_STEPS).map(send).collect(), None);
    let Some(Outgoing::Refused { error, .. }) = within(worker.inbox.recv()).await else { panic!("a refusal") };
    assert_eq!(error.code(), "invalid_request");
    let later = world.ledger.read(Stream::Events, &Filter::All, revision, 10).await.unwrap();
    assert!(later.is_empty());
    worker.complete(&job, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_match_that_no_event_can_meet_is_refused() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let condition = Some(Condition { path: "order".to_owned(), equals: serde_json::json!(7) });
    let wait = Made::Wait { pattern: "payment.done".parse().unwrap(), condition, timeout: None };
    worker.send(&job, vec![made("paid", wait)], None);
    let Some(Outgoing::Refused { error, .. }) = within(worker.inbox.recv()).await else { panic!("a refusal") };
    assert_eq!(error.code(), "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_wait_of_a_cancelled_run_holds_nothing_up() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let wait = Made::Wait { pattern: "payout.requested".parse().unwrap(), condition: None, timeout: None };
    worker.suspend(&job, vec![made("next", wait)]).await;
    world.engine.runtime().cancel(&admin(), &env(), job.run, None).await.unwrap();
    let event = world.emit("payout.requested", "{}").await;
    let next = worker.job().await;
    worker.fail(&next, "no luck", Retryable::No).await;
    let runs =
        world.engine.runtime().event_runs(&admin(), &scope(None), (&event.0, event.1), Duration::from_secs(10)).await;
    assert!(runs.unwrap().dispatched);
    assert_eq!(world.run(job.run).await.info.status, Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_run_that_is_cancelled_is_not_revived_by_its_secret() {
    let world = World::new().await;
    let mut worker = world.worker(vec![needy("payout", &["STRIPE_KEY"])], 1).await;
    let event = world.emit("payout.requested", "{}").await;
    let run = world.run_with(&event, Status::Blocked).await;
    world.engine.runtime().cancel(&admin(), &env(), run.info.id, None).await.unwrap();
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    assert_ne!(job.run, run.info.id);
    assert_eq!(world.run(run.info.id).await.info.status, Status::Cancelled);
}
