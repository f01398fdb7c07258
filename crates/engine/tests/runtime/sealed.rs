//! What somebody sees who watches everything that goes into a store, with plain names and with sealed ones.

mod watch;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use claviger_core::{Bounds, Caller, EnvironmentName, Reach, Role, Scope, SecretValue, SpaceName, run::RunId};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Engine, Names, Parts, WallClock,
    access::NewApiKey,
    events::NewEvent,
    runtime::{FunctionSpec, Job, Made, Outcome, Registration, Retryable, RunFilter, Status},
    spaces::NewSpace,
    vault::{Origin, SetSecret, Short},
};
use claviger_store::{Index, MemoryIndex, MemoryLedger, MemoryQueue, Stream};
use serde_json::value::RawValue;

use self::watch::{Watched, WatchedLedger, WatchedQueue};
use crate::world::{KEY, Worker, admin, declared, function, json, made, returned, within};

/// Stands in every name.
const CANARY: &str = "canary-4b1d93e0c7";

/// The canary as it is, in hexadecimal, and in base64 at each of the three alignments.
fn forms() -> Vec<Vec<u8>> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![CANARY.as_bytes().to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes()];
    for shift in 0..3 {
        let encoded = STANDARD_NO_PAD.encode(format!("{}{CANARY}", "x".repeat(shift)));
        // Without the characters that its neighbors have a part in.
        forms.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
    }
    forms
}

/// A store that outlives its servers and is watched.
struct Place {
    ledger: Arc<WatchedLedger>,
    queue: Arc<WatchedQueue>,
    names: Names,
}

impl Place {
    fn new(names: Names) -> Place {
        let ledger = Arc::new(WatchedLedger::new(Arc::new(MemoryLedger::new())));
        Place { ledger, queue: Arc::new(WatchedQueue::new(Arc::new(MemoryQueue::new()))), names }
    }

    async fn engine(&self) -> Engine {
        let index: Arc<dyn Index> = Arc::new(MemoryIndex::new());
        let parts = Parts {
            ledger: self.ledger.clone(),
            queue: self.queue.clone(),
            index,
            master: MasterKey::from_hex(&mut KEY.as_bytes().to_vec()).unwrap(),
            clock: Arc::new(WallClock),
            names: self.names,
        };
        Engine::open(parts).await.unwrap()
    }

    /// What of what was seen holds the canary, by where it went.
    fn found(&self) -> Vec<&'static str> {
        let forms = forms();
        let holds = |seen: &Watched| {
            forms.iter().any(|form| seen.bytes.windows(form.len()).any(|window| window == form.as_slice()))
        };
        let seen = self.ledger.seen().into_iter().chain(self.queue.seen());
        let mut found: Vec<&str> = seen.filter(holds).map(|seen| seen.place).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn environment() -> EnvironmentName {
    CANARY.parse().unwrap()
}

fn space() -> SpaceName {
    format!("team {CANARY}").parse().unwrap()
}

fn canary_function() -> FunctionSpec {
    let mut spec = function(&format!("f-{CANARY}"));
    spec.triggers = vec![format!("{CANARY}.happened").parse().unwrap()];
    spec.secrets = vec![declared(&format!("S-{CANARY}")), declared(&format!("S {CANARY}"))];
    spec
}

async fn worker(engine: &Engine) -> Worker {
    let bounds = Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
    let reach = Reach::One(environment());
    let caller = Caller { id: CANARY.into(), role: Role::Runtime, reach, bounds: Arc::new(bounds) };
    let registration = Registration {
        environment: environment(),
        functions: vec![canary_function()],
        credit: 1,
        worker: CANARY.to_owned(),
    };
    let (connection, inbox) = engine.runtime().connect(caller, registration).await.unwrap();
    Worker { connection, inbox, jobs: VecDeque::new() }
}

async fn emit(engine: &Engine, id: &str) {
    let name = format!("{CANARY}.happened").parse().unwrap();
    // The first in the environment itself, the others in its space.
    let space = (id != "one").then(space);
    let event = NewEvent { id: Some(format!("{CANARY}-{id}")), name, data: b"{}".to_vec(), space };
    engine.events().emit(&admin(), &environment(), event).await.unwrap();
}

async fn manage(engine: &Engine) {
    engine.access().create_environment(&admin(), CANARY).await.unwrap();
    let metadata = RawValue::from_string(format!(r#"{{"team":"{CANARY}"}}"#)).unwrap();
    engine.spaces().create(&admin(), &environment(), NewSpace { name: space(), metadata }).await.unwrap();
    for space in [None, Some(space())] {
        let scope = Scope { environment: environment(), space };
        for name in [format!("S-{CANARY}"), format!("S {CANARY}")] {
            let value = SecretValue::new(b"value-of-it".to_vec());
            let set = SetSecret { value, description: Some(CANARY.to_owned()), short: Short::Refuse, expected: None };
            engine.vault().set(&admin(), &scope, &name.parse().unwrap(), set).await.unwrap();
        }
    }
    let scope = Scope { environment: environment(), space: Some(space()) };
    engine.vault().block(&admin(), &scope, &format!("S {CANARY}").parse().unwrap(), None).await.unwrap();
    let key = NewApiKey {
        role: Role::Runtime,
        environment: Some(environment()),
        description: Some(format!("key of {CANARY}")),
        bounds: Bounds { secrets: vec![format!("S-{CANARY}*")], ..Bounds::default() },
        ttl: None,
    };
    engine.access().create_api_key(&admin(), key).await.unwrap();
    // Refused, which is audited with what it was about.
    let reach = Reach::One(environment());
    let viewer = Caller { id: CANARY.into(), role: Role::Viewer, reach, bounds: Arc::default() };
    let (scope, name) = (Scope::environment(environment()), format!("S-{CANARY}").parse().unwrap());
    engine.vault().delete(&viewer, &scope, &name, None).await.unwrap_err();
}

async fn finish(worker: &mut Worker, job: Job) {
    let sent = Made::Send { event: format!("{CANARY}.told").parse().unwrap(), data: Some(json("[5]")) };
    let step: Outcome = returned(&format!("step-{CANARY}"), "1");
    worker.report(&job, vec![step, made(&format!("send-{CANARY}"), sent)]).await;
    worker.complete(&job, "null").await;
}

async fn has_ended(engine: &Engine, run: RunId) -> Status {
    engine.runtime().run(&admin(), &environment(), run).await.unwrap().info.status
}

/// Does everything that names are needed for, on two servers one after the other.
async fn live(place: &Place) {
    let engine = place.engine().await;
    manage(&engine).await;
    let mut first = worker(&engine).await;
    emit(&engine, "one").await;
    let job = first.job().await;
    // There is no room for these: they wait in the queue.
    emit(&engine, "two").await;
    emit(&engine, "three").await;
    within(place.queue.offered(2)).await;
    let run = job.run;
    finish(&mut first, job).await;
    assert_eq!(has_ended(&engine, run).await, Status::Completed);
    let job = first.job().await;
    first.fail(&job, "out of stock", Retryable::No).await;
    drop(first);
    drop(engine);

    let engine = place.engine().await;
    let mut second = worker(&engine).await;
    let job = second.job().await;
    let run = job.run;
    finish(&mut second, job).await;
    assert_eq!(has_ended(&engine, run).await, Status::Completed);
    let listed = RunFilter { limit: 10, ..RunFilter::default() };
    let runs = engine.runtime().runs(&admin(), &environment(), listed).await.unwrap();
    assert_eq!(runs.items.len(), 3);
    let listed = engine.vault().list(&admin(), &Scope::environment(environment()), None, 10).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    let in_space = Scope { environment: environment(), space: Some(space()) };
    let listed = engine.vault().list(&admin(), &in_space, None, 10).await.unwrap();
    assert_eq!(listed.items.iter().map(|item| item.origin).collect::<Vec<_>>(), [Origin::Blocked, Origin::Overridden]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_watches_a_sealed_store_learns_a_name() {
    let everywhere = Stream::ALL.map(Stream::name).into_iter().chain(["hint's topic", "message id"]);
    let mut everywhere: Vec<&str> = everywhere.collect();
    everywhere.sort_unstable();

    let plain = Place::new(Names::Plain);
    live(&plain).await;
    assert_eq!(plain.found(), everywhere, "the canary goes everywhere, and the search finds it");

    let sealed = Place::new(Names::Sealed);
    live(&sealed).await;
    assert_eq!(sealed.found(), [""; 0]);
    let mut seen: Vec<&str> =
        sealed.ledger.seen().into_iter().chain(sealed.queue.seen()).map(|seen| seen.place).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.retain(|place| *place != "hint");
    assert_eq!(seen, everywhere, "as much went there");
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_do_not_show_the_ids_of_runs_which_are_made_from_names() {
    let sealed = Place::new(Names::Sealed);
    live(&sealed).await;
    let engine = sealed.engine().await;
    let listed = RunFilter { limit: 10, ..RunFilter::default() };
    let runs = engine.runtime().runs(&admin(), &environment(), listed).await.unwrap();
    let hints = sealed.queue.seen();
    assert!(!hints.is_empty());
    for run in runs.items {
        let id = run.id.to_string();
        assert!(hints.iter().all(|hint| !hint.bytes.windows(id.len()).any(|window| window == id.as_bytes())));
    }
    tokio::time::timeout(Duration::from_secs(20), engine.close()).await.unwrap();
}
