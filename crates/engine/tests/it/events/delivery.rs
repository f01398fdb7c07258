use std::{collections::HashMap, sync::Arc};

use claviger_engine::events::Frame;
use claviger_store::{SqliteLedger, SqliteOptions};

use super::rig::{Rig, default, emit, event, events, set, subscribe};

#[tokio::test]
async fn a_subscription_without_a_cursor_begins_now() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    for data in ["1", "2"] {
        emit(&engine, "order.created", data).await;
    }
    let (mut subscription, ready) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, "order.created", "3").await;
    assert_eq!(events(&mut subscription, 1).await[0].1, "3");
    // The cursor of the first frame is as good as any.
    let (mut again, _) = subscribe(&engine, &["order.*"], Some(&ready)).await;
    assert_eq!(events(&mut again, 1).await[0].1, "3");
}

#[tokio::test]
async fn a_subscription_resumes_after_a_restart() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.*", "system.secret.>"], None).await;
    emit(&engine, "order.created", "1").await;
    set(&engine, &default(), "KEY", "canary-value").await;
    event(&mut subscription).await;
    let (_, cursor) = event(&mut subscription).await;
    emit(&engine, "order.created", "2").await;
    engine.close().await;
    assert!(drain(&mut subscription).await <= 1);
    let engine = rig.engine().await;
    emit(&engine, "order.created", "3").await;
    set(&engine, &default(), "KEY", "canary-value").await;
    let (mut resumed, _) = subscribe(&engine, &["order.*", "system.secret.>"], Some(&cursor)).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        let (event, _) = event(&mut resumed).await;
        names.push(format!("{}/{}", event.stream, event.revision));
    }
    names.sort();
    assert_eq!(names, ["events/2", "events/3", "secrets/2"]);
}

#[tokio::test]
async fn a_subscription_resumes_on_the_embedded_store_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let rig = Rig::new();
    let open = || Arc::new(SqliteLedger::open(SqliteOptions::new(directory.path().join("claviger.db"))).unwrap());
    let engine = rig.engine_on(open()).await;
    let (mut subscription, _) = subscribe(&engine, &["order.*", "system.secret.>"], None).await;
    emit(&engine, "order.created", "1").await;
    let (_, cursor) = event(&mut subscription).await;
    set(&engine, &default(), "KEY", "canary-value").await;
    emit(&engine, "order.created", "2").await;
    engine.close().await;
    let engine = rig.engine_on(open()).await;
    let (mut resumed, _) = subscribe(&engine, &["order.*", "system.secret.>"], Some(&cursor)).await;
    let mut names: Vec<String> = events(&mut resumed, 2).await.into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["order.created", "system.secret.KEY.created"]);
    emit(&engine, "order.created", "3").await;
    assert_eq!(events(&mut resumed, 1).await[0].1, "3");
    engine.close().await;
}

/// Takes frames until the subscription ends.
async fn drain(subscription: &mut claviger_engine::events::Subscription) -> usize {
    let mut count = 0;
    while subscription.next().await.is_some() {
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_answer_for_a_while_is_asked_again() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (_, cursor) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, "order.created", "1").await;
    engine.close().await;
    let engine = rig.engine().await;
    emit(&engine, "order.created", "2").await;
    let (mut resumed, _) = subscribe(&engine, &["order.*"], Some(&cursor)).await;
    rig.ledger.fail_reads(3);
    let data: Vec<String> = events(&mut resumed, 2).await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, ["1", "2"]);
    assert_eq!(rig.ledger.failing(), 0);
}

#[tokio::test]
async fn subscriptions_end_with_the_engine() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut idle, _) = subscribe(&engine, &[">"], None).await;
    let (next, ()) = tokio::join!(idle.next(), engine.close());
    assert!(next.is_none());
}

#[tokio::test]
async fn the_cursor_moves_with_events_that_do_not_fit() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, ready) = subscribe(&engine, &["order.*"], None).await;
    for data in ["1", "2"] {
        emit(&engine, "payment.made", data).await;
    }
    emit(&engine, "order.created", "3").await;
    assert_eq!(subscription.cursor(), ready);
    let (_, cursor) = event(&mut subscription).await;
    assert_eq!(subscription.cursor(), cursor);
    emit(&engine, "payment.made", "4").await;
    // A look at what comes next, given up before anything fits.
    let looked = async {
        while subscription.cursor() == cursor {
            tokio::select! {
                biased;
                frame = subscription.next() => panic!("nothing fits: {frame:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), looked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_is_overrun_and_loses_nothing() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut slow, _) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, "order.created", "0").await;
    assert_eq!(events(&mut slow, 1).await[0].1, "0");
    // More than the ring holds, while nobody looks.
    let count = 5_000;
    for at in 1..=count {
        emit(&engine, if at % 3 == 0 { "payment.made" } else { "order.created" }, &at.to_string()).await;
    }
    let wanted: Vec<String> = (1..=count).filter(|at| at % 3 != 0).map(|at| at.to_string()).collect();
    let seen: Vec<String> = events(&mut slow, wanted.len()).await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_under_concurrent_emits_for_every_subscriber() {
    let rig = Rig::new();
    let engine = Arc::new(rig.engine().await);
    let (writers, each) = (8, 60);
    let mut readers = Vec::new();
    for _ in 0..5 {
        let (mut subscription, _) = subscribe(&engine, &["order.*"], None).await;
        readers.push(tokio::spawn(async move {
            let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
            for (name, data) in events(&mut subscription, writers * each).await {
                seen.entry(name).or_default().push(data.parse().unwrap());
            }
            seen
        }));
    }
    let mut tasks = Vec::new();
    for writer in 0..writers {
        let engine = engine.clone();
        tasks.push(tokio::spawn(async move {
            for at in 0..each {
                emit(&engine, &format!("order.of-{writer}"), &at.to_string()).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let wanted: Vec<u64> = (0..each as u64).collect();
    for reader in readers {
        let seen = reader.await.unwrap();
        assert_eq!(seen.len(), writers);
        assert!(seen.values().all(|data| *data == wanted));
    }
}

#[tokio::test]
async fn giving_up_on_a_frame_loses_nothing() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.*", "system.secret.>"], None).await;
    let mut seen = Vec::new();
    for at in 0..100 {
        emit(&engine, "order.created", &at.to_string()).await;
        // Polls once and drops the future.
        tokio::select! {
            biased;
            frame = subscription.next() => seen.push(frame.unwrap()),
            () = std::future::ready(()) => {}
        }
    }
    while seen.len() < 100 {
        seen.push(super::rig::frame(&mut subscription).await);
    }
    for (at, frame) in seen.iter().enumerate() {
        let Frame::Event { event, .. } = frame else { panic!("{frame:?}") };
        assert_eq!(event.data.get(), at.to_string());
    }
}
