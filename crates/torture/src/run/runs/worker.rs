//! The workers' functions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use claviger::{Context, Function, HandlerError, Worker};
use claviger_torture::{Load, Operation, Outcome, value_of};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::sleep};

use crate::problems::Problems;

/// What starts the function with three steps.
pub(super) const ORDER: &str = "torture.order";
/// What starts the function that receives every secret.
pub(super) const REVEAL: &str = "torture.reveal";
/// Its steps.
pub(super) const STEPS: [&str; 3] = ["reserve", "charge", "ship"];
/// The secret that it requires.
pub(super) const REQUIRED: &str = "TORTURE_KEY";
/// That secret's value.
pub(super) const VALUE: &str = "canary-torture-key";

/// Long enough for a fault to come in between.
const STEP_TAKES: Duration = Duration::from_millis(100);

/// How many runs may be unfinished.
const UNFINISHED: usize = 60;

/// What the functions note, and what holds back the emitters.
pub(super) struct Shop {
    /// Jobs that came to a worker, by run. Each was delivered its secrets.
    jobs: Mutex<HashMap<String, usize>>,
    ended: Mutex<HashMap<String, usize>>,
    /// Version and value of every secret that was delivered in the end.
    revealed: Mutex<Option<BTreeMap<String, (u64, String)>>>,
    pub(super) room: Semaphore,
    problems: Problems,
}

impl Shop {
    pub(super) fn new(problems: Problems) -> Arc<Shop> {
        Arc::new(Shop {
            jobs: Mutex::default(),
            ended: Mutex::default(),
            revealed: Mutex::default(),
            room: Semaphore::new(UNFINISHED),
            problems,
        })
    }

    /// A worker that serves both functions.
    pub(super) fn worker(self: &Arc<Shop>, secrets: &[Arc<str>]) -> Worker {
        let shop = self.clone();
        let order = Function::new("order").on(ORDER).required_secret(REQUIRED).handler(move |context| {
            let shop = shop.clone();
            async move { shop.order(&context).await }
        });
        let (shop, names) = (self.clone(), secrets.to_vec());
        let all = secrets.iter().fold(Function::new("reveal").on(REVEAL), |all, secret| all.secret(&**secret));
        let reveal = all.handler(move |context| {
            let (shop, names) = (shop.clone(), names.clone());
            async move { shop.reveal(&context, &names) }
        });
        Worker::new().function(order).function(reveal).concurrency(32)
    }

    /// Jobs by run.
    pub(super) fn jobs(&self) -> HashMap<String, usize> {
        self.jobs.lock().clone()
    }

    async fn order(&self, context: &Context) -> Result<Value, HandlerError> {
        let run = context.run().to_owned();
        *self.jobs.lock().entry(run.clone()).or_default() += 1;
        let value = context.secrets().get(REQUIRED)?.expose().to_owned();
        self.problems.expect(value == VALUE, || format!("run {run} received another value than was set"));
        let mut results = Vec::new();
        for step in STEPS {
            let work = || async move {
                sleep(STEP_TAKES).await;
                Ok(format!("{step} done"))
            };
            let result: String = context.step(step, work).await?;
            self.problems.expect(result == format!("{step} done"), || format!("step {step} of {run} gave `{result}`"));
            results.push(result);
        }
        if self.ended.lock().insert(run, results.len()).is_none() {
            self.room.add_permits(1);
        }
        Ok(json!(results))
    }

    fn reveal(&self, context: &Context, names: &[Arc<str>]) -> Result<Value, HandlerError> {
        *self.jobs.lock().entry(context.run().to_owned()).or_default() += 1;
        let mut revealed = BTreeMap::new();
        for name in names.iter().filter(|name| context.secrets().has(name)) {
            let secret = context.secrets().get(name)?;
            revealed.insert(name.to_string(), (secret.version(), secret.expose().to_owned()));
        }
        *self.revealed.lock() = Some(revealed);
        Ok(Value::Null)
    }

    /// What was delivered in the end is what the last strong reads showed, and a value that was set.
    pub(super) fn check_revealed(&self, load: &Load, history: &[Operation]) {
        let Some(revealed) = self.revealed.lock().clone() else {
            return self.problems.add("the function that receives every secret did not run");
        };
        for secret in &load.secrets {
            let of_secret: Vec<&Operation> = history.iter().filter(|it| it.secret == *secret).collect();
            let shown = of_secret.last().and_then(|last| version(last));
            let delivered = revealed.get(&**secret);
            self.problems.expect(delivered.map(|(version, _)| *version) == shown, || {
                format!(
                    "{secret}: version {:?} was delivered, {shown:?} is shown",
                    delivered.map(|(version, _)| version)
                )
            });
            let Some((version, value)) = delivered else { continue };
            self.problems.expect(was_set(&of_secret, secret, *version, value), || {
                format!("{secret}: the value delivered as version {version} was not set as that")
            });
        }
    }
}

/// The version that a read showed.
fn version(read: &Operation) -> Option<u64> {
    match read.outcome {
        Outcome::Found { version, .. } => Some(version),
        _ => None,
    }
}

/// Whether a value is that of the set that was acknowledged with this version, or of one that had no answer.
fn was_set(operations: &[&Operation], secret: &str, version: u64, value: &str) -> bool {
    let acknowledged =
        operations.iter().find(|it| matches!(it.outcome, Outcome::Set { version: of, .. } if of == version));
    let is_it = |operation: &Operation| value_of(secret, operation.number) == value;
    match acknowledged {
        Some(set) => is_it(set),
        None => operations.iter().any(|it| it.is_write() && it.outcome == Outcome::Unknown && is_it(it)),
    }
}
