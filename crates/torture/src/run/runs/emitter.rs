//! Clients that emit events with ids of their own, each until it is acknowledged.

use std::sync::Arc;

use claviger_torture::Random;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use super::{Emitted, worker, worker::Shop};
use crate::{
    http::{Answer, ENVIRONMENT, Http},
    problems::Problems,
};

pub(super) struct Emitter {
    number: usize,
    clients: Vec<Http>,
    shop: Arc<Shop>,
    random: Random,
    problems: Problems,
}

impl Emitter {
    pub(super) fn new(
        number: usize,
        clients: Vec<Http>,
        shop: Arc<Shop>,
        random: Random,
        problems: Problems,
    ) -> Emitter {
        Emitter { number, clients, shop, random, problems }
    }

    /// Emits until told to stop. What it began it finishes.
    pub(super) async fn work(mut self, stop: watch::Receiver<bool>) -> Vec<Emitted> {
        let mut emitted: Vec<Emitted> = Vec::new();
        while self.has_room(stop.clone()).await {
            let id = format!("order-{}-{}", self.number, emitted.len());
            let event = self.emit(id).await;
            emitted.push(event);
            if self.random.one_in(10) {
                let known = self.random.pick(&emitted).clone();
                let again = self.emit(known.id.clone()).await;
                self.problems.expect(again.revision == known.revision, || format!("{} was stored twice", known.id));
            }
            sleep(self.random.millis(10..=60)).await;
        }
        emitted
    }

    /// Waits for room for one more run. False when it is time to stop.
    async fn has_room(&self, mut stop: watch::Receiver<bool>) -> bool {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => false,
            permit = self.shop.room.acquire() => permit.map(tokio::sync::SemaphorePermit::forget).is_ok(),
        }
    }

    /// At one server after the other, until one acknowledges it.
    async fn emit(&mut self, id: String) -> Emitted {
        let body = json!({ "id": id, "name": worker::ORDER, "data": { "amount": 1200 } });
        loop {
            let client = self.random.pick(&self.clients).clone();
            match client.send(Method::POST, &format!("{ENVIRONMENT}/events"), Some(&body), None).await {
                Answer::Told(StatusCode::ACCEPTED, answer) => {
                    return Emitted { id, revision: answer["revision"].as_u64().unwrap_or_default() };
                }
                Answer::Told(status, answer) => client.unless_excused("an event", status, &answer),
                Answer::NotSent | Answer::Lost => {}
            }
            sleep(self.random.millis(20..=100)).await;
        }
    }
}
