//! Clients that emit events with ids of their own, until each is acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{client::Client, random::Random};

/// The function of the worker in Node, which cannot tell that it made room: its runs take none.
const NODE: &str = "node";

/// An acknowledged event.
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) revision: u64,
}

/// A client that starts runs.
pub(super) struct Emitter {
    pub(super) client: Client,
    pub(super) random: Random,
    /// Stands in the ids.
    pub(super) name: &'static str,
    /// The functions to start, as often as they are named.
    pub(super) functions: &'static [&'static str],
    pub(super) newest_key: Arc<AtomicU64>,
    /// How many runs of the shop may be unfinished, so that slow machines have less to do.
    pub(super) room: Arc<Semaphore>,
}

/// The name of the event that starts a function.
pub(super) fn trigger(function: &str) -> String {
    format!("crash.{function}")
}

impl Emitter {
    /// Emits until told to stop.
    pub(super) async fn work(mut self, stop: watch::Receiver<bool>) -> Vec<Emitted> {
        let mut emitted: Vec<Emitted> = Vec::new();
        loop {
            let function = self.functions[self.random.below(self.functions.len())];
            if !self.has_room(function, stop.clone()).await {
                return emitted;
            }
            let id = format!("{}-{}-{function}", self.name, emitted.len());
            let event = self.emit(&id, &trigger(function)).await;
            emitted.push(event);
            if self.random.one_in(10) {
                let known = emitted[self.random.below(emitted.len())].clone();
                let again = self.emit(&known.id, &known.name).await;
                assert_eq!(again.revision, known.revision, "event {} was stored twice", known.id);
            }
            sleep(self.random.millis(0..=15)).await;
        }
    }

    /// Waits for room for one more run. False when it is time to stop.
    async fn has_room(&self, function: &str, mut stop: watch::Receiver<bool>) -> bool {
        if function == NODE {
            return !*stop.borrow();
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            permit = self.room.acquire() => {
                permit.expect("an open semaphore").forget();
                true
            }
        }
    }

    async fn emit(&mut self, id: &str, name: &str) -> Emitted {
        // Whoever handles the event must get this value or a later one.
        let newest_key = self.newest_key.load(Ordering::Acquire);
        let pause = u64::try_from(self.random.millis(0..=300).as_millis()).expect("a short pause");
        emit(&self.client, id, name, &json!({ "newestKey": newest_key, "pauseMs": pause })).await
    }
}

/// Emits an event as often as it takes.
pub(super) async fn emit(client: &Client, id: &str, name: &str, data: &Value) -> Emitted {
    let body = json!({ "id": id, "name": name, "data": data });
    loop {
        let request = client.request(Method::POST, "/events").json(&body);
        let Some((status, answer)) = client.ask(request).await else { continue };
        assert_eq!(status, StatusCode::ACCEPTED, "{id}: {answer}");
        let revision = answer["revision"].as_u64().expect("a revision");
        return Emitted { id: id.to_owned(), name: name.to_owned(), revision };
    }
}

/// Answers what runs wait for: once it was acknowledged, never again.
pub(super) async fn pay(client: Client, stop: watch::Receiver<bool>) -> Vec<Emitted> {
    let mut paid: Vec<Emitted> = Vec::new();
    while !*stop.borrow() {
        let request = client.request(Method::GET, "/runs?function=order&status=waiting&limit=500");
        let waiting = match client.ask(request).await {
            Some((status, body)) => {
                assert_eq!(status, StatusCode::OK, "{body}");
                body["items"].as_array().expect("runs").clone()
            }
            None => continue,
        };
        for run in waiting {
            let order = run["event"]["id"].as_str().expect("an id");
            let id = payment(order);
            if !paid.iter().any(|payment| payment.id == id) {
                paid.push(emit(&client, &id, "crash.paid", &json!({ "order": order })).await);
            }
        }
        sleep(std::time::Duration::from_millis(50)).await;
    }
    paid
}

/// The id of the event that an order waits for.
pub(super) fn payment(order: &str) -> String {
    format!("payment-of-{order}")
}
