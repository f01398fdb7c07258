//! What NATS can do by itself: a key-value bucket, without Claviger.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use async_nats::{
    ServerAddr,
    jetstream::{
        self,
        kv::{self, Store},
    },
};
use axum::body::Bytes;
use tokio::time::sleep;

use super::{Mode, mode::Cluster};
use crate::{
    base::{Base, ROW_BYTES, WIDTHS},
    load::drive,
    plan::Plan,
    server::secrets::NAMES,
    table::Table,
};

/// How long new servers may refuse to make a bucket, and how often they are asked.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Measures puts, and gets where reads are measured too. All writers share a connection, as they do in Claviger.
pub(super) async fn measure(mode: Mode, cluster: &Cluster, plan: &Plan, table: &mut Table) -> Result<()> {
    let bucket = Arc::new(make(mode, cluster).await?);
    bucket.put("READ", value()).await?;
    for width in WIDTHS {
        let bucket = bucket.clone();
        let work = move |lane: usize, turn: usize| {
            let bucket = bucket.clone();
            async move {
                bucket.put(format!("OF_{width}_{lane}_{}", turn % NAMES), value()).await?;
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
    Ok(())
}

async fn make(mode: Mode, cluster: &Cluster) -> Result<Store> {
    let servers = cluster.urls().iter().map(|url| url.parse()).collect::<Result<Vec<ServerAddr>, _>>()?;
    let context = jetstream::new(async_nats::connect(servers).await?);
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
fn value() -> Bytes {
    static VALUE: [u8; ROW_BYTES] = noise();
    Bytes::from_static(&VALUE)
}

const fn noise() -> [u8; ROW_BYTES] {
    let (mut bytes, mut state, mut at) = ([0; ROW_BYTES], 1_u32, 0);
    while at < ROW_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = (state >> 24) as u8;
        at += 1;
    }
    bytes
}
