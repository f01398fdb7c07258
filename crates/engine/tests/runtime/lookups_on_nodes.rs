//! Look-ups where several engines share a store.

use std::time::Duration;

use claviger_engine::{
    Error,
    runtime::{CancelReason, Outgoing, Status},
};
use claviger_store::Stream;
use tokio::time::{Instant, sleep};

use crate::{
    nodes::{revoke, two_nodes},
    world::{Worker, World, listener, scope},
};

/// Sooner than anything that happens only because somebody looks from time to time.
const PROMPTLY: Duration = Duration::from_secs(1);

async fn listener_on(world: &World) -> Worker {
    world.worker(vec![listener("orders")], 1).await
}

#[tokio::test(start_paused = true)]
async fn what_was_looked_up_on_a_node_that_died_is_masked_on_another() {
    let (store, a, b) = two_nodes().await;
    a.set("TOKEN", "first-canary").await;
    let mut first = listener_on(&a).await;
    a.emit("orders.requested", "{}").await;
    let job = first.job().await;
    assert_eq!(first.look_up(&job, "TOKEN").await, Some((1, "first-canary".to_owned())));
    a.die();
    b.set("TOKEN", "second-canary").await;
    let mut second = listener_on(&b).await;
    let again = second.job().await;
    assert_eq!(again.run, job.run);
    second.complete(&again, r#""first-canary second-canary""#).await;
    let run = b.reaches(job.run, Status::Completed).await;
    assert_eq!(run.result.unwrap().get(), r#""«TOKEN@1» second-canary""#, "the second nobody ever looked up");
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_hear_that_its_claim_is_gone_tells_nothing() {
    let (store, a, b) = two_nodes().await;
    a.set("TOKEN", "some-canary").await;
    let mut first = listener_on(&a).await;
    a.emit("orders.requested", "{}").await;
    let job = first.job().await;
    a.cable.silence(Some(Stream::Runs));
    let mut second = listener_on(&b).await;
    let again = second.job().await;
    assert_eq!(again.run, job.run);
    first.ask(&job, "1", "TOKEN");
    assert_eq!(first.cancelled().await, CancelReason::Lost);
    assert_eq!(a.engine.audit().deliveries_total(), 0);
    assert_eq!(second.look_up(&again, "TOKEN").await, Some((1, "some-canary".to_owned())));
    second.complete(&again, "null").await;
    store.check(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_hears_promptly_of_a_change_on_another_node() {
    let (_, a, b) = two_nodes().await;
    a.space("acme").await;
    a.set("TOKEN", "of-environment").await;
    let mut worker = listener_on(&b).await;
    a.emit_in(Some("acme"), None, ("orders.requested", "{}")).await;
    let job = worker.job().await;
    assert_eq!(worker.look_up(&job, "TOKEN").await, Some((1, "of-environment".to_owned())));
    let began = Instant::now();
    a.set_in(&scope(Some("acme")), "TOKEN", "of-acme").await;
    worker.changes_to(&job, "TOKEN", Some((1, "of-acme"))).await;
    assert!(began.elapsed() < PROMPTLY);
    worker.complete(&job, "null").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_revoked_elsewhere_finds_nothing_although_the_tail_is_silent() {
    let (_, a, b) = two_nodes().await;
    a.set("TOKEN", "some-canary").await;
    let (key, mut worker) = b.worker_with_key(listener("orders")).await;
    b.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    b.cable.silence(Some(Stream::Access));
    revoke(&a, &key).await;
    sleep(PROMPTLY).await;
    for _ in 0..2 {
        worker.ask(&job, "1", "TOKEN");
        match worker.hear().await {
            Some(Outgoing::Unanswered { error, .. }) => {
                assert!(matches!(*error, Error::Unconfirmed | Error::UnknownApiKey), "{error}");
            }
            other => panic!("{other:?}"),
        }
        b.cable.silence(None);
        sleep(PROMPTLY).await;
    }
    assert_eq!(b.engine.audit().deliveries_total(), 0);
}
