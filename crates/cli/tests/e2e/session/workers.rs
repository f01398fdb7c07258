//! Workers of both SDKs with the same functions. `functions.mjs` has them in TypeScript's language.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use claviger::{Context, Error, Function, HandlerError, Retry, SentEvent, WaitFor, Worker, WorkerHandle};
use serde_json::{Value, json};

use crate::support::{NodeProgram, NodeWorker, Server};

/// Which SDK a worker uses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sdk {
    Node,
    Rust,
}

/// A worker that the server has accepted. It ends with the test.
#[derive(Debug)]
pub(super) enum Running {
    Node(Box<NodeWorker>),
    Rust(#[expect(dead_code, reason = "it ends with the runtime of the test")] WorkerHandle),
}

impl Sdk {
    /// Starts a worker with the functions of the tests; some of them charge at `stripe`.
    pub(super) async fn start(self, server: &Server, stripe: &str) -> Running {
        match self {
            Sdk::Node => {
                let program = NodeProgram::script(include_str!("functions.mjs"));
                let worker = program.start(&server.api, &server.runtime_key(), &[("STRIPE_URL", stripe)]).await;
                Running::Node(Box::new(worker))
            }
            Sdk::Rust => {
                let worker = Worker::new().url(&server.api).api_key(server.runtime_key());
                let worker = functions(stripe).into_iter().fold(worker, Worker::function);
                Running::Rust(worker.start().await.expect("a worker"))
            }
        }
    }
}

fn functions(stripe: &str) -> Vec<Function> {
    let (for_flaky, for_slow) = (stripe.to_owned(), stripe.to_owned());
    vec![
        on("parallel").handler(parallel),
        on("nap").handler(nap),
        on("approval").handler(approval),
        on("parent").handler(parent),
        on("child").retry(retry()).handler(child),
        on("teller").handler(teller),
        on("listener").handler(|ctx: Context| async move { Ok(ctx.event().data["heard"].clone()) }),
        on("flaky").retry(retry()).handler(move |ctx| flaky(ctx, for_flaky.clone())),
        on("tired").retry(retry()).handler(|ctx: Context| async move {
            Err::<(), _>(HandlerError::new(format!("attempt {}", ctx.attempt())))
        }),
        on("hopeless")
            .retry(retry())
            .handler(|_: Context| async { Err::<(), _>(HandlerError::non_retryable("never")) }),
        on("slow").handler(move |ctx| slow(ctx, for_slow.clone())),
        on("curious").secret("SET").secret("UNSET").handler(curious),
        on("needy")
            .required_secret("NEEDED")
            .handler(|ctx: Context| async move { Ok(ctx.secrets().get("NEEDED")?.expose().len()) }),
        Function::new("rotated").on("system.secret.ROTATING.updated").handler(|ctx: Context| async move {
            let data = &ctx.event().data;
            Ok(json!({ "name": data["name"], "version": data["version"] }))
        }),
    ]
}

fn on(id: &str) -> Function<()> {
    Function::new(id).on(format!("test.{id}"))
}

fn retry() -> Retry {
    let delay = Duration::from_millis(20);
    Retry { max_attempts: 3, initial_delay: delay, backoff_factor: 1.0, max_delay: delay }
}

async fn charge(stripe: String, idempotency_key: String) -> Result<String, HandlerError> {
    let request = reqwest::Client::new().post(format!("{stripe}/v1/charges")).body("amount=1");
    let response = request.header("Idempotency-Key", idempotency_key).send().await?;
    if !response.status().is_success() {
        return Err(HandlerError::new(format!("the charge failed: {}", response.status().as_u16())));
    }
    let created: Value = response.json().await?;
    Ok(created["id"].as_str().unwrap_or_default().to_owned())
}

async fn parallel(ctx: Context) -> Result<u64, HandlerError> {
    let part = |number: u64| ctx.step(&format!("part-{number}"), move || async move { Ok(number * 10) });
    let (first, second, third) = tokio::try_join!(part(1), part(2), part(3))?;
    Ok(ctx.step("sum", || async { Ok(first + second + third) }).await?)
}

async fn nap(ctx: Context) -> Result<u64, HandlerError> {
    let begun = ctx.step("begin", || async { Ok(now()) }).await?;
    ctx.sleep("nap", Duration::from_millis(150)).await?;
    ctx.sleep_until("already", UNIX_EPOCH).await?;
    Ok(now() - begun)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn approval(ctx: Context) -> Result<Value, HandlerError> {
    let order = ctx.event().data["order"].clone();
    let approve = WaitFor::new("test.approved.*").matching("data.order", order);
    let never = WaitFor::new("test.never").timeout(Duration::from_millis(50));
    let (approved, never) =
        tokio::try_join!(ctx.wait_for_event("approve", approve), ctx.wait_for_event("never", never))?;
    Ok(json!({ "by": approved.map(|event| event.data["by"].clone()), "never": never.map(|event| event.id) }))
}

async fn parent(ctx: Context) -> Result<Value, HandlerError> {
    let doubled: u64 = ctx.invoke("double", "child", json!({ "number": 21 })).await?;
    let refused = ctx.invoke::<u64, _>("refuse", "child", json!({})).await;
    let failure = match refused {
        Err(Error::Step(error)) => error.message,
        other => format!("{other:?}"),
    };
    Ok(json!({ "doubled": doubled, "failure": failure }))
}

async fn child(ctx: Context) -> Result<u64, HandlerError> {
    let number = ctx.event().data["number"].as_u64();
    Ok(number.ok_or_else(|| HandlerError::non_retryable("no number"))? * 2)
}

async fn teller(ctx: Context) -> Result<SentEvent, HandlerError> {
    Ok(ctx.send_event("tell", "test.listener", json!({ "heard": "hello" })).await?)
}

async fn flaky(ctx: Context, stripe: String) -> Result<Value, HandlerError> {
    let key = format!("{}-charge", ctx.run());
    let first: String = ctx.step("charge", || charge(stripe, key)).await?;
    let attempt = ctx.attempt();
    ctx.step("unlucky", || async move {
        if attempt < 3 { Err(HandlerError::new(format!("attempt {attempt}"))) } else { Ok(()) }
    })
    .await?;
    Ok(json!({ "first": first, "attempt": attempt }))
}

async fn slow(ctx: Context, stripe: String) -> Result<String, HandlerError> {
    let key = format!("{}-charge", ctx.run());
    Ok(ctx.step("charge", || charge(stripe, key)).await?)
}

async fn curious(ctx: Context) -> Result<Value, HandlerError> {
    let secrets = ctx.secrets();
    let has = ["SET", "UNSET", "OTHER", "constructor"].map(|name| secrets.has(name));
    let message = |name| secrets.get(name).map_or_else(|error| error.to_string(), |_| "no error".to_owned());
    Ok(json!({
        "has": has,
        "unset": message("UNSET"),
        "undeclared": message("OTHER"),
        "length": secrets.get("SET")?.expose().len(),
    }))
}
