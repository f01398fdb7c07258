//! Declared secrets reach jobs, and nothing else.

use claviger_engine::runtime::{Outgoing, Status};

use crate::world::{World, declared, function, needy, returned, secret_version};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_receives_the_declared_secrets_that_are_set() {
    let world = World::new().await;
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    world.set("UNDECLARED", "another_canary_2").await;
    let mut payout = function("payout");
    payout.secrets = vec![declared("STRIPE_KEY"), declared("SLACK_WEBHOOK")];
    let mut worker = world.worker(vec![payout], 1).await;
    world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    let [secret] = &job.secrets[..] else { panic!("one secret") };
    assert_eq!((secret.name.as_str(), secret.version), ("STRIPE_KEY", 1));
    assert_eq!(secret.value.expose(), b"sk_live_canary_1");
    assert!(!format!("{job:?}").contains("canary"));
    let run = world.run(job.run).await;
    assert_eq!(run.deliveries[0].secrets, [secret_version("STRIPE_KEY", 1, None)]);
    assert_eq!(world.engine.audit().deliveries_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_shown_redacted_and_replayed_true() {
    let world = World::new().await;
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    let mut payout = function("payout");
    payout.secrets = vec![declared("STRIPE_KEY")];
    let mut worker = world.worker(vec![payout], 1).await;
    world.emit("payout.requested", "{}").await;
    let job = worker.job().await;
    worker.report(&job, vec![returned("leak", r#"{"sk_live_canary_1":"Bearer sk_live_canary_1"}"#)]).await;
    // A rotation in the middle: both versions are masked from the next job on.
    world.set("STRIPE_KEY", "sk_live_canary_2").await;
    worker.fail(&job, "failed with sk_live_canary_1", claviger_engine::runtime::Retryable::Yes).await;
    let again = worker.job().await;
    assert_eq!(again.secrets[0].version, 2);
    let claviger_engine::runtime::Known::Result(Some(result)) = &again.steps[0].known else { panic!("a result") };
    assert!(result.get().contains("Bearer sk_live_canary_1"));
    worker.complete(&again, r#"["sk_live_canary_1","sk_live_canary_2"]"#).await;
    let run = world.reaches(job.run, Status::Completed).await;
    let shown = format!("{run:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(run.result.unwrap().get(), r#"["«STRIPE_KEY@1»","«STRIPE_KEY@2»"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_blocked_until_a_required_secret_is_set() {
    let world = World::new().await;
    let mut worker = world.worker(vec![needy("payout", &["STRIPE_KEY"])], 1).await;
    let event = world.emit("payout.requested", "{}").await;
    let run = world.run_with(&event, Status::Blocked).await;
    assert_eq!(run.info.missing, ["STRIPE_KEY"]);
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    let job = worker.job().await;
    assert_eq!(job.run, run.info.id);
    assert_eq!(job.secrets.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_starts_a_function() {
    let world = World::new().await;
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    let mut rotated = function("rotated");
    rotated.triggers = vec!["system.secret.*.updated".parse().unwrap()];
    let mut worker = world.worker(vec![rotated], 1).await;
    world.set("STRIPE_KEY", "sk_live_canary_2").await;
    let job = worker.job().await;
    assert_eq!(job.event.name.as_str(), "system.secret.STRIPE_KEY.updated");
    let data: serde_json::Value = serde_json::from_str(job.event.data.get()).unwrap();
    assert_eq!(
        (&data["name"], &data["action"], &data["version"]),
        (&"STRIPE_KEY".into(), &"updated".into(), &2.into())
    );
    assert!(job.event.id.starts_with("secrets-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_key_cannot_declare_what_it_may_not_receive() {
    use std::sync::Arc;

    use claviger_core::{Bounds, Caller, Reach, Role};
    use claviger_engine::{Error, runtime::Registration};

    let world = World::new().await;
    let bounds = Bounds { secrets: vec!["SLACK_*".to_owned()], ..Bounds::default() };
    let caller = Caller {
        id: "narrow".into(),
        role: Role::Runtime,
        reach: Reach::One(crate::world::env()),
        bounds: Arc::new(bounds),
    };
    let mut payout = function("payout");
    payout.secrets = vec![declared("STRIPE_KEY")];
    let registration = Registration {
        environment: crate::world::env(),
        functions: vec![payout],
        credit: 1,
        worker: "narrow".to_owned(),
    };
    let refused = world.engine.runtime().connect(caller, registration).await;
    assert!(matches!(refused, Err(Error::Denied { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_are_refused_and_the_run_goes_on() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    let large = format!("\"{}\"", "x".repeat(claviger_engine::runtime::MAX_BODY_BYTES));
    worker.send(&job, vec![returned("big", &large)], None);
    let Some(Outgoing::Refused { error, .. }) = crate::world::within(worker.inbox.recv()).await else {
        panic!("a refusal")
    };
    assert_eq!(error.code(), "step_result_too_large");
    worker.complete(&job, "null").await;
    assert_eq!(world.reaches(job.run, Status::Completed).await.steps.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_while_the_audit_cannot_be_stored() {
    let world = World::new().await;
    world.set("STRIPE_KEY", "sk_live_canary_1").await;
    let mut payout = function("payout");
    payout.secrets = vec![declared("STRIPE_KEY")];
    let mut worker = world.worker(vec![payout], 1).await;
    world.cable.fill_up(Some(claviger_store::Stream::Audit));
    let event = world.emit("payout.requested", "{}").await;
    world.run_with(&event, Status::Retrying).await;
    assert!(worker.inbox.try_recv().is_err());
    assert_eq!(world.engine.audit().deliveries_total(), 0);
    world.cable.fill_up(None);
    let job = worker.job().await;
    assert_eq!(job.secrets.len(), 1);
    assert_eq!(world.engine.audit().deliveries_total(), 1);
    worker.complete(&job, "null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_did_is_not_lost_while_the_store_is_full() {
    let world = World::new().await;
    let (mut worker, job) = world.worker_with_job().await;
    world.cable.fill_up(Some(claviger_store::Stream::Runs));
    worker.send(&job, vec![returned("charge", "7")], None);
    tokio::task::yield_now().await;
    assert!(worker.inbox.try_recv().is_err());
    world.cable.fill_up(None);
    assert!(!worker.ack().await.ended);
    assert_eq!(world.run(job.run).await.steps.len(), 1);
}
