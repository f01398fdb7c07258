//! Attempts that fail, jobs that are taken away.

use std::sync::Arc;
use std::time::Duration;

use claviger::{Context, Function, HandlerError};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::server::{Server, ids, patiently};

fn payout() -> Function<()> {
    Function::new("payout").on("payout.requested")
}

#[tokio::test]
async fn an_error_that_leaves_the_handler_is_not_an_outcome() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        ctx.step("first", || async { Ok(1) }).await?;
        ctx.step("second", || async { Err::<(), _>(HandlerError::new("no").named("Declined")) }).await?;
        Ok(())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    connection.expect("step").await;
    let frame = connection.expect("fail").await;
    assert_eq!(ids(&frame), Vec::<&str>::new());
    assert_eq!(frame["error"], json!({"name": "Declined", "message": "no"}));
    assert_eq!((&frame["retryable"], frame.get("retryAfterMs")), (&json!(true), None));
}

#[tokio::test]
async fn an_error_that_is_returned_after_another_step_is_stored() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let charged = ctx.step("charge", || async { Err::<(), _>(HandlerError::new("no")) }).await;
        ctx.step("clean-up", || async { Ok(()) }).await?;
        Ok(charged?)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    assert_eq!(ids(&connection.expect("step").await), ["charge"]);
    let frame = connection.expect("fail").await;
    assert_eq!((ids(&frame), &frame["error"]["message"]), (vec!["clean-up"], &json!("no")));
}

#[tokio::test]
async fn errors_say_what_follows_them_even_out_of_a_step() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let fail = || async {
            Err::<(), _>(match ctx.run() {
                "run_1" => HandlerError::non_retryable("never"),
                "run_2" => HandlerError::new("later").retry_after(Duration::from_secs(5)),
                _ => std::io::Error::other("broken").into(),
            })
        };
        ctx.step("fail", fail).await?;
        Ok(())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    let expected = [
        ("run_1", json!({"error": {"name": "Error", "message": "never"}, "retryable": false})),
        ("run_2", json!({"error": {"name": "Error", "message": "later"}, "retryable": true, "retryAfterMs": 5000})),
        ("run_3", json!({"error": {"name": "Error", "message": "broken"}, "retryable": true})),
    ];
    for (run, members) in expected {
        connection.send_job(run, json!({})).await;
        let mut frame = connection.expect("fail").await;
        frame
            .as_object_mut()
            .expect("an object")
            .retain(|name, _| ["error", "retryable", "retryAfterMs"].contains(&&**name));
        assert_eq!(frame, members);
    }
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_not_the_worker() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        assert_ne!(ctx.run(), "run_1", "one is unlucky");
        Ok(())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.expect("fail").await;
    assert_eq!((&frame["error"]["name"], &frame["retryable"]), (&json!("Panic"), &json!(true)));
    connection.send_job("run_2", json!({})).await;
    connection.expect("complete").await;
}

#[tokio::test]
async fn values_that_are_too_large_fail_for_good() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let large = "x".repeat(300 * 1024);
        if ctx.run() == "run_1" {
            ctx.step("large", || async { Ok(large.clone()) }).await?;
        }
        Ok(large)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    for (run, what) in [("run_1", "the result of step \"large\""), ("run_2", "the function's result")] {
        connection.send_job(run, json!({})).await;
        let frame = connection.expect("fail").await;
        assert_eq!(frame["error"]["message"], format!("{what} takes 307202 bytes of JSON; the limit is 262144"));
        assert_eq!((ids(&frame), &frame["retryable"]), (Vec::new(), &json!(false)));
    }
}

#[tokio::test]
async fn a_refused_frame_fails_the_run() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        ctx.step("one", || async { Ok(()) }).await?;
        ctx.step("two", || async { Ok(()) }).await?;
        Ok(())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    for (run, code, retryable) in [("run_1", "step_result_too_large", false), ("run_2", "unavailable", true)] {
        connection.send_job(run, json!({})).await;
        assert_eq!(connection.receive().await["type"], "step");
        connection.send(json!({"type": "error", "code": code, "detail": "it is not stored", "run": run})).await;
        let frame = connection.expect("fail").await;
        assert_eq!(frame["error"], json!({"name": code, "message": "it is not stored"}));
        assert_eq!((ids(&frame), &frame["retryable"]), (Vec::new(), &json!(retryable)));
    }
    connection.send_job("run_3", json!({})).await;
    connection.expect("step").await;
    assert_eq!(connection.receive().await["type"], "complete");
    connection.send(json!({"type": "error", "code": "internal", "detail": "", "run": "run_3"})).await;
    assert_eq!(connection.receive().await["type"], "fail");
    // Nothing follows a refused failure; the next frame is another run's.
    connection.send(json!({"type": "error", "code": "internal", "detail": "", "run": "run_3"})).await;
    connection.send_job("run_4", json!({})).await;
    assert_eq!(connection.expect("step").await["run"], "run_4");
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_fails_its_run() {
    let server = Server::bind().await;
    let function = payout().handler(|_: Context| async move { Ok(()) });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({"attempt": "canary"})).await;
    let frame = connection.receive().await;
    assert_eq!((&frame["type"], &frame["run"], &frame["fence"]), (&json!("fail"), &json!("run_1"), &json!("run_1/1")));
    assert!(!frame.to_string().contains("canary"));
    connection.send_job("run_2", json!({"function": "unknown"})).await;
    assert_eq!(connection.receive().await["error"]["name"], "UnknownFunction");
    connection.send(json!({"type": "news", "run": 7})).await;
    connection.send_job("run_3", json!({})).await;
    assert_eq!(connection.expect("complete").await["run"], "run_3");
}

/// A function that reports that it was dropped, and that its spawned task saw the end of the job.
fn endless(reports: mpsc::UnboundedSender<&'static str>, started: Arc<Notify>) -> Function {
    struct OnDrop(mpsc::UnboundedSender<&'static str>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    payout().handler(move |ctx: Context| {
        let (reports, started) = (reports.clone(), Arc::clone(&started));
        async move {
            if ctx.run() == "quick" {
                return Ok(());
            }
            let _on_drop = OnDrop(reports.clone());
            let cancelled = ctx.cancelled();
            tokio::spawn(async move {
                cancelled.await;
                reports.send("cancelled")
            });
            started.notify_one();
            ctx.step("wait", std::future::pending::<Result<(), HandlerError>>).await?;
            Ok(())
        }
    })
}

#[tokio::test]
async fn a_cancelled_or_lost_job_is_dropped_without_a_word() {
    let server = Server::bind().await;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let started = Arc::new(Notify::new());
    let (_worker, mut connection) = server.start_function(endless(sender, Arc::clone(&started))).await;
    for reason in ["cancelled", "timeout", "lost"] {
        connection.send_job("run_1", json!({})).await;
        patiently(started.notified()).await;
        connection.send(json!({"type": "cancel", "run": "run_1", "fence": "another", "reason": reason})).await;
        connection.send_job("quick", json!({})).await;
        connection.expect("complete").await;
        assert!(reports.is_empty(), "a cancel of another claim changes nothing");
        connection.send(json!({"type": "cancel", "run": "run_1", "fence": "run_1/1", "reason": reason})).await;
        let mut both = [patiently(reports.recv()).await, patiently(reports.recv()).await];
        both.sort_unstable();
        assert_eq!(both, [Some("cancelled"), Some("dropped")]);
        connection.send_job("quick", json!({})).await;
        assert_eq!(connection.expect("complete").await["run"], "quick");
    }
}

#[tokio::test]
async fn a_newer_claim_replaces_the_older_one() {
    let server = Server::bind().await;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let started = Arc::new(Notify::new());
    let (_worker, mut connection) = server.start_function(endless(sender, Arc::clone(&started))).await;
    connection.send_job("run_1", json!({})).await;
    patiently(started.notified()).await;
    connection.send_job("run_1", json!({"fence": "b", "steps": [{"id": "wait", "result": null}]})).await;
    assert_eq!(connection.expect("complete").await["fence"], "b");
    assert!(patiently(reports.recv()).await.is_some());
}

#[tokio::test]
async fn jobs_are_dropped_with_their_connection() {
    let server = Server::bind().await;
    let (sender, mut reports) = mpsc::unbounded_channel();
    let started = Arc::new(Notify::new());
    let (_worker, mut connection) = server.start_function(endless(sender, Arc::clone(&started))).await;
    connection.send_job("run_1", json!({})).await;
    patiently(started.notified()).await;
    drop(connection);
    assert!(patiently(reports.recv()).await.is_some());
    let mut connection = server.accept().await;
    connection.send_job("quick", json!({})).await;
    connection.expect("complete").await;
}
