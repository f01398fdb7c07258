//! Three servers.

use async_nats::ConnectOptions;
use claviger_testbed::{NatsCluster, Routes, ServerOptions};
use serde_json::Value;

use crate::support::{PATIENCE, connect, publish, published, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_can_be_killed_in_turn() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.unwrap();
    let client = connect(ConnectOptions::new(), &cluster.urls()).await;
    let context = stream(&client, 3).await;
    let mut last = 0;
    for server in cluster.servers() {
        server.kill();
        let next = published(&context).await;
        assert!(next > last);
        last = next;
        server.restart().await.unwrap();
        cluster.ready().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_server_stores_nothing_and_no_gossip_leads_around_the_proxies() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Proxied).await.unwrap();
    // Twice: after the first time, servers know more of each other than at the start.
    for round in 0..2 {
        let leader = cluster.leader().await.unwrap();
        let client = connect(ConnectOptions::new(), &cluster.servers()[leader].urls()).await;
        let context = stream(&client, 3).await;
        published(&context).await;
        cluster.isolate(leader);
        let alone = async {
            while routes(&cluster, leader).await != 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, alone).await.expect("in time");
        assert_eq!(publish(&context).await, None, "round {round}");
        assert_eq!(routes(&cluster, leader).await, 0, "round {round}");
        let other = (leader + 1) % 3;
        let client = connect(ConnectOptions::new(), &cluster.servers()[other].urls()).await;
        published(&async_nats::jetstream::new(client)).await;
        cluster.heal();
        cluster.ready().await.unwrap();
        published(&context).await;
        assert!(cluster.stream_leader("s").await.is_some());
    }
}

async fn routes(cluster: &NatsCluster, at: usize) -> u64 {
    let shown = cluster.servers()[at].monitor("/routez").await.unwrap();
    shown["routes"].as_array().map_or(0, |routes: &Vec<Value>| routes.len() as u64)
}
