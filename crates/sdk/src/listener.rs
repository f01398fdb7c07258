//! Listeners: handlers for events, which look secrets up while they handle one.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::context::{Context, Event};
use crate::error::Error;
use crate::function::{Function, Retry};
use crate::handler_error::{HandlerError, Policy};
use crate::lookup::{Asked, Lookup, Scope};
use crate::step::StepErrors;
use crate::trigger::Trigger;
use crate::value::Secret;

/// A group of handlers for events of an environment or of some of its spaces.
///
/// A listener is a function: its failed attempts are repeated, and the workers that have it share the events. Each event
/// is handled at least once, by the handlers that it fits, in the order in which they were added. When several fit, a
/// repetition executes only those that have not succeeded yet.
///
/// ```
/// use claviger::{Listener, Lookup};
/// use serde_json::json;
///
/// let listener = Listener::new("orders")
///     .space("acme")
///     .on("order:created", |event| async move {
///         let token = event.secrets("SLACK_TOKEN").await?;
///         println!("{} has a token of {} bytes", event.id, token.expose()?.len());
///         Ok(())
///     })
///     .on_matching("order.*", [("data.kind", json!("big"))], |event| async move {
///         if event.has_secret("AUDIT_KEY").await? {
///             let audit_key = event.secret_in(Lookup::new("AUDIT_KEY").environment("staging").space("other")).await?;
///             println!("version {}", audit_key.version());
///         }
///         Ok(())
///     });
/// # let _: Listener = listener;
/// ```
pub struct Listener {
    function: Function<()>,
    handlers: Vec<On>,
}

/// A handler, and what it is for.
struct On {
    trigger: Trigger,
    handle: Arc<Handle>,
}

type Handle = dyn Fn(ListenerEvent) -> Handling + Send + Sync;
type Handling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

impl Listener {
    /// A listener with this id, which is unique among the functions of an environment. Workers with the same id are a
    /// group, in which each event goes to one.
    pub fn new(id: impl Into<String>) -> Self {
        Self { function: Function::new(id).with_lookups(), handlers: Vec::new() }
    }

    /// Listens to this space, and to others that are named so. Without this it listens to the environment and all its
    /// spaces.
    #[must_use]
    pub fn space(self, space: impl Into<String>) -> Self {
        Self { function: self.function.space(space), ..self }
    }

    /// Handles the events that fit: a name, or a pattern with `*` for one segment and `>` for the rest.
    #[must_use]
    pub fn on<F, Fut>(self, pattern: impl Into<String>, handler: F) -> Self
    where
        F: Fn(ListenerEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handle(Trigger::new(pattern), handler)
    }

    /// As [`Listener::on`], for those events only whose data has all these values at these paths, such as `data.kind`.
    #[must_use]
    pub fn on_matching<P, F, Fut>(
        self,
        pattern: impl Into<String>,
        conditions: impl IntoIterator<Item = (P, Value)>,
        handler: F,
    ) -> Self
    where
        P: Into<String>,
        F: Fn(ListenerEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handle(Trigger::with_conditions(pattern, conditions), handler)
    }

    /// Repeats failed attempts like this.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { function: self.function.retry(retry), ..self }
    }

    /// Lets at most `limit` events be handled at once, over all workers of a server.
    #[must_use]
    pub fn concurrency(self, limit: u32) -> Self {
        Self { function: self.function.concurrency(limit), ..self }
    }

    /// Bounds one attempt to handle an event.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { function: self.function.timeout(timeout), ..self }
    }

    pub(crate) fn into_function(self) -> Function {
        let handlers: Arc<[On]> = self.handlers.into();
        self.function.handler(move |context| react(context, Arc::clone(&handlers)))
    }

    fn handle<F, Fut>(mut self, trigger: Trigger, handler: F) -> Self
    where
        F: Fn(ListenerEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.push(On { trigger: trigger.clone(), handle: Arc::new(move |event| Box::pin(handler(event))) });
        Self { function: self.function.trigger(trigger), ..self }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listener").field("function", &self.function).finish_non_exhaustive()
    }
}

/// Hands an event to the handlers that it fits.
async fn react(context: Context, handlers: Arc<[On]>) -> Result<(), HandlerError> {
    let event = ListenerEvent { context: Arc::new(context) };
    // Steps are numbered from 1, as in the other SDKs: a listener may move from one to another.
    let fitting: Vec<_> = (1..).zip(handlers.iter()).filter(|(_, on)| on.trigger.fits(&event)).collect();
    match fitting[..] {
        // Of this worker: one with other handlers may have the same listener, and get the next attempt.
        [] => Err(HandlerError::new(format!("this worker has no handler for event {:?}", event.name))),
        [(_, on)] => (on.handle)(event).await,
        _ => handle_each(&event, &fitting).await,
    }
}

/// Hands the event to one handler after the other. The failure of one does not keep the others from it.
async fn handle_each(event: &ListenerEvent, fitting: &[(u32, &On)]) -> Result<(), HandlerError> {
    let mut failures = Vec::new();
    for (number, on) in fitting {
        let step = event.context.journal.call(&format!("on/{number}"))?;
        let handled: Result<(), Error> = step.run(|| (on.handle)(event.clone()), StepErrors::Forgotten).await;
        failures.extend(handled.err().map(HandlerError::from));
    }
    // One that another attempt may end comes first, so that there is another attempt.
    let first = failures.iter().position(|failure| failure.policy != Policy::Never).unwrap_or(0);
    if failures.is_empty() { Ok(()) } else { Err(failures.swap_remove(first)) }
}

/// An event that a listener handles, with its look-ups. It reads as an [`Event`]; clones are the same event.
///
/// A secret is looked up by its name, in the event's space, with what that inherits from its environment, unless the
/// [`Lookup`] says otherwise. What was found is kept until the handler has ended or the secret changes; look-ups of the
/// same secret in the same scope are one request, and at most 16 requests of an event are unanswered at a time.
#[derive(Clone)]
pub struct ListenerEvent {
    context: Arc<Context>,
}

impl ListenerEvent {
    /// Looks a secret up in the event's scope.
    ///
    /// # Errors
    ///
    /// [`Error::SecretNotFound`] if it is not there, or is none for the worker's API key; [`Error::LookupRefused`] if the
    /// server cannot say; [`Error::JobOver`] in a task that goes on after the handler has ended or was dropped.
    pub fn secrets(&self, name: &str) -> impl Future<Output = Result<Secret, Error>> + Send + use<> {
        self.secret_in(Lookup::new(name))
    }

    /// Looks a secret up in another scope.
    ///
    /// # Errors
    ///
    /// As [`ListenerEvent::secrets`].
    pub fn secret_in(&self, lookup: Lookup) -> impl Future<Output = Result<Secret, Error>> + Send + use<> {
        let asked = lookup.resolve(self.context.lookups.home());
        let finding = self.find(asked.clone());
        async move {
            let Asked { name, scope: Scope { environment, space } } = asked;
            finding.await?.ok_or(Error::SecretNotFound { name, environment, space })
        }
    }

    /// Whether a secret is there, and for the worker's API key: of this name in the event's scope, or as the [`Lookup`] says.
    ///
    /// # Errors
    ///
    /// [`Error::LookupRefused`] and [`Error::JobOver`] as [`ListenerEvent::secrets`].
    pub fn has_secret<L: Into<Lookup>>(&self, lookup: L) -> impl Future<Output = Result<bool, Error>> + Send + use<L> {
        let finding = self.find(lookup.into().resolve(self.context.lookups.home()));
        async move { Ok(finding.await?.is_some()) }
    }

    /// The environment that the event belongs to.
    pub fn environment(&self) -> &str {
        self.context.environment()
    }

    /// The id of the run in which the event is handled.
    pub fn run(&self) -> &str {
        self.context.run()
    }

    /// Counts the attempts to handle the event, from 1.
    pub fn attempt(&self) -> u32 {
        self.context.attempt()
    }

    /// Ends when the job is over, as [`Context::cancelled`].
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.context.cancelled()
    }

    fn find(&self, asked: Asked) -> impl Future<Output = Result<Option<Secret>, Error>> + Send + use<> {
        let lookups = Arc::clone(&self.context.lookups);
        async move { lookups.find(&asked).await }
    }
}

impl Deref for ListenerEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        self.context.event()
    }
}

impl fmt::Debug for ListenerEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ListenerEvent").field("context", &self.context).finish()
    }
}
