//! The same clients and the same checker find out a ledger that is broken on purpose, and no other.

use std::{sync::Arc, time::Duration};

use claviger_store::MemoryLedger;
use claviger_torture::{Client, Load, Random, Recorder, Rules, Violation, check};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    broken::{Defect, View},
    engines::InProcess,
};

const NODES: u64 = 3;
const OPERATIONS: usize = 2_000;

/// How long news take to come to a server.
const DELAY: Duration = Duration::from_millis(20);

/// Far more, since this machine may be busy.
const STALENESS: Duration = Duration::from_secs(5);

/// An engine that finds its ledger broken takes its time, and may not answer at all.
const BROKEN_FOR: Duration = Duration::from_secs(4);

/// A test waits so long for what has to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the checker says of clients that work on servers with this defect.
async fn torture(defect: Defect) -> Vec<Violation> {
    let mut random = Random::new(11);
    let patience = if defect == Defect::None { PATIENCE } else { BROKEN_FOR };
    let ledger = Arc::new(MemoryLedger::new());
    let mut nodes: Vec<Arc<dyn Client>> = Vec::new();
    for node in 0..NODES {
        let view = View::new(ledger.clone(), defect, DELAY, Random::new(node));
        nodes.push(Arc::new(InProcess::start(Arc::new(view)).await));
    }
    let secrets = ["STRIPE_KEY", "MAIL_PASSWORD", "WEBHOOK_SECRET"].map(Arc::from).to_vec();
    let load = Load { clients: 8, secrets, pause_ms: 0..=2 };
    let recorder = Arc::new(Recorder::default());
    let (stop, stopped) = watch::channel(false);
    let enough = async {
        let done = async {
            while recorder.count() < OPERATIONS {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _what_was_done_is_checked = timeout(patience, done).await;
        stop.send_replace(true);
    };
    tokio::join!(load.run(&nodes, &recorder, &mut random, stopped), enough);
    let looked = timeout(patience, load.look_at_everything(&nodes, &recorder)).await;
    assert!(looked.is_ok() || defect != Defect::None, "every secret can be read in the end");
    check(&recorder.history(), &Rules { staleness: STALENESS, faults: Vec::new() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_works_passes() {
    let violations = torture(Defect::None).await;
    assert!(violations.is_empty(), "{}", violations[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strong_reads_that_are_stale_are_found_out() {
    let violations = torture(Defect::LyingBarrier).await;
    let text = violations.first().expect("a violation").to_string();
    assert!(text.contains("strong read") && text.contains("contradict"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_that_are_lost_are_found_out() {
    let violations = torture(Defect::LostAppends).await;
    assert!(!violations.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_that_do_not_hold_are_found_out() {
    let violations = torture(Defect::CarelessGuards).await;
    assert!(!violations.is_empty());
}
