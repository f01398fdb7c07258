//! Everything that goes on while the server is killed, and what has to hold afterwards.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use claviger::{Worker, WorkerHandle};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{
    client::Client,
    diary::Diary,
    emitter::{Emitted, Emitter, emit, pay, payment, trigger},
    ledger::Books,
    random::Random,
    shop::{CHARGES, Shop, digest},
    subscriber::{Received, Subscriber},
    writer::{Writer, diaries, look, value},
};
use crate::support::{Api, FakeStripe, NodeProgram, NodeWorker, Relay, Server, eventually};

const WRITERS: usize = 4;
const SECRETS_EACH: usize = 8;

/// How many runs of the shop may be unfinished.
const UNFINISHED: usize = 100;

const EMITTERS: [(&str, &[&str]); 3] = [
    ("anna", &["charge", "charge", "nap"]),
    ("bert", &["charge", "order", "nap"]),
    ("cora", &["relay", "node", "charge"]),
];

/// Statuses of runs that have not ended.
const UNENDED: [&str; 6] = ["queued", "running", "sleeping", "waiting", "blocked", "retrying"];

/// The parts at work.
pub(super) struct Load {
    client: Client,
    stop: watch::Sender<bool>,
    stop_paying: watch::Sender<bool>,
    writers: Vec<JoinHandle<Vec<Diary>>>,
    emitters: Vec<JoinHandle<Vec<Emitted>>>,
    payer: JoinHandle<Vec<Emitted>>,
    subscriber: Subscriber,
    stripe: FakeStripe,
    shop: Arc<Shop>,
    worker: WorkerHandle,
    node: NodeWorker,
}

/// What is known when everything has come to rest.
pub(super) struct Outcome {
    diaries: Vec<Diary>,
    /// Without payments.
    emitted: Vec<Emitted>,
    payments: Vec<Emitted>,
    received: Received,
    /// How often Stripe was asked, by idempotency key.
    charges: HashMap<String, usize>,
    problems: Vec<String>,
}

impl Load {
    /// Starts all of it through the relay.
    pub(super) async fn start(random: &mut Random, relay: &Relay, server: &Server) -> Load {
        let client = Client(Api::new(&relay.url, &server.admin_key()));
        let stripe = FakeStripe::start().await;
        let room = Arc::new(Semaphore::new(UNFINISHED));
        let newest_key = Arc::new(AtomicU64::new(0));
        let subscriber = Subscriber::start(client.clone()).await;
        let diaries = diaries(WRITERS, SECRETS_EACH);
        let names: Vec<String> = diaries.iter().flatten().map(|diary| diary.name.clone()).collect();
        let mut writers: Vec<Writer> = diaries
            .into_iter()
            .map(|diaries| {
                let (client, newest_key) = (client.clone(), newest_key.clone());
                Writer { client, random: random.fork(), diaries, newest_key }
            })
            .collect();
        // The functions require the first secret.
        writers[0].change(0).await;
        assert_eq!(newest_key.load(Ordering::Acquire), 1);
        let shop = Shop::new(stripe.url(), room.clone());
        let worker = worker(&shop, &names, relay, server).await;
        let node = node_worker(stripe.url(), relay, server).await;
        let (stop, stop_paying) = (watch::Sender::new(false), watch::Sender::new(false));
        let emitters = EMITTERS.map(|(name, functions)| {
            let (client, newest_key, room) = (client.clone(), newest_key.clone(), room.clone());
            Emitter { client, random: random.fork(), name, functions, newest_key, room }
        });
        Load {
            writers: writers.into_iter().map(|writer| tokio::spawn(writer.work(stop.subscribe()))).collect(),
            emitters: emitters.into_iter().map(|emitter| tokio::spawn(emitter.work(stop.subscribe()))).collect(),
            payer: tokio::spawn(pay(client.clone(), stop_paying.subscribe())),
            client,
            stop,
            stop_paying,
            subscriber,
            stripe,
            shop,
            worker,
            node,
        }
    }

    /// Waits until the functions got some work done, however slow the machine is.
    pub(super) async fn moves_on(&self) {
        self.stripe.asked(self.stripe.requests().len() + 60).await;
    }

    /// A part that has ended has found something wrong, and has said so.
    pub(super) fn check_alive(&self) {
        let ended = self.writers.iter().any(JoinHandle::is_finished)
            || self.emitters.iter().any(JoinHandle::is_finished)
            || self.payer.is_finished();
        assert!(!ended, "a client ended, see above");
    }

    /// Lets everything come to rest while the server stays, and looks at what it shows.
    pub(super) async fn finish(self) -> Outcome {
        self.stop.send_replace(true);
        let mut diaries = joined(self.writers).await;
        let mut emitted = joined(self.emitters).await;
        let api = &self.client.0;
        for event in &emitted {
            check_run(api, event).await;
        }
        wait_for_rest(api).await;
        self.stop_paying.send_replace(true);
        let payments = joined(vec![self.payer]).await;
        for diary in &mut diaries {
            look(&self.client, diary).await;
        }
        emitted.push(emit(&self.client, "reveal", &trigger("reveal"), &Value::Null).await);
        check_values(api, emitted.last().expect("the last event"), &diaries).await;
        let change = diaries.iter().flat_map(|diary| &diary.acknowledged).map(|change| change.revision).max();
        let event = emitted.iter().map(|event| event.revision).max();
        let received = self.subscriber.finish(change.unwrap_or(0), event.unwrap_or(0)).await;
        self.worker.stop().await.expect("a worker that was accepted");
        drop(self.node);
        let mut charges: HashMap<String, usize> = HashMap::new();
        for request in self.stripe.requests() {
            let key = request.header("idempotency-key").expect("an idempotency key").to_owned();
            *charges.entry(key).or_default() += 1;
        }
        Outcome { diaries, emitted, payments, received, charges, problems: self.shop.problems() }
    }
}

async fn joined<T>(tasks: Vec<JoinHandle<Vec<T>>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a client that found nothing wrong"));
    }
    all
}

async fn worker(shop: &Arc<Shop>, names: &[String], relay: &Relay, server: &Server) -> WorkerHandle {
    let worker = shop.functions(names).into_iter().fold(Worker::new(), Worker::function);
    let worker = worker.url(&relay.url).api_key(server.runtime_key()).concurrency(64).name("shop");
    worker.start().await.expect("a worker that is accepted")
}

async fn node_worker(stripe: &str, relay: &Relay, server: &Server) -> NodeWorker {
    let program = NodeProgram::script(
        r#"
        import { claviger } from "@claviger/node";
        const charge = async (key, id) => {
          const headers = { authorization: `Bearer ${key}`, "idempotency-key": id };
          const answer = await fetch(process.env.STRIPE_URL, { method: "POST", headers });
          return (await answer.json()).id;
        };
        const node = claviger.createFunction(
          { id: "node", triggers: [{ event: "crash.node" }], secrets: [{ name: "STRIPE_KEY", required: true }] },
          async ({ secrets, step, runId }) => {
            const charges = [];
            for (const id of ["authorize", "capture", "notify"]) {
              charges.push(await step.run(id, () => charge(secrets.get("STRIPE_KEY"), `${runId}/${id}`)));
            }
            return { charges };
          },
        );
        await claviger.worker({ functions: [node] }).start();
        "#,
    );
    program.start(&relay.url, &server.runtime_key(), &[("STRIPE_URL", stripe)]).await
}

/// The event started one run, which completes.
async fn check_run(api: &Api, event: &Emitted) {
    let runs = api.runs_of(&json!({ "id": event.id, "revision": event.revision })).await;
    let [run] = runs.as_slice() else { panic!("{event:?} started {runs:?}") };
    assert_eq!(
        (&run["status"], trigger(run["function"].as_str().unwrap_or_default())),
        (&"completed".into(), event.name.clone()),
        "{run}"
    );
}

/// Waits until no run of any function is unfinished.
async fn wait_for_rest(api: &Api) {
    for status in UNENDED {
        eventually(&format!("the end of all runs that are {status}"), || async {
            let found = api.get(&format!("/v1/environments/default/runs?status={status}&limit=1")).await;
            found["items"].as_array().is_some_and(Vec::is_empty).then_some(())
        })
        .await;
    }
}

/// What a function receives is what was acknowledged last.
async fn check_values(api: &Api, reveal: &Emitted, diaries: &[Diary]) {
    let runs = api.runs_of(&json!({ "id": reveal.id, "revision": reveal.revision })).await;
    for diary in diaries {
        let revealed = runs[0]["result"][&diary.name].as_str();
        let possible = diary.possible_values();
        let fits = match revealed {
            Some(revealed) => possible.iter().any(|number| digest(&value(&diary.name, *number)) == revealed),
            None => diary.may_be_deleted(),
        };
        assert!(fits, "the value of {} is none of {possible:?}: {diary:?}", diary.name);
    }
}

impl Outcome {
    /// Compares what is known with what the stopped server's ledger holds.
    pub(super) async fn check(&self, data: &Path) {
        assert!(self.problems.is_empty(), "{:#?}", self.problems);
        let books = Books::read(data).await;
        books.check_runs();
        for events in [&self.emitted, &self.payments] {
            books.check_events(events);
            self.received.check_events(events);
        }
        self.received.check_changes(&self.diaries);
        for (function, charges) in CHARGES {
            self.check_charges(&books, function, charges);
        }
        self.check_payments(&books);
        for made in ["told", "leaf"] {
            assert_eq!(books.of(made).len(), books.of("relay").len(), "each `relay` makes one run of `{made}`");
        }
        self.report(&books);
    }

    /// Each step asked Stripe, and again only when the server was killed before it had stored the result.
    fn check_charges(&self, books: &Books, function: &str, expected: usize) {
        let started = self.emitted.iter().filter(|event| event.name == trigger(function)).count();
        let runs = books.of(function);
        assert!(runs.len() >= started.max(1), "{} runs of `{function}`, {started} events", runs.len());
        for (run, journal) in runs.values() {
            let prefix = format!("{run}/");
            let charges: Vec<usize> =
                self.charges.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, count)| *count).collect();
            let again = charges.iter().sum::<usize>() - charges.len();
            assert_eq!(charges.len(), expected, "{run}: {journal:?}");
            assert!(again <= journal.releases, "{run}: {again} steps ran again, {journal:?}");
        }
    }

    /// Each order waited for its own payment.
    fn check_payments(&self, books: &Books) {
        for order in books.of("order").keys() {
            let id = payment(order);
            assert!(self.payments.iter().any(|payment| payment.id == id), "{order} was not paid");
        }
    }

    #[allow(clippy::print_stdout, reason = "shown when the test fails, or when asked for")]
    fn report(&self, books: &Books) {
        let changes: usize = self.diaries.iter().map(|diary| diary.acknowledged.len()).sum();
        let releases: usize = books.runs.values().map(|journal| journal.releases).sum();
        let again: usize = self.charges.values().map(|count| count - 1).sum();
        println!(
            "{changes} changes of secrets, {} events, {} runs, {releases} jobs taken back, {again} steps run again",
            self.emitted.len() + self.payments.len(),
            books.runs.len()
        );
        assert!(releases > 0, "no kill met a run that a worker held: this test has proven nothing");
    }
}
