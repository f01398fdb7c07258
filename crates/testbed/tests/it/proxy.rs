//! The network.

use std::time::Duration;

use claviger_testbed::Proxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A proxy in front of a listener that accepts one connection after the other.
async fn network() -> (Proxy, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).await.unwrap();
    (proxy, listener)
}

async fn connection(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn heard(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 16];
    let length = stream.read(&mut buffer).await.unwrap_or(0);
    buffer.truncate(length);
    buffer
}

#[tokio::test]
async fn both_directions_are_forwarded() {
    let (proxy, listener) = network().await;
    let (mut client, mut server) = connection(&proxy, &listener).await;
    client.write_all(b"ping").await.unwrap();
    assert_eq!(heard(&mut server).await, b"ping");
    server.write_all(b"pong").await.unwrap();
    assert_eq!(heard(&mut client).await, b"pong");
    drop(server);
    assert_eq!(heard(&mut client).await, b"");
}

#[tokio::test]
async fn a_cut_ends_connections_old_and_new_until_it_is_healed() {
    let (proxy, listener) = network().await;
    let (mut client, mut server) = connection(&proxy, &listener).await;
    proxy.cut();
    assert_eq!(heard(&mut client).await, b"");
    assert_eq!(heard(&mut server).await, b"");
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(heard(&mut refused).await, b"");
    proxy.heal();
    connection(&proxy, &listener).await;
}

#[tokio::test]
async fn an_interruption_is_noticed_however_short() {
    let (proxy, listener) = network().await;
    let (mut client, _server) = connection(&proxy, &listener).await;
    proxy.interrupt();
    assert_eq!(heard(&mut client).await, b"");
    connection(&proxy, &listener).await;
}

#[tokio::test]
async fn what_is_stalled_arrives_later() {
    let (proxy, listener) = network().await;
    let (mut client, mut server) = connection(&proxy, &listener).await;
    proxy.stall();
    client.write_all(b"late").await.unwrap();
    assert!(timeout(Duration::from_millis(50), heard(&mut server)).await.is_err());
    proxy.heal();
    assert_eq!(heard(&mut server).await, b"late");
}
