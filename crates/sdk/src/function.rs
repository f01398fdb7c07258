//! Functions: what starts them, what they need, what they do.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::context::Context;
use crate::frame::{Concurrency, DeclaredSecret, FunctionSpec, RetrySpec};
use crate::handler_error::HandlerError;
use crate::json;
use crate::trigger::Trigger;

/// How often and how fast failed attempts are repeated. The default is the server's.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; 4 by default.
    pub max_attempts: u32,
    /// The wait after the first attempt; 1 s by default.
    pub initial_delay: Duration,
    /// What each further wait is multiplied by; 2 by default.
    pub backoff_factor: f64,
    /// The longest wait; 60 s by default.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            initial_delay: Duration::from_secs(1),
            backoff_factor: 2.0,
            max_delay: Duration::from_secs(60),
        }
    }
}

/// A function that events start: `Function<()>` until it has its handler.
///
/// ```
/// use claviger::{Context, Function};
///
/// let greet = Function::new("greet").on("user.created").required_secret("MAIL_KEY").handler(|ctx: Context| async move {
///     let mail_key = ctx.secrets().get("MAIL_KEY")?;
///     ctx.step("mail", || async { Ok(mail_key.expose().len()) }).await?;
///     Ok(())
/// });
/// # let _: Function = greet;
/// ```
pub struct Function<H = Handler> {
    pub(crate) definition: Definition,
    pub(crate) handler: H,
}

/// What a worker executes.
pub struct Handler(pub(crate) Arc<Execute>);

pub(crate) type Execute = dyn Fn(Context) -> Execution + Send + Sync;
/// A handler at work.
pub(crate) type Execution = Pin<Box<dyn Future<Output = Result<Box<RawValue>, HandlerError>> + Send>>;

/// All of a function but its handler.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) id: String,
    triggers: Vec<Trigger>,
    spaces: Vec<String>,
    secrets: Vec<DeclaredSecret>,
    /// Whether it looks secrets up by name.
    lookups: bool,
    retry: Option<Retry>,
    concurrency: Option<u32>,
    timeout: Option<Duration>,
    /// Undeclared names that were asked for, so that each is warned of once.
    undeclared: Mutex<HashSet<String>>,
}

impl Function<()> {
    /// A function with this id, which is unique in an environment.
    pub fn new(id: impl Into<String>) -> Self {
        let definition = Definition {
            id: id.into(),
            triggers: Vec::new(),
            spaces: Vec::new(),
            secrets: Vec::new(),
            lookups: false,
            retry: None,
            concurrency: None,
            timeout: None,
            undeclared: Mutex::default(),
        };
        Self { definition, handler: () }
    }

    /// Starts a run for each event that fits: a name, or a pattern with `*` for one segment and `>` for the rest.
    #[must_use]
    pub fn on(self, pattern: impl Into<String>) -> Self {
        self.trigger(Trigger::new(pattern))
    }

    /// As [`Function::on`], for those events only whose data has all these values at these paths, such as `data.kind`.
    #[must_use]
    pub fn on_matching<P: Into<String>>(
        self,
        pattern: impl Into<String>,
        conditions: impl IntoIterator<Item = (P, Value)>,
    ) -> Self {
        self.trigger(Trigger::with_conditions(pattern, conditions))
    }

    /// Only events of this space start the function, and of others that are named so. Without this, events of the
    /// environment and of all its spaces do. The run's secrets are those that its event's space sees.
    #[must_use]
    pub fn space(mut self, space: impl Into<String>) -> Self {
        self.definition.spaces.push(space.into());
        self
    }

    /// Declares a secret. Runs start without it as well; `get` is an error then, and `has` is false.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>) -> Self {
        self.definition.secrets.push(DeclaredSecret { name: name.into(), required: false });
        self
    }

    /// Declares a secret without which no run starts: runs wait as `blocked` until it is set.
    #[must_use]
    pub fn required_secret(mut self, name: impl Into<String>) -> Self {
        self.definition.secrets.push(DeclaredSecret { name: name.into(), required: true });
        self
    }

    /// Repeats failed attempts like this.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.definition.retry = Some(retry);
        self
    }

    /// Lets at most `limit` runs of this function be executed at once, over all workers of a server.
    #[must_use]
    pub fn concurrency(mut self, limit: u32) -> Self {
        self.definition.concurrency = Some(limit);
        self
    }

    /// Bounds one attempt.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.definition.timeout = Some(timeout);
        self
    }

    /// What the function does. Its result is at most 256 KiB of JSON.
    pub fn handler<F, Fut, T>(self, handler: F) -> Function
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, HandlerError>> + Send + 'static,
        T: Serialize,
    {
        let execute = move |context| -> Execution {
            let output = handler(context);
            Box::pin(async move { Ok(json::encode(&output.await?, || "the function's result".to_owned())?) })
        };
        Function { definition: self.definition, handler: Handler(Arc::new(execute)) }
    }
}

impl Function<()> {
    /// Adds a trigger, once.
    pub(crate) fn trigger(mut self, trigger: Trigger) -> Self {
        if !self.definition.triggers.contains(&trigger) {
            self.definition.triggers.push(trigger);
        }
        self
    }

    /// Lets the function look secrets up by name.
    pub(crate) fn with_lookups(mut self) -> Self {
        self.definition.lookups = true;
        self
    }
}

impl<H> fmt::Debug for Function<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Function").field("definition", &self.definition).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Definition {
    pub(crate) fn spec(&self) -> FunctionSpec<'_> {
        FunctionSpec {
            id: &self.id,
            triggers: &self.triggers,
            spaces: &self.spaces,
            secrets: &self.secrets,
            lookups: self.lookups,
            retry: self.retry.as_ref().map(|retry| RetrySpec {
                max_attempts: retry.max_attempts,
                initial_delay_ms: milliseconds(retry.initial_delay),
                backoff_factor: retry.backoff_factor,
                max_delay_ms: milliseconds(retry.max_delay),
            }),
            concurrency: self.concurrency.map(|limit| Concurrency { limit }),
            timeout_ms: self.timeout.map(milliseconds),
        }
    }

    /// A function without triggers can be invoked; a listener without them does nothing.
    pub(crate) fn is_idle_listener(&self) -> bool {
        self.lookups && self.triggers.is_empty()
    }

    pub(crate) fn declares(&self, secret: &str) -> bool {
        self.secrets.iter().any(|declared| declared.name == secret)
    }

    pub(crate) fn warn_undeclared(&self, secret: &str) {
        let mut warned = self.undeclared.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(secret) {
            warned.insert(secret.to_owned());
            tracing::warn!("secret {secret:?} is not declared by function {:?}", self.id);
        }
    }
}

/// Whole milliseconds, as frames carry them.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
