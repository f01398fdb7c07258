//! Steps that run: gating, memory, parallelism, errors that are caught.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use claviger::{Context, Error, Function, HandlerError};
use futures_util::{FutureExt, TryFutureExt};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::server::{Server, ids};

fn payout() -> Function<()> {
    Function::new("payout").on("payout.requested")
}

#[tokio::test]
async fn three_steps_are_three_frames() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let one: u64 = ctx.step("one", || async { Ok(1) }).await?;
        let two: u64 = ctx.step("two", || async { Ok(one + 1) }).await?;
        let three: u64 = ctx.step("three", || async { Ok(two + 1) }).await?;
        Ok(json!({ "sum": one + two + three }))
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let first = connection.expect("step").await;
    assert_eq!(first["outcomes"], json!([{"id": "one", "kind": "run", "result": 1}]));
    assert_eq!((&first["run"], &first["fence"]), (&json!("run_1"), &json!("run_1/1")));
    let second = connection.expect("step").await;
    assert_eq!(second["outcomes"], json!([{"id": "two", "kind": "run", "result": 2}]));
    let last = connection.expect("complete").await;
    assert_eq!(last["outcomes"], json!([{"id": "three", "kind": "run", "result": 3}]));
    assert_eq!(last["result"], json!({"sum": 6}));
}

#[tokio::test]
async fn the_next_step_starts_only_after_the_answer() {
    let server = Server::bind().await;
    let started = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&started);
    let function = payout().handler(move |ctx: Context| {
        let count = Arc::clone(&count);
        async move {
            for _ in 0..2 {
                ctx.step("count", || async { Ok(count.fetch_add(1, Ordering::SeqCst)) }).await?;
            }
            Ok(())
        }
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.receive().await;
    // Frames of another run show that the worker is not merely slow.
    connection
        .send_job("run_2", json!({"steps": [{"id": "count", "result": 7}, {"id": "count#2", "result": 8}]}))
        .await;
    assert_eq!(connection.expect("complete").await["run"], "run_2");
    assert_eq!(started.load(Ordering::SeqCst), 1);
    connection.acknowledge(&frame).await;
    let last = connection.expect("complete").await;
    assert_eq!(ids(&last), ["count#2"]);
    assert_eq!((started.load(Ordering::SeqCst), &last["result"]), (2, &Value::Null));
}

#[tokio::test]
async fn a_replay_answers_from_memory() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let charge: Value = ctx.step("charge", || async { panic!("it has run before") }).await?;
        let failed: Result<(), Error> = ctx.step("check", || async { panic!("it has run before") }).await;
        let Err(Error::Step(error)) = failed else { return Err(HandlerError::new("the error is gone")) };
        let nothing: Option<u8> = ctx.step("nothing", || async { panic!("it has run before") }).await?;
        Ok(json!([charge, error.name, error.message, error.step, nothing, ctx.attempt(), ctx.event().data]))
    });
    let (_worker, mut connection) = server.start_function(function).await;
    let steps = json!([{"id": "charge", "result": {"id": "ch_1"}}, {"id": "nothing", "result": null},
        {"id": "check", "error": {"name": "Declined", "message": "no"}}]);
    connection.send_job("run_1", json!({"steps": steps, "attempt": 3})).await;
    let frame = connection.expect("complete").await;
    assert_eq!(frame["outcomes"], json!([]));
    assert_eq!(frame["result"], json!([{"id": "ch_1"}, "Declined", "no", "check", null, 3, {"amount": 1200}]));
}

#[tokio::test]
async fn a_remembered_result_of_another_type_fails_the_run_without_quoting_it() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let number: u64 = ctx.step("charge", || async { Ok(1) }).await?;
        Ok(number)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({"steps": [{"id": "charge", "result": "canary"}]})).await;
    let frame = connection.expect("fail").await;
    assert_eq!(frame["error"]["message"], "the result of step \"charge\" does not fit u64");
    assert!(!frame.to_string().contains("canary"));
}

#[tokio::test]
async fn parallel_steps_run_at_the_same_time_and_need_no_order() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let (to_a, from_b) = oneshot::channel();
        let (to_b, from_a) = oneshot::channel();
        // Each needs the other one: they only end if both have started.
        let a = ctx.step("a", || async {
            to_b.send(1).map_err(|_| HandlerError::new("b is gone"))?;
            Ok::<i32, _>(from_b.await?)
        });
        let b = ctx.step("b", || async {
            to_a.send(2).map_err(|_| HandlerError::new("a is gone"))?;
            Ok::<i32, _>(from_a.await?)
        });
        Ok(tokio::try_join!(a, b)?)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    assert_eq!(ids(&connection.expect("step").await), ["b"]);
    let frame = connection.expect("complete").await;
    assert_eq!(ids(&frame), ["a"]);
    assert_eq!(frame["result"], json!([2, 1]));
}

#[tokio::test]
async fn a_result_is_stored_while_a_parallel_step_goes_on() {
    let server = Server::bind().await;
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let function = payout().handler(move |ctx: Context| {
        let gate = Arc::clone(&opened);
        async move {
            let slow = ctx.step("slow", || gate.notified().map(Ok));
            let chain = async {
                ctx.step("first", || async { Ok(1) }).await?;
                ctx.step("second", || async { Ok(2) }).await
            };
            let (slow, chain) = tokio::join!(slow, chain);
            slow?;
            Ok(chain?)
        }
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    assert_eq!(ids(&connection.expect("step").await), ["first"]);
    let second = connection.receive().await;
    assert_eq!(ids(&second), ["second"]);
    // This arises while a frame is in flight, so it has to wait for the answer.
    gate.notify_one();
    connection.acknowledge(&second).await;
    assert_eq!(ids(&connection.expect("complete").await), ["slow"]);
}

#[tokio::test]
async fn a_result_that_arises_during_a_flight_is_sent_after_it() {
    let server = Server::bind().await;
    let (gates, tests_gates) =
        ([Arc::new(Notify::new()), Arc::new(Notify::new())], [Arc::new(Notify::new()), Arc::new(Notify::new())]);
    let seen = tests_gates.clone();
    let handlers_gates = gates.clone();
    let function = payout().handler(move |ctx: Context| {
        let ([b, c], seen) = (handlers_gates.clone(), seen.clone());
        async move {
            let (x, y, z) = tokio::join!(
                ctx.step("a", || async { Ok(()) }),
                ctx.step("b", || async {
                    b.notified().await;
                    seen[0].notify_one();
                    Ok(())
                }),
                ctx.step("c", || c.notified().map(Ok)),
            );
            x.and(y).and(z)?;
            Ok(())
        }
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let first = connection.receive().await;
    assert_eq!(ids(&first), ["a"]);
    gates[0].notify_one();
    tests_gates[0].notified().await;
    connection.acknowledge(&first).await;
    assert_eq!(ids(&connection.expect("step").await), ["b"]);
    gates[1].notify_one();
    assert_eq!(ids(&connection.expect("complete").await), ["c"]);
}

#[tokio::test]
async fn a_step_may_be_awaited_in_another_task() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let one = tokio::spawn(ctx.step("one", || async { Ok(1) })).await??;
        let two = tokio::spawn(ctx.step("two", move || async move { Ok(one + 1) })).await??;
        Ok(two)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let mut stored = Vec::new();
    let result = loop {
        let frame = connection.receive().await;
        connection.acknowledge(&frame).await;
        stored.extend(ids(&frame).into_iter().map(str::to_owned));
        if frame["type"] == "complete" {
            break frame["result"].clone();
        }
    };
    assert_eq!((stored, result), (vec!["one".to_owned(), "two".to_owned()], json!(2)));
}

#[tokio::test]
async fn a_caught_error_is_remembered() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let declined = || async { Err::<(), _>(HandlerError::new("no").named("Declined")) };
        let first = ctx.step("first", declined).await;
        ctx.step("between", || async { Ok(()) }).await?;
        let last = ctx.step("last", declined).await;
        Ok(first.is_err() && last.is_err())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let declined = |id: &str| json!({"id": id, "kind": "run", "error": {"name": "Declined", "message": "no"}});
    assert_eq!(connection.expect("step").await["outcomes"], json!([declined("first")]));
    let frame = connection.expect("step").await;
    assert_eq!(ids(&frame), ["between"]);
    let frame = connection.expect("complete").await;
    assert_eq!((&frame["outcomes"], &frame["result"]), (&json!([declined("last")]), &json!(true)));
}

#[tokio::test]
async fn a_second_use_of_an_id_is_numbered_in_the_order_of_calls() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let calls: Vec<_> = (0..3).map(|number| ctx.step("item", move || async move { Ok(number) })).collect();
        let mut results: Vec<i32> = Vec::new();
        for call in calls.into_iter().rev() {
            results.push(call.await?);
        }
        Ok(results)
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    let frame = connection.expect("complete").await;
    assert_eq!(ids(&frame), ["item#3", "item#2", "item"]);
    assert_eq!(frame["result"], json!([2, 1, 0]));
}

#[tokio::test]
async fn more_results_than_a_frame_holds_are_sent_in_several() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let steps = (0..20).map(|_| ctx.step("large", || async { Ok("x".repeat(200 * 1024)) }));
        Ok(futures_util::future::try_join_all(steps).await?.len())
    });
    let (_worker, mut connection) = server.start_function(function).await;
    connection.send_job("run_1", json!({})).await;
    assert_eq!(ids(&connection.expect("step").await).len(), 15);
    let frame = connection.expect("complete").await;
    assert_eq!((ids(&frame).len(), &frame["result"]), (5, &json!(20)));
}

#[tokio::test]
async fn many_runs_share_a_connection() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        for _ in 0..3 {
            ctx.step("step", || async { Ok(()) }).await?;
        }
        Ok(ctx.run().to_owned())
    });
    let (_worker, mut connection) = server.start(server.worker().function(function).concurrency(200)).await;
    assert_eq!(connection.hello["credit"], 200);
    for run in 0..200 {
        connection.send_job(&format!("run_{run}"), json!({})).await;
    }
    let mut frames = 0;
    let mut completed = 0;
    while completed < 200 {
        let frame = connection.receive().await;
        connection.acknowledge(&frame).await;
        frames += 1;
        if frame["type"] == "complete" {
            assert_eq!(frame["result"], frame["run"]);
            completed += 1;
        }
    }
    assert_eq!(frames, 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_parallel_steps_on_many_threads_lose_nothing() {
    let server = Server::bind().await;
    let function = payout().handler(|ctx: Context| async move {
        let branch = |name: &'static str| {
            let ctx = &ctx;
            async move {
                let mut sum = 0;
                for number in 0..3 {
                    let added: u32 = ctx.step(name, move || tokio::spawn(async move { number }).err_into()).await?;
                    sum += added;
                }
                Ok::<u32, HandlerError>(sum)
            }
        };
        let spawned = tokio::spawn(ctx.step("spawned", || async { Ok(4) })).map(|joined| joined?.map_err(Into::into));
        let (a, b, c): (u32, u32, u32) = tokio::try_join!(branch("a"), branch("b"), spawned)?;
        Ok(a + b + c)
    });
    let (_worker, mut connection) = server.start(server.worker().function(function).concurrency(64)).await;
    for run in 0..64 {
        connection.send_job(&format!("run_{run}"), json!({})).await;
    }
    let mut stored = 0;
    let mut completed = 0;
    while completed < 1000 {
        let frame = connection.receive().await;
        connection.acknowledge(&frame).await;
        stored += ids(&frame).len();
        if frame["type"] == "complete" {
            assert_eq!(frame["result"], 10);
            completed += 1;
            if completed <= 1000 - 64 {
                connection.send_job(&format!("run_{}", 63 + completed), json!({})).await;
            }
        }
    }
    assert_eq!(stored, 7000);
}
