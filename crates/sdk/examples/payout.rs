//! A worker with one function. Start a server, set `CLAVIGER_API_KEY` to a key of the role `runtime`, run this, and emit
//! `payout.requested` with `{"amount": 1200}`. SIGTERM or Ctrl-C ends it after the jobs in flight.

use std::time::Duration;

use claviger::{Context, Error, Function, HandlerError, Retry, Worker};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
struct Request {
    amount: u64,
}

#[derive(Serialize, Deserialize)]
struct Charge {
    id: String,
    amount: u64,
}

/// Stands where a program would call its payment provider with the key.
async fn create_charge(api_key: &str, amount: u64) -> Result<Charge, HandlerError> {
    if api_key.is_empty() || amount == 0 {
        return Err(HandlerError::non_retryable("nothing to charge").named("Declined"));
    }
    Ok(Charge { id: format!("ch_{amount}"), amount })
}

async fn pay_out(ctx: Context) -> Result<Charge, HandlerError> {
    let request: Request = ctx.event().parse()?;
    let api_key = ctx.secrets().get("STRIPE_KEY")?;
    let charge = ctx.step("charge", || create_charge(api_key.expose(), request.amount)).await?;
    ctx.send_event("tell", "payout.done", json!({ "charge": charge.id })).await?;
    Ok(charge)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let payout = Function::new("payout")
        .on("payout.requested")
        .required_secret("STRIPE_KEY")
        .retry(Retry { max_attempts: 5, ..Retry::default() })
        .concurrency(10)
        .timeout(Duration::from_secs(60))
        .handler(pay_out);
    let mut worker = Worker::new().function(payout).name("payouts-1").concurrency(64).handle_signals().start().await?;
    worker.stopped().await
}
