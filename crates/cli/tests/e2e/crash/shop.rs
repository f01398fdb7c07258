//! The worker's functions. They watch that no step runs again whose result the server has acknowledged.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use claviger::{Context, Event, Function, HandlerError, Retry, WaitFor};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    emitter::trigger,
    writer::{STRIPE_KEY, number},
};

/// How many requests to Stripe each function makes, one a step.
pub(super) const CHARGES: [(&str, usize); 7] =
    [("charge", 3), ("nap", 2), ("order", 2), ("relay", 1), ("told", 1), ("leaf", 1), ("node", 3)];

/// What the functions share.
pub(super) struct Shop {
    stripe: String,
    http: reqwest::Client,
    /// By run: the last step that was begun, which is after every step whose result was acknowledged.
    begun: Mutex<HashMap<String, usize>>,
    ended: Mutex<HashSet<String>>,
    room: Arc<Semaphore>,
    problems: Mutex<Vec<String>>,
}

impl Shop {
    pub(super) fn new(stripe: &str, room: Arc<Semaphore>) -> Arc<Shop> {
        Arc::new(Shop {
            stripe: stripe.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            begun: Mutex::default(),
            ended: Mutex::default(),
            room,
            problems: Mutex::default(),
        })
    }

    /// What went wrong.
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The functions. `reveal` tells the digests of these secrets.
    pub(super) fn functions(self: &Arc<Shop>, secrets: &[String]) -> Vec<Function> {
        let reveal = secrets.iter().fold(Function::new("reveal").on(trigger("reveal")), Function::secret);
        let names: Arc<[String]> = secrets.into();
        vec![
            self.function("charge", charge),
            self.function("nap", nap),
            self.function("order", order),
            self.function("relay", relay),
            self.function("told", one_charge),
            self.function("leaf", one_charge),
            reveal.handler(move |context| {
                let names = names.clone();
                async move { Ok(digests(&context, &names)) }
            }),
        ]
    }

    fn function<F>(self: &Arc<Shop>, id: &str, handler: fn(Arc<Shop>, Arc<Context>) -> F) -> Function
    where
        F: Future<Output = Result<Value, HandlerError>> + Send + 'static,
    {
        let retry = Retry { max_attempts: 10, initial_delay: Duration::from_millis(50), ..Retry::default() };
        let shop = self.clone();
        Function::new(id).on(trigger(id)).required_secret(STRIPE_KEY).retry(retry).handler(move |context: Context| {
            let shop = shop.clone();
            async move {
                let context = Arc::new(context);
                shop.check_key(&context)?;
                let result = handler(shop.clone(), context.clone()).await?;
                shop.end(&context);
                Ok(result)
            }
        })
    }

    /// A value that was replaced before the event was emitted must not be delivered.
    fn check_key(&self, context: &Context) -> Result<(), HandlerError> {
        let delivered = number(STRIPE_KEY, context.secrets().get(STRIPE_KEY)?.expose());
        let oldest = context.event().data["newestKey"].as_u64().unwrap_or(0);
        if delivered.is_none_or(|delivered| delivered < oldest) {
            self.problem(format!("{}: value {delivered:?} of {STRIPE_KEY}, at least {oldest} is set", context.run()));
        }
        Ok(())
    }

    /// Executes a step that asks Stripe with `<run>/<step>` as its key.
    async fn charge(&self, context: &Context, place: usize, step: &str) -> Result<String, HandlerError> {
        let run = context.run();
        let key = context.secrets().get(STRIPE_KEY)?;
        let ask = || async move {
            self.begin(run, place);
            let request = self.http.post(&self.stripe).bearer_auth(key.expose());
            let answer = request.header("idempotency-key", format!("{run}/{step}")).send().await?;
            let charge: Value = serde_json::from_slice(&answer.error_for_status()?.bytes().await?)?;
            Ok(charge["id"].as_str().unwrap_or_default().to_owned())
        };
        Ok(context.step(step, ask).await?)
    }

    /// A step begins only when the results of those before it were acknowledged, so none of them may begin again.
    fn begin(&self, run: &str, place: usize) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let last = begun.entry(run.to_owned()).or_default();
        if *last > place {
            self.problem(format!("{run}: step {place} runs again though step {last} was begun"));
        }
        *last = place.max(*last);
    }

    fn end(&self, context: &Context) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if context.event().data.get("pauseMs").is_some() && ended.insert(context.run().to_owned()) {
            self.room.add_permits(1);
        }
    }

    fn problem(&self, problem: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }
}

async fn charge(shop: Arc<Shop>, context: Arc<Context>) -> Result<Value, HandlerError> {
    let mut charges = Vec::new();
    for (place, step) in ["authorize", "capture", "notify"].into_iter().enumerate() {
        charges.push(shop.charge(&context, place, step).await?);
    }
    Ok(json!({ "charges": charges }))
}

async fn nap(shop: Arc<Shop>, context: Arc<Context>) -> Result<Value, HandlerError> {
    let before = shop.charge(&context, 0, "before").await?;
    let pause = context.event().data["pauseMs"].as_u64().unwrap_or(0);
    context.sleep("pause", Duration::from_millis(pause)).await?;
    let after = shop.charge(&context, 1, "after").await?;
    Ok(json!({ "charges": [before, after] }))
}

async fn order(shop: Arc<Shop>, context: Arc<Context>) -> Result<Value, HandlerError> {
    shop.charge(&context, 0, "reserve").await?;
    let wait = WaitFor::new("crash.paid").matching("data.order", context.event().id.clone());
    let payment: Option<Event> = context.wait_for_event("payment", wait).await?;
    shop.charge(&context, 1, "ship").await?;
    Ok(json!({ "payment": payment.map(|payment| payment.id) }))
}

async fn relay(shop: Arc<Shop>, context: Arc<Context>) -> Result<Value, HandlerError> {
    let told = context.send_event("tell", &trigger("told"), json!({ "by": context.run() })).await?;
    let leaf: Value = context.invoke("ask", "leaf", json!({ "by": context.run() })).await?;
    shop.charge(&context, 0, "close").await?;
    Ok(json!({ "told": told.id, "leaf": leaf }))
}

async fn one_charge(shop: Arc<Shop>, context: Arc<Context>) -> Result<Value, HandlerError> {
    let charge = shop.charge(&context, 0, "only").await?;
    Ok(json!({ "by": context.event().data["by"], "charge": charge }))
}

/// The digest of each secret that is set. A digest holds no value, so nothing masks it.
fn digests(context: &Context, names: &[String]) -> Value {
    let digest = |name: &String| {
        let value = context.secrets().get(name).ok()?;
        Some((name.clone(), Value::from(digest(value.expose()))))
    };
    Value::Object(names.iter().filter_map(digest).collect())
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(value: &str) -> String {
    claviger_crypto::sha256(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
