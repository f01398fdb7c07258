//! Killed NATS servers and killed nodes: what was acknowledged is there, and runs go on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use claviger::{Context, Function, HandlerError, Worker};
use claviger_testbed::NatsCluster;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::rig::Rig;
use crate::support::{Answer, Api, FakeStripe, eventually, within};

const WRITERS: usize = 4;

/// So many sets have to be acknowledged between two kills.
const BETWEEN: usize = 40;

/// What a writer knows of its secret.
#[derive(Debug, Default)]
struct Written {
    /// The last version that was acknowledged, and its revision.
    acknowledged: (u64, u64),
    /// Sets without an answer that says what became of them, since.
    uncertain: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_set_is_there_after_each_nats_server_was_killed() {
    let rig = Rig::start().await;
    let (stop, stopped) = watch::channel(false);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let node = if number % 2 == 0 { &rig.a } else { &rig.b };
        let writer = Writer { api: rig.api(node).apart(), name: format!("KEY_{number}"), count: acknowledged.clone() };
        writers.spawn(writer.write_until(stopped.clone()));
    }
    more_are_acknowledged(&acknowledged).await;
    for at in 0..3 {
        kill_and_bring_back(&rig.nats, at, &acknowledged).await;
    }
    stop.send_replace(true);
    let written: BTreeMap<String, Written> = within("the writers' end", writers.join_all()).await.into_iter().collect();
    for node in [&rig.a, &rig.b] {
        for (name, written) in &written {
            is_there(&rig.api(node), name, written).await;
        }
    }
    // One that starts now folds everything again.
    let fresh = super::rig::node(&rig.nats.urls()).start().await;
    for (name, written) in &written {
        is_there(&rig.api(&fresh), name, written).await;
    }
    for node in [rig.a, rig.b, fresh] {
        node.stop().await;
    }
}

async fn kill_and_bring_back(nats: &NatsCluster, at: usize, acknowledged: &AtomicUsize) {
    nats.servers()[at].kill();
    more_are_acknowledged(acknowledged).await;
    nats.servers()[at].restart().await.expect("a NATS server that comes back");
    nats.ready().await.expect("a whole cluster");
    more_are_acknowledged(acknowledged).await;
}

async fn more_are_acknowledged(count: &AtomicUsize) {
    let before = count.load(Ordering::Acquire);
    let is_enough = || async { (count.load(Ordering::Acquire) >= before + BETWEEN).then_some(()) };
    eventually("sets are acknowledged", is_enough).await;
}

struct Writer {
    api: Api,
    name: String,
    count: Arc<AtomicUsize>,
}

impl Writer {
    async fn write_until(self, stop: watch::Receiver<bool>) -> (String, Written) {
        let mut written = Written::default();
        let path = format!("/v1/environments/default/secrets/{}", self.name);
        for number in 0.. {
            if *stop.borrow() {
                break;
            }
            let body = json!({ "value": format!("sk_live_{}_{number}", self.name) });
            let (status, answer) = self.api.answer(self.api.request(Method::PUT, &path).json(&body)).await;
            match status {
                StatusCode::OK | StatusCode::CREATED => {
                    let acknowledged = (whole(&answer["version"]), whole(&answer["revision"]));
                    assert!(acknowledged > written.acknowledged, "{acknowledged:?} after {written:?}");
                    assert!(acknowledged.0 <= written.acknowledged.0 + written.uncertain + 1, "{answer} {written:?}");
                    written = Written { acknowledged, uncertain: 0 };
                    self.count.fetch_add(1, Ordering::AcqRel);
                }
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => written.uncertain += 1,
                _ => panic!("{}: {status} {answer}", self.name),
            }
        }
        (self.name, written)
    }
}

/// The last acknowledged version, or one that was under way after it.
async fn is_there(api: &Api, name: &str, written: &Written) {
    let path = format!("/v1/environments/default/secrets/{name}?consistency=strong");
    let secret = api.get(&path).await;
    let (version, revision) = (whole(&secret["version"]), whole(&secret["revision"]));
    let (acknowledged, at) = written.acknowledged;
    assert!((acknowledged..=acknowledged + written.uncertain).contains(&version), "{secret} {written:?}");
    assert!(revision == at || version > acknowledged, "{secret} {written:?}");
}

fn whole(number: &Value) -> u64 {
    number.as_u64().unwrap_or_else(|| panic!("no whole number: {number}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_at_another_node_when_its_node_is_killed() {
    let (rig, stripe) = tokio::join!(Rig::start(), FakeStripe::start());
    let runtime = rig.runtime_key().await;
    rig.api(&rig.a).set("STRIPE_KEY", "sk_live_123").await;
    let first = worker(&rig.a.api, &runtime, stripe.url()).await;
    stripe.script([Answer::Charge, Answer::Hold]);
    let on_b = rig.api(&rig.b);
    let event = on_b.emit("test.payout", json!({})).await;
    stripe.asked(2).await;
    let _second = worker(&rig.b.api, &runtime, stripe.url()).await;
    rig.a.kill().await;
    let runs = on_b.runs_of(&event).await;
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("completed")), "{runs:?}");
    let run = on_b.run(runs[0]["id"].as_str().expect("an id")).await;
    let steps: Vec<_> = run["steps"].as_array().expect("steps").iter().map(|step| &step["id"]).collect();
    assert_eq!(steps, ["charge", "notify"], "{run}");
    // The finished step was not done again; the one under way was.
    let keys: Vec<_> =
        stripe.requests().iter().filter_map(|request| request.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys, ["charge", "notify", "notify"]);
    stripe.release();
    // The first worker's late answer counts for nothing: nobody takes it.
    drop(first);
    let again = on_b.run(runs[0]["id"].as_str().expect("an id")).await;
    assert_eq!((&again["result"], &again["steps"]), (&run["result"], &run["steps"]), "{again}");
    rig.b.stop().await;
}

async fn worker(api: &str, key: &str, stripe: &str) -> claviger::WorkerHandle {
    let stripe = stripe.to_owned();
    let function = Function::new("payout").on("test.payout").required_secret("STRIPE_KEY").handler(move |ctx| {
        let stripe = stripe.clone();
        async move { payout(ctx, &stripe).await }
    });
    Worker::new().url(api).api_key(key).function(function).start().await.expect("a worker")
}

async fn payout(ctx: Context, stripe: &str) -> Result<Value, HandlerError> {
    let mut told = Vec::new();
    for step in ["charge", "notify"] {
        let url = format!("{stripe}/v1/charges");
        let key = ctx.secrets().get("STRIPE_KEY")?.expose().to_owned();
        let done: bool = ctx
            .step(step, || async move {
                let request = reqwest::Client::new().post(url).bearer_auth(key);
                Ok(request.header("Idempotency-Key", step).send().await?.status().is_success())
            })
            .await?;
        told.push(done);
    }
    Ok(json!(told))
}
