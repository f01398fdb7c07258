use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{House, Worker, about};

#[tokio::test]
async fn stopping_under_load_takes_less_than_five_seconds_and_ends_everything_cleanly() {
    let mut house = House::open().await;
    let functions = json!([{"id": "f", "triggers": [{"event": "go"}]}]);
    let mut worker = Worker::serving(&house, functions).await;
    let admin_key = house.key(claviger_core::Role::Admin).await;
    let admin = house.client_with(&admin_key);
    let event = admin.emit("go", json!({})).await.json();
    let job = worker.hear_type("job").await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut frames = admin.subscribe("?pattern=%3E").await;
        assert_eq!(frames.next().await.unwrap().kind, "ready");
        streams.push(frames);
    }
    let path = format!("/v1/environments/default/events/{}/runs?waitMs=60000", event["id"].as_str().unwrap());
    let mut poll = TcpStream::connect(house.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {admin_key}\r\n\r\n", house.address);
    poll.write_all(head.as_bytes()).await.unwrap();
    let idle = TcpStream::connect(house.address).await.unwrap();
    // What is asked later is answered later: by now the server has taken up all that came before.
    for _ in 0..2 {
        assert_eq!(admin.get("/healthz").await.status, 200);
    }
    let engine = house.engine.clone();
    let work = tokio::spawn(async move {
        worker.hear_type("drain").await;
        worker.say(&about(&job, "complete", json!({"result": 1}))).await;
        worker.hear_type("ack").await;
        worker.hear_or_end().await.unwrap_err()
    });
    let began = Instant::now();
    house.stop().await;
    engine.close().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for mut frames in streams {
        while frames.next().await.is_some() {}
    }
    let mut answer = String::new();
    poll.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"dispatched\":true"), "{answer}");
    assert_eq!(work.await.unwrap().0, 1001);
    drop(idle);
}

#[tokio::test]
async fn a_worker_that_does_not_finish_is_cut_off() {
    let mut house = House::open().await;
    let mut worker = Worker::serving(&house, json!([{"id": "f", "triggers": [{"event": "go"}]}])).await;
    house.admin().await.emit("go", json!({})).await;
    worker.hear_type("job").await;
    let began = Instant::now();
    house.stop().await;
    house.engine.close().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    worker.hear_type("drain").await;
    assert_eq!(worker.hear_or_end().await.unwrap_err().0, 1001);
}
