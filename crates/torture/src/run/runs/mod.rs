//! The other half of the load: events that start runs, on workers of which each is connected to another server.

mod books;
mod emitter;
mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use claviger::WorkerHandle;
use claviger_torture::{Load, Operation, Random};
use futures_util::{StreamExt, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::{books::Books, emitter::Emitter, worker::Shop};
use crate::{
    http::{Answer, ENVIRONMENT, Http},
    problems::Problems,
    world::World,
};

const EMITTERS: usize = 2;

/// How long the last runs may take to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many events are looked at side by side.
const AT_ONCE: usize = 16;

/// An acknowledged event.
#[derive(Clone, Debug)]
pub(crate) struct Emitted {
    id: String,
    revision: u64,
}

/// Everything at work.
pub(crate) struct Runs {
    clients: Vec<Http>,
    shop: Arc<Shop>,
    workers: Vec<WorkerHandle>,
    emitters: Vec<JoinHandle<Vec<Emitted>>>,
    problems: Problems,
}

/// What was done.
pub(crate) struct Done {
    emitted: Vec<Emitted>,
    shop: Arc<Shop>,
    problems: Problems,
}

/// For the table at the end.
pub(crate) struct Counts {
    pub(crate) events: usize,
    pub(crate) jobs: usize,
    pub(crate) deliveries: usize,
    pub(crate) taken_back: usize,
}

impl Runs {
    /// Sets the secret that the functions require, connects the workers, and starts to emit.
    pub(crate) async fn start(
        world: &World,
        load: &Load,
        problems: &Problems,
        random: &mut Random,
        stop: &watch::Receiver<bool>,
    ) -> Result<Runs> {
        let clients: Vec<Http> = world.clients(problems)?.iter().map(Http::patient).collect();
        set_required(&clients[0]).await?;
        let shop = Shop::new(problems.clone());
        let mut workers = Vec::new();
        for node in &world.nodes {
            workers.push(shop.worker(&load.secrets).url(node.url()).api_key(&*world.runtime_key).start().await?);
        }
        let emitters = (0..EMITTERS).map(|number| {
            let emitter = Emitter::new(number, clients.clone(), shop.clone(), random.fork(), problems.clone());
            tokio::spawn(emitter.work(stop.clone()))
        });
        let emitters = emitters.collect();
        Ok(Runs { clients, shop, workers, emitters, problems: problems.clone() })
    }

    /// Waits, with everything mended and the emitters told to stop, until every run has ended; compares what functions
    /// receive with what was acknowledged; and disconnects the workers.
    pub(crate) async fn finish(mut self, load: &Load, history: &[Operation]) -> Result<Done> {
        let mut emitted = Vec::new();
        for emitter in std::mem::take(&mut self.emitters) {
            emitted.extend(emitter.await?);
        }
        let deadline = Instant::now() + PATIENCE;
        stream::iter(&emitted).for_each_concurrent(AT_ONCE, |event| self.check_end(event, deadline)).await;
        let reveal = self.reveal().await?;
        self.check_end(&reveal, deadline).await;
        self.shop.check_revealed(load, history);
        for worker in self.workers {
            worker.stop().await?;
        }
        Ok(Done { emitted, shop: self.shop, problems: self.problems })
    }

    /// The event started one run, which completes.
    async fn check_end(&self, event: &Emitted, deadline: Instant) {
        let path = format!("{ENVIRONMENT}/events/{}/runs?revision={}&waitMs=5000", event.id, event.revision);
        let mut client = 0;
        let answer = loop {
            let answer = self.clients[client % self.clients.len()].get(&path).await;
            if let Some(answer) = answer.filter(has_ended) {
                break answer;
            }
            if Instant::now() > deadline {
                return self.problems.add(format!("the runs of event {} have not ended", event.id));
            }
            client += 1;
            sleep(Duration::from_millis(20)).await;
        };
        let runs = answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_good = runs.len() == 1 && runs[0]["status"] == "completed";
        self.problems.expect(is_good, || format!("event {} was to start one run that completes: {answer}", event.id));
    }

    /// Starts the function that receives every secret.
    async fn reveal(&self) -> Result<Emitted> {
        let body = json!({ "id": "reveal", "name": worker::REVEAL });
        let answer = self.clients[0].send(Method::POST, &format!("{ENVIRONMENT}/events"), Some(&body), None).await;
        let Answer::Told(StatusCode::ACCEPTED, body) = answer else { anyhow::bail!("the last event was not accepted") };
        let revision = body["revision"].as_u64().context("an event without a revision")?;
        Ok(Emitted { id: "reveal".to_owned(), revision })
    }
}

fn has_ended(answer: &Value) -> bool {
    let ended = ["completed", "failed", "cancelled"];
    let runs = answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    answer["dispatched"] == true && runs.iter().all(|run| ended.iter().any(|status| run["status"] == *status))
}

async fn set_required(client: &Http) -> Result<()> {
    let path = format!("{ENVIRONMENT}/secrets/{}", worker::REQUIRED);
    let body = json!({ "value": worker::VALUE });
    let answer = client.send(Method::PUT, &path, Some(&body), None).await;
    ensure!(matches!(answer, Answer::Told(StatusCode::CREATED, _)), "the functions' secret was not set");
    Ok(())
}

impl Done {
    /// Compares what is known with what the stopped servers left in the ledger.
    pub(crate) async fn check(&self, world: &World, history: &[Operation]) -> Result<Counts> {
        let books = Books::read(&world.nats.urls()).await?;
        books.check(&self.emitted, &self.shop.jobs(), &self.problems);
        books.check_secrets(history, &self.problems);
        Ok(Counts {
            events: self.emitted.len(),
            jobs: self.shop.jobs().values().sum(),
            deliveries: books.deliveries(),
            taken_back: books.taken_back(),
        })
    }
}
