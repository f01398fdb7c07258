//! What a handler sees of its run.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::error::Error;
use crate::frame::{Match, Outcome};
use crate::function::{Definition, milliseconds};
use crate::handler_error::HandlerError;
use crate::journal::Journal;
use crate::json;
use crate::lookups::Lookups;
use crate::secrets::Secrets;
use crate::step::StepErrors;

/// One attempt of a run: its event, its secrets, and its steps.
///
/// Each step has an id, 1 to 200 characters, that is the same in every attempt.
pub struct Context {
    pub(crate) function: Arc<Definition>,
    pub(crate) run: String,
    pub(crate) attempt: u32,
    pub(crate) event: Event,
    pub(crate) environment: String,
    pub(crate) secrets: Secrets,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) journal: Arc<Journal>,
    /// Closes when the job is over.
    pub(crate) job: watch::Receiver<()>,
}

/// An event, as it was when it was stored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Unique in its environment.
    pub id: String,
    /// Its dotted name.
    pub name: String,
    /// What it says; `null` if it has no data.
    #[serde(default)]
    pub data: Value,
    /// When it was stored, to the millisecond.
    #[serde(deserialize_with = "read_instant")]
    pub at: SystemTime,
    /// The space that it belongs to; `None` if it belongs to the environment itself.
    pub space: Option<String>,
}

impl Event {
    /// Reads the data as a type of the program.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] if it does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.data).map_err(|_| Error::Mismatch {
            what: format!("the data of event {:?}", self.name),
            expected: std::any::type_name::<T>(),
        })
    }
}

/// What the server says of an event that a step sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SentEvent {
    /// The event's id.
    pub id: String,
    /// The revision of its record.
    pub revision: u64,
}

/// Which event a step waits for, and for how long.
#[derive(Debug, Clone)]
pub struct WaitFor {
    pattern: String,
    matching: Option<Match>,
    timeout: Option<Duration>,
}

impl WaitFor {
    /// The next event whose name fits the pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), matching: None, timeout: None }
    }

    /// Only an event that has this value at `path`, such as `data.order`.
    #[must_use]
    pub fn matching(self, path: impl Into<String>, equals: impl Into<Value>) -> Self {
        Self { matching: Some(Match { path: path.into(), equals: equals.into() }), ..self }
    }

    /// Waits no longer than this; then the step's result is `None`.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl Context {
    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Counts the run's attempts, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The function's id.
    pub fn function(&self) -> &str {
        &self.function.id
    }

    /// The environment that the run belongs to. Its space is the event's.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The event that started the run.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The secrets that the function declared.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Ends when the job is over, for tasks that the handler has spawned: at its end, when the run is cancelled, when
    /// the attempt takes too long, or when the connection is lost. The handler itself is dropped in these cases.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut job = self.job.clone();
        async move { while job.changed().await.is_ok() {} }
    }

    /// Executes `function` once: later attempts get its stored result, or the error that the handler went past.
    ///
    /// # Errors
    ///
    /// [`Error::Step`] if the function fails or its result is not JSON of at most 256 KiB; [`Error::Mismatch`] if a
    /// stored result does not fit `T`; [`Error::InvalidStepId`].
    pub fn step<T, F, Fut>(&self, id: &str, function: F) -> impl Future<Output = Result<T, Error>> + use<T, F, Fut>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, HandlerError>>,
    {
        let call = self.journal.call(id);
        async move { call?.run(function, StepErrors::Remembered).await }
    }

    /// Waits. The run takes no place in the worker meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidStepId`].
    pub fn sleep(&self, id: &str, duration: Duration) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let now = milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        self.sleep_step(id, now.saturating_add(milliseconds(duration)))
    }

    /// Waits until an instant; one that has passed already is as good as now.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidStepId`].
    pub fn sleep_until(&self, id: &str, instant: SystemTime) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.sleep_step(id, milliseconds(instant.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }

    /// Waits for an event that is stored after now; `None` if the time is over before.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidStepId`].
    pub fn wait_for_event(
        &self,
        id: &str,
        wait: WaitFor,
    ) -> impl Future<Output = Result<Option<Event>, Error>> + Send + use<> {
        let call = self.journal.call(id);
        async move {
            let outcome = Outcome::WaitForEvent {
                event: &wait.pattern,
                r#match: wait.matching.as_ref(),
                timeout_ms: wait.timeout.map(milliseconds),
            };
            call?.finish_later(outcome).await
        }
    }

    /// Starts a run of another function with this data, and waits for its output.
    ///
    /// # Errors
    ///
    /// [`Error::Step`] if that run fails; [`Error::Mismatch`] if its output does not fit `T`; [`Error::NotJson`] or
    /// [`Error::TooLarge`] for the data; [`Error::InvalidStepId`].
    pub fn invoke<T: DeserializeOwned, D: Serialize>(
        &self,
        id: &str,
        function: &str,
        data: D,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T, D> {
        let call = self.journal.call(id);
        let function = function.to_owned();
        let data = json::encode(&data, || format!("the data for function {function:?}"));
        async move { call?.finish_later(Outcome::Invoke { function: &function, data: &data? }).await }
    }

    /// Sends an event, once.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] or [`Error::TooLarge`] for the data; [`Error::InvalidStepId`].
    pub fn send_event<D: Serialize>(
        &self,
        id: &str,
        name: &str,
        data: D,
    ) -> impl Future<Output = Result<SentEvent, Error>> + Send + use<D> {
        let call = self.journal.call(id);
        let name = name.to_owned();
        let data = json::encode(&data, || format!("the data of event {name:?}"));
        async move { call?.finish_when_stored(Outcome::SendEvent { event: &name, data: &data? }).await }
    }

    fn sleep_step(&self, id: &str, until: u64) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let call = self.journal.call(id);
        async move { call?.finish_later(Outcome::Sleep { until }).await }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("function", &self.function.id)
            .field("run", &self.run)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Reads milliseconds since the Unix epoch.
fn read_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    u64::deserialize(deserializer).map(instant)
}

/// Milliseconds since the Unix epoch as an instant; one beyond the clock's range is the epoch.
pub(crate) fn instant(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(UNIX_EPOCH)
}
