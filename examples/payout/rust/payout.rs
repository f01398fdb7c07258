//! A worker that pays out. Its settings are CLAVIGER_URL and CLAVIGER_API_KEY.

use claviger::{Context, Error, Function, HandlerError, Worker};
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

#[derive(Deserialize)]
struct Created {
    id: String,
}

/// The idempotency key is the same for every repetition of the same charge, which is then made once.
async fn create_charge(
    stripe: &str,
    api_key: &str,
    amount: u64,
    idempotency_key: String,
) -> Result<Charge, HandlerError> {
    let request = reqwest::Client::new().post(format!("{stripe}/v1/charges")).bearer_auth(api_key);
    let body = format!("amount={amount}&currency=eur");
    let request = request.header("Idempotency-Key", idempotency_key).body(body);
    let response = request.header("Content-Type", "application/x-www-form-urlencoded").send().await?;
    match response.status().as_u16() {
        200..300 => Ok(Charge { id: response.json::<Created>().await?.id, amount }),
        status @ (400 | 402) => Err(HandlerError::non_retryable(format!("the charge was refused: {status}"))),
        status => Err(HandlerError::new(format!("the charge failed: {status}"))),
    }
}

async fn notify(webhook: &str, charge: &Charge) -> Result<(), HandlerError> {
    let text = format!("Paid out {}: {}", charge.amount, charge.id);
    // Without its address: that is a secret.
    let sent = reqwest::Client::new().post(webhook).json(&json!({ "text": text })).send().await;
    sent.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url)?;
    Ok(())
}

async fn pay_out(stripe: &str, ctx: Context) -> Result<Charge, HandlerError> {
    let request: Request = ctx.event().parse()?;
    let api_key = ctx.secrets().get("STRIPE_KEY")?;
    let idempotency_key = format!("{}-charge", ctx.run());
    let charge =
        ctx.step("charge", || create_charge(stripe, api_key.expose(), request.amount, idempotency_key)).await?;
    if ctx.secrets().has("SLACK_WEBHOOK") {
        let webhook = ctx.secrets().get("SLACK_WEBHOOK")?;
        ctx.step("notify", || notify(webhook.expose(), &charge)).await?;
    }
    Ok(charge)
}

/// The function, charging at this address.
pub fn payout(stripe: String) -> Function {
    Function::new("payout").on("payout.requested").secret("STRIPE_KEY").secret("SLACK_WEBHOOK").handler(move |ctx| {
        let stripe = stripe.clone();
        async move { pay_out(&stripe, ctx).await }
    })
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let stripe = std::env::var("STRIPE_URL").unwrap_or_else(|_| "https://api.stripe.com".to_owned());
    Worker::new().function(payout(stripe)).handle_signals().start().await?.stopped().await
}
