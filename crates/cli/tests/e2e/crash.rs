//! The server is killed again and again while everything goes on. Nothing that was acknowledged is missing afterwards,
//! and nothing was done twice that had a stored result.
//!
//! `CLAVIGER_CRASH_SEED` repeats a course of events, as far as the machine's timing permits.

mod client;
mod diary;
mod emitter;
mod ledger;
mod load;
mod random;
mod shop;
mod subscriber;
mod writer;

use std::{env, time::SystemTime};

use tokio::time::sleep;

use self::{load::Load, random::Random};
use crate::support::{Relay, Server, ServerPlan};

/// How often the server is killed under load.
const KILLS: usize = 60;

/// How often it is killed while it starts for the first time.
const EARLY_KILLS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_the_server_keeps_what_it_acknowledged() {
    let mut random = Random::new(seed());
    let relay = Relay::start().await;
    let plan = ServerPlan::dev().listen(relay.server);
    let mut server = plan.start().await;
    relay.open();
    let load = Load::start(&mut random, &relay, &server).await;
    for kill in 1..=KILLS {
        if kill % 5 == 0 {
            load.moves_on().await;
        }
        sleep(random.millis(5..=400)).await;
        server.kill().await;
        relay.hold();
        server = start_again(&plan, &mut random).await;
        relay.open();
        load.check_alive();
    }
    let outcome = load.finish().await;
    let log = server.process.stderr.clone();
    server.stop().await;
    assert!(!log.text().contains("ERROR"), "{log:?}");
    outcome.check(plan.data()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_starts_for_the_first_time_the_server_starts_the_next_time() {
    let mut random = Random::new(seed());
    let plan = ServerPlan::dev();
    for _ in 0..EARLY_KILLS {
        let mut starting = plan.spawn();
        sleep(random.millis(0..=120)).await;
        starting.kill().await;
    }
    let server = plan.start().await;
    let api = server.admin();
    assert_eq!(api.get("/v1/caller").await["role"], "admin");
    assert_eq!(api.with_key(&server.runtime_key()).get("/v1/caller").await["role"], "runtime");
    assert_eq!(api.set("STRIPE_KEY", "sk_live_first").await["version"], 1);
    server.stop().await;
}

/// Starts the server; now and then it is killed before it serves.
async fn start_again(plan: &ServerPlan, random: &mut Random) -> Server {
    while random.one_in(5) {
        let mut starting = plan.spawn();
        sleep(random.millis(0..=120)).await;
        starting.kill().await;
    }
    plan.start().await
}

#[allow(clippy::print_stdout, reason = "shown when the test fails, or when asked for")]
fn seed() -> u64 {
    let given = env::var("CLAVIGER_CRASH_SEED").ok().map(|seed| seed.parse().expect("a whole number"));
    let seed = given.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
        u64::from(since.subsec_nanos())
    });
    println!("CLAVIGER_CRASH_SEED={seed}");
    seed
}
