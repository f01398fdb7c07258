//! The queue: the conformance suite on one server and on three, and what is particular to several processes.

use std::{sync::Arc, time::Duration};

use claviger_store::{Ledger, NatsLedger, NatsOptions, NatsQueue, Queue};
use claviger_testbed::{NatsCluster, NatsServer, Routes, ServerOptions};
use futures_util::StreamExt;

const LEASE: Duration = Duration::from_secs(600);

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process: its ledger, and its queue.
struct Node {
    ledger: NatsLedger,
    queue: NatsQueue,
}

impl Node {
    async fn start(urls: Vec<String>) -> Node {
        let ledger = NatsLedger::connect(NatsOptions::new(urls)).await.expect("a ledger");
        let queue = NatsQueue::open(ledger.connection()).await.expect("a queue");
        Node { ledger, queue }
    }

    async fn take(&self, limit: usize) -> Vec<String> {
        let taken = self.queue.take("t", limit, LEASE).await.expect("hints");
        taken.into_iter().map(|hint| hint.id).collect()
    }

    async fn offer(&self, ids: impl IntoIterator<Item = &str>) {
        for id in ids {
            self.queue.offer("t", id).await.expect("an offer");
        }
    }

    async fn ready(&self) {
        tokio::time::timeout(PATIENCE, self.queue.ready("t")).await.expect("in time");
    }
}

mod one {
    use super::*;

    async fn queue() -> (Arc<dyn Queue>, (NatsServer, NatsLedger)) {
        let server = NatsServer::start(ServerOptions::default()).await.expect("a server");
        let node = Node::start(server.urls()).await;
        (Arc::new(node.queue), (server, node.ledger))
    }

    claviger_store::queue_conformance!(queue);
}

mod three {
    use super::*;

    async fn queue() -> (Arc<dyn Queue>, (NatsCluster, NatsLedger)) {
        let cluster = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.expect("a cluster");
        let node = Node::start(cluster.urls()).await;
        (Arc::new(node.queue), (cluster, node.ledger))
    }

    claviger_store::queue_conformance!(queue);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_offers_wakes_another_which_alone_takes_it() {
    let server = NatsServer::start(ServerOptions::default()).await.expect("a server");
    let (a, b) = (Node::start(server.urls()).await, Node::start(server.urls()).await);
    assert!(b.take(1).await.is_empty());
    let (ready, ()) = tokio::join!(tokio::time::timeout(PATIENCE, b.queue.ready("t")), a.offer(["x"]));
    ready.expect("in time");
    assert_eq!(b.take(1).await, ["x"]);
    assert!(a.take(1).await.is_empty());
    // While it is taken, the same may be offered again.
    a.offer(["x", "x"]).await;
    assert_eq!(a.take(5).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_take_at_the_same_time_share() {
    let cluster = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.expect("a cluster");
    let (a, b) = (Node::start(cluster.urls()).await, Node::start(cluster.urls()).await);
    let ids: Vec<String> = (0..200).map(|at| format!("run {at}")).collect();
    a.offer(ids.iter().map(String::as_str)).await;
    let all = async |node: &Node| {
        let mut taken = Vec::new();
        loop {
            let more = node.take(7).await;
            if more.is_empty() {
                return taken;
            }
            taken.extend(more);
        }
    };
    let (of_a, of_b) = tokio::join!(all(&a), all(&b));
    let mut taken = [of_a, of_b].concat();
    taken.sort();
    let mut wanted = ids;
    wanted.sort();
    assert_eq!(taken, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_hint_is_taken_with_three_requests() {
    let server = NatsServer::start(ServerOptions::default()).await.expect("a server");
    let node = Node::start(server.urls()).await;
    node.offer(["x"]).await;
    let client = async_nats::connect(server.url()).await.expect("a client");
    let mut heard = client.subscribe(">").await.expect("a subscription");
    client.publish("begin", "".into()).await.expect("a message");
    while heard.next().await.expect("a message").subject.as_str() != "begin" {}
    assert_eq!(node.take(5).await, ["x"]);
    assert!(node.take(5).await.is_empty());
    client.publish("end", "".into()).await.expect("a message");
    let mut requests = Vec::new();
    loop {
        let subject = heard.next().await.expect("a message").subject;
        match subject.strip_prefix("$JS.API.STREAM.MSG.") {
            Some(request) => requests.push(request.to_owned()),
            None if subject.as_str() == "end" => break,
            None => {}
        }
    }
    // The hint, that there is no other, and that it is ours. After that nothing is asked: there are no news.
    assert_eq!(requests, ["GET.claviger_queue", "GET.claviger_queue", "DELETE.claviger_queue"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_memory_gets_a_new_queue() {
    let server = NatsServer::start(ServerOptions::default()).await.expect("a server");
    let node = Node::start(server.urls()).await;
    node.offer(["lost"]).await;
    server.restart().await.expect("a start");
    node.offer(["kept"]).await;
    node.ready().await;
    assert_eq!(node.take(5).await, ["kept"]);
    node.ledger.close().await;
    assert!(node.queue.offer("t", "late").await.is_err());
}
