//! The worker SDK of Claviger: functions that events start, that receive the secrets they declare, and whose finished
//! steps survive crashes.
//!
//! A [`Function`] names the events that start it and the secrets it needs. A [`Worker`] connects to a server and executes
//! jobs; a [`Client`] emits events. Address, key and environment come from `CLAVIGER_URL`, `CLAVIGER_API_KEY` and
//! `CLAVIGER_ENV` unless they are given.
//!
//! ```no_run
//! use claviger::{Client, Context, Function, HandlerError, Worker};
//! use serde_json::json;
//! use std::time::Duration;
//!
//! async fn charge(api_key: &str, amount: u64) -> Result<String, std::io::Error> {
//!     # let _ = (api_key, amount);
//!     Ok("ch_1".to_owned())
//! }
//!
//! # async fn example() -> Result<(), claviger::Error> {
//! let payout = Function::new("payout").on("payout.requested").secret("STRIPE_KEY").handler(|ctx: Context| async move {
//!     let amount = ctx.event().data["amount"].as_u64().ok_or_else(|| HandlerError::non_retryable("no amount"))?;
//!     let api_key = ctx.secrets().get("STRIPE_KEY")?;
//!     let charged: String = ctx.step("charge", || async { Ok(charge(api_key.expose(), amount).await?) }).await?;
//!     ctx.sleep("cool-down", Duration::from_secs(60)).await?;
//!     ctx.send_event("tell", "payout.done", json!({ "charge": charged })).await?;
//!     Ok(charged)
//! });
//!
//! let mut worker = Worker::new().function(payout).concurrency(64).handle_signals().start().await?;
//! Client::from_env()?.emit("payout.requested", json!({ "amount": 1200 })).await?;
//! worker.stopped().await
//! # }
//! ```
//!
//! # Listeners
//!
//! A [`Listener`] reacts to events of an environment or of some of its spaces, and looks secrets up by name while it handles
//! one, with what the event's space inherits and overrides. It declares no secrets; its worker's API key bounds what it finds.
//!
//! # How a function runs
//!
//! The handler is executed from its start at every attempt and after every wait; steps that have finished answer from
//! memory. So everything with an effect belongs into a step, and the order of steps must not depend on anything but the
//! event and on earlier steps. A step is at-least-once: it may run again if the process dies before its result is stored.
//!
//! - The function goes on as soon as a step has finished; the next step starts once the earlier results are stored.
//! - Steps called together (`tokio::join!`, `futures` combinators) run concurrently. A step's id and place in the order
//!   are fixed when it is called, not when it is awaited. A second use of an id is stored as `id#2`.
//! - A step error that the handler catches is remembered. One that leaves the handler fails the attempt, and the step
//!   runs again in the next.
//! - When nothing but sleeps, awaited events and invoked functions is left to wait for, the handler is dropped; it
//!   runs again from its start later. A future of another kind that is awaited beside them (a timer of tokio, say) is
//!   dropped with it.
//!
//! The wire format is `spec/worker-protocol.md`.

mod backoff;
mod client;
mod context;
mod endpoint;
mod error;
mod execution;
mod frame;
mod function;
mod handler_error;
mod job;
mod journal;
mod json;
mod listener;
mod lookup;
mod lookups;
mod secrets;
mod session;
mod step;
mod trigger;
mod value;
mod wake;
mod worker;

pub use client::{Client, ClientBuilder, StoredEvent};
pub use context::{Context, Event, SentEvent, WaitFor};
pub use error::{Error, StepError};
pub use function::{Function, Handler, Retry};
pub use handler_error::HandlerError;
pub use listener::{Listener, ListenerEvent};
pub use lookup::Lookup;
pub use secrets::{SecretBytes, SecretText, Secrets};
pub use value::Secret;
pub use worker::{Worker, WorkerHandle};
