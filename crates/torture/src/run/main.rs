//! Tortures Claviger: clients set, delete and read secrets, and start runs, at several servers on a NATS cluster of three,
//! while servers are killed, paused and cut off. In the end the history is checked: no acknowledged change is lost, strong
//! reads are not stale, compare-and-set has one winner, every run has one end.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod http;
mod nemesis;
mod node;
mod plan;
mod problems;
mod report;
mod runs;
mod world;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use claviger_torture::{Client, Load, Random, Recorder, Rules, check};
use tokio::{sync::watch, time::timeout};

use crate::{
    nemesis::{Nemesis, Raged},
    plan::Plan,
    problems::Problems,
    report::Report,
    runs::Runs,
    world::World,
};

const CLIENTS: usize = 8;
const SECRETS: [&str; 8] = [
    "STRIPE_KEY",
    "MAIL_PASSWORD",
    "WEBHOOK_SECRET",
    "LEDGER_TOKEN",
    "REPORT_KEY",
    "SIGNING_KEY",
    "QUEUE_PASSWORD",
    "BACKUP_KEY",
];

/// How long everything may take to be readable in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far default reads may be behind while nothing is broken.
const STALENESS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
fn run(arguments: &[String]) -> Result<bool> {
    let Some(plan) = Plan::parse(arguments)? else {
        println!("{}", plan::HELP);
        return Ok(true);
    };
    println!("seed {}, {} servers, {} s", plan.seed, plan.nodes, plan.time.as_secs());
    let report = tokio::runtime::Runtime::new()?.block_on(torture(&plan))?;
    println!("{report}");
    Ok(report.is_good())
}

async fn torture(plan: &Plan) -> Result<Report> {
    let mut random = Random::new(plan.seed);
    let world = Arc::new(World::start(plan).await?);
    let (problems, recorder) = (Problems::default(), Arc::new(Recorder::default()));
    let load = Load { clients: CLIENTS, secrets: SECRETS.map(Arc::from).to_vec(), pause_ms: 2..=30 };
    let (stop, stopped) = watch::channel(false);
    let clients = world.clients(&problems)?.into_iter().map(|client| Arc::new(client) as Arc<dyn Client>);
    let clients: Vec<Arc<dyn Client>> = clients.collect();
    let nemesis = Nemesis::new(world.clone(), recorder.clone(), random.fork(), plan);
    let runs = Runs::start(&world, &load, &problems, &mut random, &stopped).await?;
    let rage = async {
        let raged = nemesis.rage(plan.time, &problems).await;
        stop.send_replace(true);
        raged
    };
    let ((), Raged { faults, rounds }) =
        tokio::join!(load.run(&clients, &recorder, &mut random, stopped.clone()), rage);
    problems.expect(rounds >= plan.fewest_rounds(), || {
        let (time, fewest) = (plan.time.as_secs(), plan.fewest_rounds());
        format!("{rounds} rounds of faults in {time} s say nothing; it takes {fewest}")
    });
    println!("everything is mended: the last reads, and the ends of runs");
    let looked = timeout(PATIENCE, load.look_at_everything(&clients, &recorder)).await;
    problems.expect(looked.is_ok(), || "not every secret can be read at every server in the end".to_owned());
    let history = recorder.history();
    let done = runs.finish(&load, &history).await?;
    world.nodes.iter().for_each(|node| node.kill());
    for error in world.nodes.iter().flat_map(|node| node.errors()) {
        problems.add(format!("a server logged: {error}"));
    }
    let runs = done.check(&world, &history).await?;
    let begun = Instant::now();
    let violations = check(&history, &Rules { staleness: STALENESS, faults });
    let checked_in = begun.elapsed();
    let logs = world.nodes.iter().map(|node| node.log_tail()).collect();
    Ok(Report { seed: plan.seed, history, rounds, runs, problems, violations, checked_in, logs })
}
