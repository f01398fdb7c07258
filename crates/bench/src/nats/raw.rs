//! What NATS can do by itself: a key-value bucket, without Claviger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use async_nats::{
    HeaderMap, ServerAddr,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        self, Context,
        kv::{self, Store},
    },
};
use axum::body::Bytes;
use futures_util::StreamExt;
use tokio::time::sleep;

use super::{Mode, mode::Cluster};
use crate::{
    base::{Base, ROW_BYTES, WIDTHS},
    load::drive,
    plan::Plan,
    server::secrets::NAMES,
    table::{Measured, Table},
};

/// How long new servers may refuse to make a bucket, and how often they are asked.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Bytes of the record that a set stores, about.
const RECORD_BYTES: usize = 550;

fn appends(mode: Mode, width: usize) -> String {
    format!("{mode}: raw appends like those of sets, {width} writers")
}

/// The rows that are no base.
pub(super) fn rows(mode: Mode) -> Vec<String> {
    if mode == Mode::Durable { WIDTHS.map(|width| appends(mode, width)).into() } else { Vec::new() }
}

/// Measures puts, and where reads are measured too, gets and appends. All writers share a connection, as they do in Claviger.
pub(super) async fn measure(mode: Mode, cluster: &Cluster, plan: &Plan, table: &mut Table) -> Result<()> {
    let context = connect(cluster).await?;
    let bucket = Arc::new(make(mode, &context).await?);
    bucket.put("READ", noise(ROW_BYTES)).await?;
    for width in WIDTHS {
        let bucket = bucket.clone();
        let work = move |lane: usize, turn: usize| {
            let bucket = bucket.clone();
            async move {
                bucket.put(format!("OF_{width}_{lane}_{}", turn % NAMES), noise(ROW_BYTES)).await?;
                Ok(())
            }
        };
        table.note(&Base::Puts(mode, width).name(), &[], drive(width, plan.time, work).await?);
    }
    if mode != Mode::Durable {
        return Ok(());
    }
    for width in WIDTHS {
        let bucket = bucket.clone();
        let work = move |_, _| {
            let bucket = bucket.clone();
            async move {
                ensure!(bucket.get("READ").await?.is_some(), "an acknowledged put is not there");
                Ok(())
            }
        };
        table.note(&Base::Gets(mode, width).name(), &[], drive(width, plan.time, work).await?);
    }
    if !plan.wants_any(&rows(mode)) {
        return Ok(());
    }
    // Somebody is told of each, as the fold is.
    let mut told = bucket.watch_all().await?;
    let listener = tokio::spawn(async move { while told.next().await.is_some() {} });
    for width in WIDTHS {
        let measured = measure_appends(&context, &bucket, width, plan.time).await?;
        table.note(&appends(mode, width), &[Base::Puts(mode, width)], measured);
    }
    listener.abort();
    Ok(())
}

/// Messages as Claviger sends them for sets: as long, with a guard by the subject's last revision, and a message id.
async fn measure_appends(context: &Context, bucket: &Store, width: usize, time: Duration) -> Result<Measured> {
    let (context, subject) = (context.clone(), format!("{}LIKE_{width}", bucket.prefix));
    let last: Arc<[AtomicU64]> = (0..width * NAMES).map(|_| AtomicU64::new(0)).collect();
    let work = move |lane: usize, turn: usize| {
        let (context, last, name) = (context.clone(), last.clone(), lane * NAMES + turn % NAMES);
        let subject = format!("{subject}_{name}");
        async move {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last[name].load(Ordering::Relaxed).to_string());
            headers.insert(NATS_MESSAGE_ID, format!("{subject}-{turn}"));
            let sent = context.publish_with_headers(subject, headers, noise(RECORD_BYTES)).await?;
            last[name].store(sent.await?.sequence, Ordering::Relaxed);
            Ok(())
        }
    };
    drive(width, time, work).await
}

async fn connect(cluster: &Cluster) -> Result<Context> {
    let servers = cluster.urls().iter().map(|url| url.parse()).collect::<Result<Vec<ServerAddr>, _>>()?;
    Ok(jetstream::new(async_nats::connect(servers).await?))
}

async fn make(mode: Mode, context: &Context) -> Result<Store> {
    let config = kv::Config { bucket: "raw".to_owned(), num_replicas: mode.replicas(), ..kv::Config::default() };
    let until = Instant::now() + PATIENCE;
    loop {
        match context.create_key_value(config.clone()).await {
            Ok(bucket) => return Ok(bucket),
            Err(error) if Instant::now() > until => return Err(error.into()),
            // Servers that have found together may not know yet how much room the others have.
            Err(_) => sleep(ASK_EVERY).await,
        }
    }
}

/// Bytes that cannot be compressed, as what is sealed.
fn noise(length: usize) -> Bytes {
    static NOISE: [u8; RECORD_BYTES] = make_noise();
    Bytes::from_static(&NOISE[..length])
}

const fn make_noise() -> [u8; RECORD_BYTES] {
    let (mut bytes, mut state, mut at) = ([0; RECORD_BYTES], 1_u32, 0);
    while at < RECORD_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = (state >> 24) as u8;
        at += 1;
    }
    bytes
}
