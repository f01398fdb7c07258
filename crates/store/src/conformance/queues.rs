//! Queues of hints.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use tokio::time::Instant;

use super::in_time;
use crate::{Hint, Queue};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(60);

async fn offer(queue: &dyn Queue, ids: &[&str]) {
    for id in ids {
        queue.offer("t", id).await.unwrap();
    }
}

async fn take(queue: &dyn Queue, limit: usize, lease: Duration) -> Vec<String> {
    queue.take("t", limit, lease).await.unwrap().into_iter().map(|hint| hint.id).collect()
}

fn hint(id: &str) -> Hint {
    Hint { id: id.to_owned() }
}

/// Hints come in the order of the offers, as many as asked for, and no call waits.
pub async fn oldest_first(queue: Arc<dyn Queue>) {
    assert!(take(&*queue, 5, LONG).await.is_empty());
    offer(&*queue, &["c", "a", "b"]).await;
    assert_eq!(take(&*queue, 2, LONG).await, ["c", "a"]);
    assert_eq!(take(&*queue, 2, LONG).await, ["b"]);
    assert!(take(&*queue, 2, LONG).await.is_empty());
}

/// An id that waits does not wait twice, and keeps its place.
pub async fn an_offer_is_not_doubled(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a", "b", "a"]).await;
    assert_eq!(take(&*queue, 5, LONG).await, ["a", "b"]);
}

/// The same id may be offered on two topics.
pub async fn topics_are_apart(queue: Arc<dyn Queue>) {
    queue.offer("t", "a").await.unwrap();
    queue.offer("other", "a").await.unwrap();
    assert_eq!(take(&*queue, 5, LONG).await, ["a"]);
    assert_eq!(queue.take("other", 5, LONG).await.unwrap(), [hint("a")]);
}

/// Nobody else gets it while the lease lasts.
pub async fn a_taken_hint_is_taken(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a"]).await;
    assert_eq!(take(&*queue, 1, LONG).await, ["a"]);
    assert!(take(&*queue, 1, LONG).await.is_empty());
    assert!(queue.ready("t").now_or_never().is_none());
}

/// A hint that is done does not come again, and may be offered anew. What is not taken is not done.
pub async fn done_removes(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a"]).await;
    queue.done("t", &hint("a")).await.unwrap();
    queue.done("t", &hint("nobody")).await.unwrap();
    assert_eq!(take(&*queue, 1, LONG).await, ["a"]);
    queue.done("t", &hint("a")).await.unwrap();
    assert!(take(&*queue, 1, LONG).await.is_empty());
    offer(&*queue, &["a"]).await;
    assert_eq!(take(&*queue, 1, LONG).await, ["a"]);
}

/// After its lease a hint comes again, before younger ones.
pub async fn a_lease_runs_out(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a"]).await;
    for _ in 0..2 {
        let before = Instant::now();
        assert_eq!(take(&*queue, 1, SHORT).await, ["a"]);
        in_time(queue.ready("t")).await;
        assert!(before.elapsed() >= SHORT);
    }
    offer(&*queue, &["b"]).await;
    assert_eq!(take(&*queue, 2, LONG).await, ["a", "b"]);
}

/// A renewed lease counts from the renewal.
pub async fn extending_keeps_it(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a", "b"]).await;
    assert_eq!(take(&*queue, 2, SHORT).await, ["a", "b"]);
    queue.extend("t", &hint("a"), LONG).await.unwrap();
    queue.extend("t", &hint("nobody"), LONG).await.unwrap();
    in_time(queue.ready("t")).await;
    assert_eq!(take(&*queue, 2, LONG).await, ["b"]);
}

/// An offer that comes while the hint is taken is not swallowed by `done`.
pub async fn offered_while_taken_comes_again(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a"]).await;
    assert_eq!(take(&*queue, 1, LONG).await, ["a"]);
    offer(&*queue, &["a", "a"]).await;
    queue.done("t", &hint("a")).await.unwrap();
    in_time(queue.ready("t")).await;
    assert_eq!(take(&*queue, 5, LONG).await, ["a"]);
    queue.done("t", &hint("a")).await.unwrap();
    assert!(take(&*queue, 5, LONG).await.is_empty());
}

/// It completes with the offer, for everyone who waits, and at once when a hint waits.
pub async fn ready_waits_for_an_offer(queue: Arc<dyn Queue>) {
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.ready("t").await })
        })
        .collect();
    assert!(queue.ready("t").now_or_never().is_none());
    offer(&*queue, &["a"]).await;
    for waiter in waiting {
        in_time(waiter).await.unwrap();
    }
    in_time(queue.ready("t")).await;
}

/// It completes when the first of several leases runs out.
pub async fn ready_waits_for_a_lease(queue: Arc<dyn Queue>) {
    offer(&*queue, &["a", "b"]).await;
    assert_eq!(take(&*queue, 1, LONG).await, ["a"]);
    assert_eq!(take(&*queue, 1, SHORT).await, ["b"]);
    in_time(queue.ready("t")).await;
    assert_eq!(take(&*queue, 5, LONG).await, ["b"]);
}

/// Workers that take and finish concurrently get every hint, each once.
pub async fn many_workers_share(queue: Arc<dyn Queue>) {
    const HINTS: usize = 300;
    let workers: Vec<_> = (0..4).map(|_| tokio::spawn(work(queue.clone()))).collect();
    for at in 0..HINTS {
        queue.offer("t", &at.to_string()).await.unwrap();
    }
    for at in 0..4 {
        queue.offer("t", &format!("stop{at}")).await.unwrap();
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for taken in in_time(join_all(workers)).await {
        for id in taken.unwrap() {
            *seen.entry(id).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), HINTS);
    assert!(seen.values().all(|&count| count == 1));
}

/// Takes one at a time until it is told to stop.
async fn work(queue: Arc<dyn Queue>) -> Vec<String> {
    let mut taken = Vec::new();
    loop {
        queue.ready("t").await;
        for hint in queue.take("t", 1, LONG).await.unwrap() {
            queue.done("t", &hint).await.unwrap();
            if hint.id.starts_with("stop") {
                return taken;
            }
            taken.push(hint.id);
        }
    }
}
