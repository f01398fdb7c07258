//! A worker on the Rust SDK.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use claviger::{Context, Function, HandlerError, Worker, WorkerHandle};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::process::Server;

/// What its function is started by.
pub(crate) const EVENT: &str = "rust.requested";
/// Jobs at once.
const CONCURRENCY: usize = 256;

/// Names of the secrets that every function here declares.
pub(crate) const SECRETS: [&str; 5] = ["STRIPE_KEY", "LEDGER_TOKEN", "MAIL_PASSWORD", "WEBHOOK_SECRET", "REPORT_KEY"];

/// When events were emitted, and how long they took to the worker.
#[derive(Default)]
pub(crate) struct Clocks {
    emitted: Mutex<HashMap<u64, Instant>>,
    starts: Mutex<Vec<Duration>>,
    jobs: AtomicUsize,
}

impl Clocks {
    /// Notes that an event is about to be emitted.
    pub(crate) fn emit(&self, number: u64) {
        self.emitted.lock().insert(number, Instant::now());
    }

    fn start(&self, data: &Value) {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        let emitted = data["number"].as_u64().and_then(|number| self.emitted.lock().remove(&number));
        self.starts.lock().extend(emitted.map(|at| at.elapsed()));
    }

    /// How long events took to the worker, since this was asked last.
    pub(crate) fn take_starts(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.starts.lock())
    }

    /// Jobs that were started.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }
}

/// Connects a worker.
pub(crate) async fn start(server: &Server, clocks: Arc<Clocks>) -> Result<WorkerHandle> {
    let function = SECRETS.into_iter().fold(Function::new("rust-payout").on(EVENT), Function::required_secret);
    let function = function.handler(move |context: Context| {
        clocks.start(&context.event().data);
        pay_out(context)
    });
    let worker = Worker::new().function(function).concurrency(CONCURRENCY).url(format!("http://{}", server.address()));
    Ok(worker.api_key(server.keys.runtime.as_str()).start().await?)
}

/// Three steps.
async fn pay_out(context: Context) -> Result<Value, HandlerError> {
    for name in SECRETS {
        context.secrets().get(name)?;
    }
    let amount = context.event().data["amount"].as_u64().unwrap_or_default();
    let charge: String = context.step("charge", || async move { Ok(format!("ch_{amount}")) }).await?;
    let booked: u64 = context.step("book", || async move { Ok(amount + 1) }).await?;
    let told: bool = context.step("tell", || async move { Ok(true) }).await?;
    Ok(json!({ "charge": charge, "booked": booked, "told": told }))
}
