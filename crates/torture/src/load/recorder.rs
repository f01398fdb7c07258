//! Writes down what clients do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::Client;
use crate::{Action, Operation, Outcome};

/// A history in the making. All times are of one clock.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    numbers: AtomicU64,
    operations: Mutex<Vec<Operation>>,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { start: Instant::now(), numbers: AtomicU64::new(1), operations: Mutex::default() }
    }
}

impl Recorder {
    /// Since the beginning of the history.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// How many operations have ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.operations.lock().len()
    }

    /// What was done so far.
    #[must_use]
    pub fn history(&self) -> Vec<Operation> {
        self.operations.lock().clone()
    }

    /// Asks for a client (its number and that of the server it asks), and writes down what came of it.
    pub(crate) async fn ask(
        &self,
        (client, node): (usize, usize),
        server: &dyn Client,
        secret: &Arc<str>,
        action: Action,
    ) -> Outcome {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let value = value_of(secret, number);
        let began = self.now();
        let outcome = server.ask(secret, action, &value).await;
        let ended = self.now();
        let operation = Operation { number, client, node, secret: secret.clone(), action, began, ended, outcome };
        self.operations.lock().push(operation);
        outcome
    }
}

/// What the operation of that number sets a secret to.
#[must_use]
pub fn value_of(secret: &str, number: u64) -> String {
    format!("canary-{secret}-{number}")
}
