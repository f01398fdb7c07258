//! Events start runs; runs end.

use std::time::Duration;

use claviger_engine::{
    Error,
    runtime::{CancelReason, FunctionSpec, Known, Retryable, RunFilter, Status},
};
use tokio::time::{Instant, sleep};

use crate::world::{World, admin, env, function, returned, scope, within};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_starts_a_run_of_each_function_that_it_triggers() {
    let world = World::new().await;
    let mut other = function("audit");
    other.triggers = vec!["payout.>".parse().unwrap()];
    let mut worker = world.worker(vec![function("payout"), other, function("unrelated")], 8).await;
    let event = world.emit("payout.requested", r#"{"amount": 1200}"#).await;

    let jobs = [worker.job().await, worker.job().await];
    let mut functions: Vec<_> = jobs.iter().map(|job| job.function.to_string()).collect();
    functions.sort();
    assert_eq!(functions, ["audit", "payout"]);
    for job in &jobs {
        assert_eq!(job.event.data.get(), r#"{"amount":1200}"#);
        worker.complete(job, "true").await;
    }
    for run in world.runs_of(&event).await {
        assert_eq!(run.info.status, Status::Completed);
        assert_eq!(run.result.unwrap().get(), "true");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_id_starts_one_run() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 8).await;
    let first = world.emit_as(Some("order-7"), "payout.requested", "1").await;
    let second = world.emit_as(Some("order-7"), "payout.requested", "1").await;
    assert_eq!(first, second);
    let job = worker.job().await;
    worker.complete(&job, "null").await;
    world.emit("payout.requested", "2").await;
    let next = worker.job().await;
    assert_eq!(next.event.data.get(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_worker() {
    let world = World::new().await;
    let early = world.worker(vec![function("payout")], 1).await;
    drop(early);
    let event = world.emit("payout.requested", "{}").await;
    let run = world.run_with(&event, Status::Queued).await;
    let mut worker = world.worker(vec![function("payout")], 1).await;
    let job = worker.job().await;
    assert_eq!(job.run, run.info.id);
    worker.complete(&job, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_before_a_function_was_registered_start_nothing() {
    let world = World::new().await;
    let before = world.emit("payout.requested", "1").await;
    // A later millisecond, so that the order is certain.
    within(async {
        let made = std::time::Instant::now();
        while made.elapsed() < Duration::from_millis(3) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut worker = world.worker(vec![function("payout")], 4).await;
    world.emit("payout.requested", "2").await;
    assert_eq!(worker.job().await.event.data.get(), "2");
    assert!(world.runs_of(&before).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_repeated_and_remembers_its_steps() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 4).await;
    world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    worker.report(&job, vec![returned("charge", "7")]).await;
    worker.fail(&job, "no luck", Retryable::Yes).await;
    let again = worker.job().await;
    assert_eq!((again.run, again.attempt), (job.run, 2));
    let [step] = &again.steps[..] else { panic!("one step") };
    assert!(matches!(&step.known, Known::Result(Some(result)) if result.get() == "7"));
    worker.complete(&again, "null").await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert_eq!(run.info.attempt, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_run_out_and_an_error_can_forbid_more() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout")], 4).await;
    let event = world.emit("payout.requested", "{}").await;
    for attempt in 1..=3 {
        let job = worker.job().await;
        assert_eq!(job.attempt, attempt);
        worker.fail(&job, "no luck", Retryable::Yes).await;
    }
    let run = world.run_with(&event, Status::Failed).await;
    assert_eq!(run.info.attempt, 3);
    assert_eq!(run.error.unwrap().message, "no luck");

    let event = world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    worker.fail(&job, "never", Retryable::No).await;
    assert_eq!(world.run_with(&event, Status::Failed).await.error.unwrap().message, "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_a_step_runs() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let runtime = world.engine.runtime();
    runtime.cancel(&admin(), &env(), job.run, Some("wrong order".to_owned())).await.unwrap();
    assert_eq!(worker.cancelled().await, CancelReason::Cancelled);
    // What the worker still says is not heard.
    worker.send(&job, vec![returned("charge", "7")], None);
    assert_eq!(worker.cancelled().await, CancelReason::Lost);
    let run = world.run(job.run).await;
    assert_eq!(run.info.status, Status::Cancelled);
    assert!(run.steps.is_empty());
    let again = runtime.cancel(&admin(), &env(), job.run, None).await;
    assert!(matches!(again, Err(Error::RunEnded)));
    // The slot is free again.
    world.emit("payout.requested", "{}").await;
    worker.job().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_too_long_fails_its_attempt() {
    let world = World::new().await;
    let mut slow = function("payout");
    slow.timeout = Some(Duration::from_millis(20));
    slow.retry.max_attempts = 1;
    let mut worker = world.worker(vec![slow], 1).await;
    let event = world.emit("payout.requested", "{}").await;
    let _job = worker.job().await;
    assert_eq!(worker.cancelled().await, CancelReason::Timeout);
    assert_eq!(world.run_with(&event, Status::Failed).await.error.unwrap().name, "TimedOut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_never_given_more_than_its_credit_or_the_functions_limit() {
    let world = World::new().await;
    let mut limited = function("payout");
    limited.concurrency = Some(2);
    let mut worker = world.worker(vec![limited, function("other")], 3).await;
    for n in 0..6 {
        world.emit("payout.requested", &n.to_string()).await;
    }
    world.emit("other.requested", "{}").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(worker.job().await);
    }
    assert_eq!(held.iter().filter(|job| job.function.as_str() == "payout").count(), 2);
    // The other function's job ends last: without it, only what the limit allows is left to come.
    held.sort_by_key(|job| job.function.as_str() == "payout");
    let mut done = 0;
    while let Some(job) = held.pop() {
        worker.complete(&job, "null").await;
        done += 1;
        if done + held.len() < 7 {
            held.push(worker.job().await);
        }
        assert!(held.len() <= 3);
        assert!(held.iter().filter(|job| job.function.as_str() == "payout").count() <= 2);
    }
    assert_eq!(done, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_newest_first_by_pages_and_filters() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout"), function("other")], 8).await;
    for n in 0..5 {
        world.emit(if n % 2 == 0 { "payout.requested" } else { "other.requested" }, "{}").await;
        let job = worker.job().await;
        if n < 4 {
            worker.complete(&job, "null").await;
        }
    }
    let list = async |filter| world.engine.runtime().runs(&admin(), &env(), filter).await.unwrap();
    let all = list(RunFilter { limit: 10, ..RunFilter::default() }).await;
    assert_eq!(all.items.len(), 5);
    assert!(all.items.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));
    assert_eq!(all.next, None);
    let running = list(RunFilter { status: Some(Status::Running), limit: 10, ..RunFilter::default() }).await;
    assert_eq!(running.items.len(), 1);
    let first = list(RunFilter { limit: 2, function: Some("payout".to_owned()), ..RunFilter::default() }).await;
    let rest =
        list(RunFilter { limit: 2, function: Some("payout".to_owned()), after: first.next, ..RunFilter::default() })
            .await;
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (2, 1, None));
    let odd = RunFilter { limit: 2, after: Some("somewhere".to_owned()), ..RunFilter::default() };
    let refused = world.engine.runtime().runs(&admin(), &env(), odd).await;
    assert!(matches!(refused, Err(Error::InvalidCursor)));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_runs_hears_of_each_end_at_once() {
    let world = World::new().await;
    let report = FunctionSpec { triggers: function("payout").triggers, ..function("report") };
    let mut worker = world.worker(vec![function("payout"), report], 2).await;
    let event = world.emit("payout.requested", "{}").await;
    let (first, second) = (worker.job().await, worker.job().await);
    let ended_at = async {
        sleep(Duration::from_millis(300)).await;
        worker.complete(&first, "7").await;
        sleep(Duration::from_millis(300)).await;
        world.engine.runtime().cancel(&admin(), &env(), second.run, None).await.unwrap();
        Instant::now()
    };
    let waited = async {
        let hour = Duration::from_secs(60 * 60);
        let runs = world.engine.runtime().event_runs(&admin(), &scope(None), (&event.0, event.1), hour).await.unwrap();
        let mut ends: Vec<_> = runs.runs.iter().map(|run| (run.info.id == first.run, run.info.status)).collect();
        ends.sort_by_key(|(is_first, _)| !is_first);
        assert_eq!(ends, [(true, Status::Completed), (false, Status::Cancelled)]);
        Instant::now()
    };
    let (ended_at, heard_at) = tokio::join!(ended_at, waited);
    assert!(heard_at.saturating_duration_since(ended_at) < Duration::from_millis(50));
}
