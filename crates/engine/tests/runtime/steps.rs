//! Sleeps, waits, invocations, sent events.

use std::time::Duration;

use claviger_core::Timestamp;
use claviger_engine::{
    Clock, WallClock,
    runtime::{Condition, Known, Made, Retryable, Status},
};

use crate::world::{World, function, id, json, made, returned};

fn in_millis(millis: i64) -> Timestamp {
    Timestamp(WallClock.now().0 + millis)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_run_frees_its_worker_and_goes_on_in_time() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    worker.suspend(&job, vec![returned("a", "1"), made("nap", Made::Sleep { until: in_millis(60) })]).await;
    assert_eq!(world.run(job.run).await.info.status, Status::Sleeping);
    let again = worker.job().await;
    assert!(WallClock.now() >= again.event.at);
    assert_eq!(again.steps.len(), 2);
    assert!(matches!(&again.steps[1].known, Known::Result(None)), "{:?}", again.steps[1]);
    worker.complete(&again, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_an_event_that_fits() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let wait = Made::Wait {
        pattern: "payment.*".parse().unwrap(),
        condition: Some(Condition { path: "data.order".to_owned(), equals: serde_json::json!(7) }),
        timeout: None,
    };
    worker.suspend(&job, vec![made("paid", wait)]).await;
    assert_eq!(world.run(job.run).await.info.status, Status::Waiting);
    world.emit("payment.done", r#"{"order": 6}"#).await;
    world.emit("shipment.done", r#"{"order": 7}"#).await;
    world.emit("payment.done", r#"{"order": 7, "by": "card"}"#).await;
    let again = worker.job().await;
    let Known::Result(Some(event)) = &again.steps[0].known else { panic!("the event") };
    let event: serde_json::Value = serde_json::from_str(event.get()).unwrap();
    assert_eq!(event["name"], "payment.done");
    assert_eq!(event["data"]["by"], "card");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_between_the_wait_and_the_suspend_is_not_lost() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let wait = Made::Wait { pattern: "payment.done".parse().unwrap(), condition: None, timeout: None };
    worker.report(&job, vec![made("paid", wait)]).await;
    world.emit("payment.done", "{}").await;
    worker.suspend(&job, Vec::new()).await;
    let again = worker.job().await;
    assert!(matches!(&again.steps[0].known, Known::Result(Some(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_null_when_its_time_is_over() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let timeout = Some(Duration::from_millis(30));
    let wait = Made::Wait { pattern: "payment.done".parse().unwrap(), condition: None, timeout };
    worker.suspend(&job, vec![made("paid", wait)]).await;
    let again = worker.job().await;
    assert!(matches!(&again.steps[0].known, Known::Result(None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_invokes_another_and_hears_of_its_end() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("parent"), function("child")], 2).await;
    world.emit("parent.requested", "{}").await;
    let parent = worker.job().await;
    let invoke = |n: &str| Made::Invoke { function: id(n), data: Some(json(r#"{"n":1}"#)), timeout: None };
    worker.suspend(&parent, vec![made("good", invoke("child")), made("none", invoke("nobody"))]).await;

    // The invoked run, and the parent going on as one of its steps is finished, in either order.
    let mut parents = Vec::new();
    loop {
        let job = worker.job().await;
        if job.function.as_str() == "child" {
            assert_eq!(job.event.data.get(), r#"{"n":1}"#);
            let run = world.run(job.run).await;
            assert_eq!(run.parent, Some((parent.run, "good".to_owned())));
            worker.complete(&job, r#""done""#).await;
        } else {
            let settled = job.steps.iter().all(|step| !matches!(step.known, Known::Open(_)));
            if settled {
                parents.push(job);
                break;
            }
            worker.suspend(&job, Vec::new()).await;
        }
    }
    let last = parents.pop().unwrap();
    let known = |id: &str| &last.steps.iter().find(|step| step.id.as_str() == id).unwrap().known;
    assert!(matches!(known("good"), Known::Result(Some(result)) if result.get() == r#""done""#));
    assert!(matches!(known("none"), Known::Error(error) if error.name == "FunctionNotFound"));
    worker.complete(&last, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoked_runs_error_is_the_steps_error() {
    let world = World::new().await;
    let mut child = function("child");
    child.retry.max_attempts = 1;
    let mut worker = world.worker(vec![function("parent"), child], 2).await;
    world.emit("parent.requested", "{}").await;
    let parent = worker.job().await;
    let invoke = Made::Invoke { function: id("child"), data: None, timeout: None };
    worker.suspend(&parent, vec![made("call", invoke)]).await;
    let job = worker.job().await;
    worker.fail(&job, "out of stock", Retryable::Yes).await;
    let again = worker.job().await;
    assert!(matches!(&again.steps[0].known, Known::Error(error) if error.message == "out of stock"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sent_event_is_stored_once_and_starts_functions() {
    let world = World::new().await;
    let mut worker = world.worker(vec![function("payout"), function("tell")], 4).await;
    world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    let send = || Made::Send { event: "tell.requested".parse().unwrap(), data: Some(json("5")) };
    let ack = worker.report(&job, vec![made("send", send())]).await;
    let Known::Result(Some(result)) = &ack.steps[0].known else { panic!("what was sent") };
    assert!(result.get().contains("revision"));
    let started = worker.job().await;
    assert_eq!((started.function.as_str(), started.event.data.get()), ("tell", "5"));
    // Said again, it is the same event.
    let again = worker.report(&job, vec![made("send", send())]).await;
    let Known::Result(Some(repeated)) = &again.steps[0].known else { panic!("what was sent") };
    assert_eq!(repeated.get(), result.get());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_has_an_outcome_keeps_its_first() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    worker.report(&job, vec![returned("a", "1")]).await;
    let ack = worker.report(&job, vec![returned("a", "2")]).await;
    assert!(matches!(&ack.steps[0].known, Known::Result(Some(result)) if result.get() == "1"));
}
