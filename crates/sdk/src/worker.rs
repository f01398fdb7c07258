//! Workers: from their settings to their end.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::backoff::Backoff;
use crate::endpoint::{Endpoint, Settings};
use crate::error::Error;
use crate::frame::{Hello, encode_frame};
use crate::function::{Definition, Execute, Function};
use crate::listener::Listener;
use crate::session::{Closed, Session};

const MOST_JOBS: usize = 1024;

/// A process that executes functions and listeners.
///
/// ```no_run
/// # async fn example(payout: claviger::Function) -> Result<(), claviger::Error> {
/// use claviger::Worker;
///
/// let mut worker = Worker::new().function(payout).concurrency(64).handle_signals().start().await?;
/// worker.stopped().await
/// # }
/// ```
pub struct Worker {
    functions: Vec<Function>,
    settings: Settings,
    name: Option<String>,
    concurrency: usize,
    drain_within: Duration,
    stops_on: StopsOn,
}

#[derive(Clone, Copy)]
enum StopsOn {
    Request,
    RequestOrSignal,
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

impl Worker {
    /// A worker without functions that holds 16 jobs at once.
    pub fn new() -> Self {
        Self {
            functions: Vec::new(),
            settings: Settings::default(),
            name: None,
            concurrency: 16,
            drain_within: Duration::from_secs(25),
            stops_on: StopsOn::Request,
        }
    }

    /// Adds a function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Adds a listener. Its id is a function's.
    #[must_use]
    pub fn listener(self, listener: Listener) -> Self {
        self.function(listener.into_function())
    }

    /// The server's address instead of `CLAVIGER_URL` or `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = Some(url.into());
        self
    }

    /// The API key, of the role `runtime`, instead of `CLAVIGER_API_KEY`.
    #[must_use]
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.settings.api_key = Some(Zeroizing::new(api_key.into()));
        self
    }

    /// The environment instead of `CLAVIGER_ENV`. Without either it is the key's own.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.settings.environment = Some(environment.into());
        self
    }

    /// A label for people.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many jobs the worker holds at once: 1 to 1,024, 16 by default.
    #[must_use]
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = jobs;
        self
    }

    /// How long jobs may go on after a stop, 25 s by default. The server gives those that are left to another worker.
    #[must_use]
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain_within = limit;
        self
    }

    /// Stops on SIGTERM and SIGINT (elsewhere than on Unix: on Ctrl-C) as [`WorkerHandle::stop`] does.
    #[must_use]
    pub fn handle_signals(mut self) -> Self {
        self.stops_on = StopsOn::RequestOrSignal;
        self
    }

    /// Connects and registers. Waits for a server that cannot be reached yet.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server does not accept the key or the functions; [`Error::NoFunction`],
    /// [`Error::NoHandler`], [`Error::DuplicateFunction`], [`Error::InvalidConcurrency`], [`Error::NoApiKey`], [`Error::MalformedApiKey`] or
    /// [`Error::InvalidUrl`] before anything is sent.
    pub async fn start(self) -> Result<WorkerHandle, Error> {
        let stops_on = self.stops_on;
        let plan = Arc::new(self.plan()?);
        let (stop, stop_requests) = watch::channel(false);
        let (ready, registered) = oneshot::channel();
        let task = tokio::spawn(supervise(plan, StopSignal { requests: stop_requests, stops_on }, ready));
        let registered = registered.await;
        let mut handle = WorkerHandle { stop, task: Some(task) };
        if registered.is_err() {
            // Ended before it was registered: by an error, or by a signal.
            handle.stopped().await?;
        }
        Ok(handle)
    }

    fn plan(self) -> Result<Plan, Error> {
        if self.functions.is_empty() {
            return Err(Error::NoFunction);
        }
        if !(1..=MOST_JOBS).contains(&self.concurrency) {
            return Err(Error::InvalidConcurrency { given: self.concurrency });
        }
        let mut functions = HashMap::with_capacity(self.functions.len());
        for function in self.functions {
            if function.definition.is_idle_listener() {
                return Err(Error::NoHandler { listener: function.definition.id });
            }
            let known = Known { definition: Arc::new(function.definition), execute: function.handler.0 };
            if let Some(twin) = functions.insert(known.definition.id.clone(), known) {
                return Err(Error::DuplicateFunction { function: twin.definition.id.clone() });
            }
        }
        let endpoint = self.settings.resolve()?;
        let hello = encode_frame(&Hello {
            r#type: "hello",
            protocol: 1,
            sdk: concat!("rust/", env!("CARGO_PKG_VERSION")),
            worker: self.name.as_deref(),
            environment: endpoint.environment.as_deref(),
            credit: self.concurrency,
            functions: functions.values().map(|known| known.definition.spec()).collect(),
        });
        Ok(Plan { endpoint, hello, functions, drain_within: self.drain_within })
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Worker").field("functions", &self.functions).finish_non_exhaustive()
    }
}

/// A worker's settings, checked.
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) hello: String,
    pub(crate) functions: HashMap<String, Known>,
    pub(crate) drain_within: Duration,
}

pub(crate) struct Known {
    pub(crate) definition: Arc<Definition>,
    pub(crate) execute: Arc<Execute>,
}

/// A worker that has been started. It goes on if this is dropped.
#[derive(Debug)]
pub struct WorkerHandle {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<Result<(), Error>>>,
}

impl WorkerHandle {
    /// Takes no more jobs, finishes those in flight, and disconnects.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server had ended the worker before.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.send_replace(true);
        self.stopped().await
    }

    /// Waits until the worker has ended: by a signal, or by a server that does not accept it any more.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`].
    pub async fn stopped(&mut self) -> Result<(), Error> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(result) => result,
            Err(failure) if failure.is_panic() => std::panic::resume_unwind(failure.into_panic()),
            // The runtime is being shut down.
            Err(_) => Ok(()),
        }
    }
}

/// Connects again and again, until the worker is stopped or the server does not accept it.
async fn supervise(plan: Arc<Plan>, stop: StopSignal, ready: oneshot::Sender<()>) -> Result<(), Error> {
    let mut stopped = std::pin::pin!(stop.received());
    let mut ready = Some(ready);
    let mut backoff = Backoff::default();
    loop {
        let session = tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            () = abandoned(&mut ready) => return Ok(()),
            session = Session::open(&plan) => session,
        };
        match session {
            Ok(session) => {
                backoff.reset();
                if let Some(ready) = ready.take() {
                    // Nobody waits for this worker any more if that fails; `abandoned` ends it otherwise.
                    let _ = ready.send(());
                }
                if session.serve(&mut stopped).await? == Closed::Stopped {
                    return Ok(());
                }
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => tracing::warn!(%error, "no connection to the server; trying again"),
        }
        tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            () = tokio::time::sleep(backoff.next()) => {}
        }
    }
}

/// Ends when the future of `start` was dropped before the worker was registered.
async fn abandoned(ready: &mut Option<oneshot::Sender<()>>) {
    match ready {
        Some(ready) => ready.closed().await,
        None => pending().await,
    }
}

/// A server that is overloaded or broken may recover; one that says no means it.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => false,
        Error::Refused { status, .. } => !(matches!(status, 408 | 429) || (500..600).contains(status)),
        _ => true,
    }
}

struct StopSignal {
    requests: watch::Receiver<bool>,
    stops_on: StopsOn,
}

impl StopSignal {
    /// Ends when the worker is to stop.
    async fn received(mut self) {
        let requested = async {
            if self.requests.wait_for(|stop| *stop).await.is_err() {
                // The handle was dropped: nobody can ask any more.
                pending::<()>().await;
            }
        };
        match self.stops_on {
            StopsOn::Request => requested.await,
            StopsOn::RequestOrSignal => tokio::select! {
                () = requested => {}
                () = signal_received() => {}
            },
        }
    }
}

#[cfg(unix)]
async fn signal_received() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be handled in this process");
        return pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal_received() {
    if tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}
