//! Steps that finish later: sleeps, events, other functions, sent events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use claviger::{Context, Error, Function, WaitFor};
use serde_json::{Value, json};

use crate::server::{Server, ids};

fn payout() -> Function<()> {
    Function::new("payout").on("payout.requested")
}

#[tokio::test]
async fn a_sleep_suspends_the_run_and_is_announced_once() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        ctx.step("charge", || async { Ok(1) }).await?;
        ctx.sleep("nap", Duration::from_secs(3600)).await?;
        Ok("rested")
    });
    let (_worker, mut connection) = server.start_function(function).await;
    let before = UNIX_EPOCH.elapsed().map(|since| since.as_millis() as u64).unwrap_or_default();
    connection.send_job("run_1", json!({})).await;
    assert_eq!(ids(&connection.expect("step").await), ["charge"]);
    let frame = connection.expect("suspend").await;
    assert_eq!((ids(&frame), &frame["outcomes"][0]["kind"]), (vec!["nap"], &json!("sleep")));
    let until = frame["outcomes"][0]["until"].as_u64().expect("an instant");
    assert!((before + 3_600_000..before + 3_700_000).contains(&until));

    let charged = json!({"id": "charge", "result": 1});
    connection.send_job("run_1", json!({"fence": "b", "steps": [charged, {"id": "nap", "open": "sleep"}]})).await;
    let frame = connection.expect("suspend").await;
    assert_eq!((&frame["outcomes"], &frame["fence"]), (&json!([]), &json!("b")));

    connection.send_job("run_1", json!({"fence": "c", "steps": [charged, {"id": "nap", "result": null}]})).await;
    assert_eq!(connection.expect("complete").await["result"], "rested");
}

#[tokio::test]
async fn parallel_waits_are_announced_together_after_running_steps() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let wait = WaitFor::new("payment.*").matching("data.order", json!("o1")).timeout(Duration::from_secs(5));
        let (one, two, three, four) = tokio::join!(
            ctx.sleep_until("alarm", SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000)),
            ctx.wait_for_event("paid", wait),
            ctx.invoke::<Value, _>("child", "refund", json!({"amount": 3})),
            ctx.step("charge", || async {
                tokio::task::yield_now().await;
                Ok(5)
            }),
        );
        one?;
        let paid = two?.map(|event| (event.name, event.data));
        Ok((paid, three?, four?))
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.expect("step").await;
    let announced = json!([
        {"id": "alarm", "kind": "sleep", "until": 1_800_000_000_000_u64},
        {"id": "paid", "kind": "waitForEvent", "event": "payment.*", "match": {"path": "data.order", "equals": "o1"}, "timeoutMs": 5000},
        {"id": "child", "kind": "invoke", "function": "refund", "data": {"amount": 3}}]);
    assert_eq!(frame["outcomes"], announced);
    let frame = connection.expect("suspend").await;
    assert_eq!(frame["outcomes"], json!([{"id": "charge", "kind": "run", "result": 5}]));

    let event = json!({"id": "e", "name": "payment.done", "data": {"order": "o1"}, "at": 1});
    let steps = json!([{"id": "alarm", "result": null}, {"id": "paid", "result": event}, {"id": "child", "result": {"ok": true}},
        {"id": "charge", "result": 5}]);
    connection.send_job("run_1", json!({"steps": steps})).await;
    let result = json!([["payment.done", {"order": "o1"}], {"ok": true}, 5]);
    assert_eq!(connection.expect("complete").await["result"], result);
}

#[tokio::test]
async fn a_wait_whose_time_is_over_is_none_and_a_failed_child_is_a_step_error() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        assert!(ctx.wait_for_event("paid", WaitFor::new("payment.done")).await?.is_none());
        let child: Result<u8, Error> = ctx.invoke("child", "refund", ()).await;
        Ok(child?)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    let steps =
        json!([{"id": "paid", "result": null}, {"id": "child", "error": {"name": "Broke", "message": "no money"}}]);
    connection.send_job("run_1", json!({"steps": steps})).await;
    let frame = connection.expect("fail").await;
    assert_eq!(frame["error"], json!({"name": "Broke", "message": "no money"}));
    assert_eq!(frame["retryable"], false, "a failed run stays failed");
}

#[tokio::test]
async fn other_branches_go_on_while_one_waits() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let chain = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                ctx.step("link", || async { Ok(()) }).await?;
            }
            Ok::<_, Error>(())
        };
        let (nap, chain) = tokio::join!(ctx.sleep("nap", Duration::from_secs(1)), chain);
        nap.and(chain)?;
        Ok(())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let mut stored = Vec::new();
    loop {
        let frame = connection.receive().await;
        connection.acknowledge(&frame).await;
        stored.extend(ids(&frame).into_iter().map(str::to_owned));
        if frame["type"] == "suspend" {
            break;
        }
        assert_eq!(frame["type"], "step");
    }
    assert_eq!(stored, ["nap", "link", "link#2", "link#3"]);
}

#[tokio::test]
async fn a_sent_event_finishes_with_what_the_server_says_of_it() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let sent = ctx.send_event("tell", "payout.done", json!({"amount": 1})).await?;
        Ok((sent.id, sent.revision))
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.receive().await;
    assert_eq!(frame["type"], "step");
    assert_eq!(
        frame["outcomes"],
        json!([{"id": "tell", "kind": "sendEvent", "event": "payout.done", "data": {"amount": 1}}])
    );
    connection.acknowledge_with(&frame, json!([{"id": "tell", "result": {"id": "ev_9", "revision": 12}}])).await;
    assert_eq!(connection.expect("complete").await["result"], json!(["ev_9", 12]));
}

#[tokio::test]
async fn a_wait_that_was_over_before_it_was_announced_goes_on_at_once() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let busy = ctx.step("busy", std::future::pending);
        let child = ctx.invoke::<u8, _>("child", "refund", json!(null));
        tokio::select! {
            busy = busy => busy.map(|(): ()| 0)?,
            child = child => child?,
        };
        Ok("done")
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.receive().await;
    assert_eq!((frame["type"].as_str(), ids(&frame)), (Some("step"), vec!["child"]));
    connection.acknowledge_with(&frame, json!([{"id": "child", "result": 3}])).await;
    assert_eq!(connection.expect("complete").await["result"], "done");
}
