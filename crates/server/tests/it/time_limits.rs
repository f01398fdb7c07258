//! Limits in seconds, on a clock that jumps when nothing else is to be done.

use claviger_core::Role;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, pause},
};

use crate::support::{House, Worker};

#[tokio::test]
async fn a_worker_that_falls_silent_is_disconnected() {
    let house = House::open().await;
    let mut worker = Worker::serving(&house, json!([{"id": "f"}])).await;
    pause();
    let began = Instant::now();
    assert_eq!(worker.hear_refusal().await, ("timeout".to_owned(), 4400));
    assert!((25..30).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_worker_has_to_say_hello_in_time() {
    let house = House::open().await;
    let mut worker = Worker::with_key(&house, &house.key(Role::Runtime).await).await;
    pause();
    let began = Instant::now();
    assert_eq!(worker.hear_refusal().await, ("timeout".to_owned(), 4400));
    assert!((10..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    let head = format!(
        "PUT /v1/environments/default/secrets/A HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {key}\r\ncontent-length: 10\r\n\r\n{{",
        house.address
    );
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    pause();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["code"], "timeout");
}

#[tokio::test]
async fn connections_that_ask_for_nothing_are_closed() {
    let house = House::open().await;
    let mut streams = Vec::new();
    for part in ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    pause();
    for mut stream in streams {
        let mut answer = Vec::new();
        // Closed in one way or the other.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn an_idle_event_stream_is_kept_alive() {
    let house = House::open().await;
    let admin = house.admin().await;
    let mut response = admin.request("GET", "/v1/environments/default/subscribe?pattern=a").send().await.unwrap();
    assert!(response.chunk().await.unwrap().unwrap().starts_with(b"id: "));
    pause();
    assert_eq!(&response.chunk().await.unwrap().unwrap()[..], b": keep-alive\n\n");
}
