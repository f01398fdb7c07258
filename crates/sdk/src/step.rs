//! What a step does, from its call to its outcome.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Error, StepError};
use crate::frame::{Outcome, WireError};
use crate::handler_error::{HandlerError, Policy};
use crate::journal::{Journal, Record};
use crate::json;

/// A step that was called: its id and its place among the outcomes are fixed.
pub(crate) struct Call {
    pub(crate) id: String,
    /// Its outcome in an earlier attempt.
    pub(crate) record: Option<Record>,
    /// So many outcomes existed when it was called; it starts once they are stored.
    pub(crate) gate: u64,
    pub(crate) journal: Arc<Journal>,
}

/// What becomes of the error of a step's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepErrors {
    /// It is an outcome if the handler goes past it.
    Remembered,
    /// The next attempt executes the step again, whatever the handler makes of the error.
    Forgotten,
}

impl Call {
    /// Executes the step's function unless its outcome is remembered.
    pub(crate) async fn run<T, F, Fut>(mut self, function: F, errors: StepErrors) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, HandlerError>>,
    {
        match self.record.take() {
            Some(Record::Finished(result)) => return self.decode(&result),
            Some(Record::Failed(error)) => return Err(self.failure(error, Policy::Retry)),
            Some(Record::Open) | None => {}
        }
        let _busy = self.journal.busy();
        self.wait_until_stored(self.gate).await;
        let result = function().await.and_then(|value| {
            let json = json::encode(&value, || self.describe())?;
            Ok((value, json))
        });
        match result {
            Ok((value, json)) => {
                self.journal.add(&self.id, &Outcome::Run { result: Some(&json), error: None });
                Ok(value)
            }
            Err(error) => {
                if errors == StepErrors::Remembered {
                    self.journal.add_unsettled(&self.id, error.to_wire());
                }
                Err(error.into_step_error(&self.id).into())
            }
        }
    }

    /// Announces the step unless that has happened before, and waits for the job that knows its outcome.
    pub(crate) async fn finish_later<T: DeserializeOwned>(mut self, outcome: Outcome<'_>) -> Result<T, Error> {
        // A run that has failed stays failed, so another attempt would meet its error again.
        let policy = if matches!(outcome, Outcome::Invoke { .. }) { Policy::Never } else { Policy::Retry };
        let record = match self.record.take() {
            Some(Record::Open) => self.wait_open().await,
            Some(record) => record,
            None => {
                self.announce(&outcome).await;
                self.wait_open().await
            }
        };
        self.read(record, policy)
    }

    /// Hands an outcome to the server and waits for what it makes of it.
    pub(crate) async fn finish_when_stored<T: DeserializeOwned>(mut self, outcome: Outcome<'_>) -> Result<T, Error> {
        let record = match self.record.take() {
            Some(record @ (Record::Finished(_) | Record::Failed(_))) => record,
            Some(Record::Open) | None => {
                let _busy = self.journal.busy();
                let number = self.announce(&outcome).await;
                self.wait_until_stored(number).await;
                self.journal.take_answer(&self.id).unwrap_or_else(|| Record::Finished(json::null()))
            }
        };
        self.read(record, Policy::Retry)
    }

    async fn announce(&self, outcome: &Outcome<'_>) -> u64 {
        let _busy = self.journal.busy();
        self.wait_until_stored(self.gate).await;
        self.journal.add(&self.id, outcome)
    }

    async fn wait_until_stored(&self, number: u64) {
        poll_fn(|context| self.journal.poll_stored(number, context.waker())).await;
    }

    async fn wait_open(&self) -> Record {
        let _open = self.journal.open();
        poll_fn(|context| self.journal.poll_answer(&self.id, context.waker())).await
    }

    fn read<T: DeserializeOwned>(&self, record: Record, policy: Policy) -> Result<T, Error> {
        match record {
            Record::Finished(result) => self.decode(&result),
            Record::Failed(error) => Err(self.failure(error, policy)),
            Record::Open => self.decode(&json::null()),
        }
    }

    fn decode<T: DeserializeOwned>(&self, result: &RawValue) -> Result<T, Error> {
        json::decode(result, || self.describe())
    }

    fn failure(&self, error: WireError, policy: Policy) -> Error {
        let name = error.name.unwrap_or_else(|| "Error".to_owned());
        let message = error.message.unwrap_or_else(|| "the step failed".to_owned());
        StepError { step: self.id.clone(), name, message, policy }.into()
    }

    fn describe(&self) -> String {
        format!("the result of step {:?}", self.id)
    }
}
