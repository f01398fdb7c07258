//! The index of runs: the latest summary of each, newest first, and which have not ended.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use claviger_core::{EnvironmentName, Revision, Timestamp, run::RunId};
use claviger_store::{Entry, Filter, Op, Record, Stream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, watch};

use super::limits;
use crate::{
    Error,
    folded::Folded,
    record::{run::StoredEntry, summary::Summary},
    shared::Shared,
};

const FOLD: &str = "runs";
/// Records are gathered for so long before they are written, unless somebody waits for them.
const GATHER: Duration = Duration::from_millis(40);
const BATCH: usize = 2_000;
/// So many are not gathered any longer: a tail that is behind brings them at once, and has more.
const ENOUGH: usize = 256;
/// How long a list waits for the index to catch up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A run in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: RunId,
    pub(crate) key: String,
    pub(crate) summary: Summary,
}

/// The fold of the run stream into the index.
#[derive(Clone)]
pub(crate) struct RunIndex {
    shared: Shared,
    reflected: Arc<watch::Sender<Revision>>,
    wanted: Arc<Notify>,
}

fn run_key(environment: &str, created_at: i64, run: &str) -> String {
    // Newest first: keys are in ascending order.
    format!("run/{environment}/{:016x}/{run}", u64::MAX - created_at.cast_unsigned())
}

fn live_key(environment: &str, run: &str) -> String {
    format!("live/{environment}/{run}")
}

impl RunIndex {
    /// Catches up with the stream, then follows it.
    pub(crate) async fn open(shared: Shared) -> Result<RunIndex, Error> {
        let from = Folded::resume(&shared, FOLD, Stream::Runs).await?.at();
        let index = RunIndex { shared, reflected: Arc::new(watch::Sender::new(from)), wanted: Arc::default() };
        let last = index.shared.ledger.bounds(Stream::Runs).await?.last;
        let mut after = from;
        loop {
            let records = index.shared.ledger.read(Stream::Runs, &Filter::All, after, BATCH).await?;
            let Some(last) = records.last() else { break };
            after = last.revision;
            index.write(records).await?;
        }
        // The last records may have been purged: then nothing comes that would say so.
        index.reflected.send_if_modified(|reflected| std::mem::replace(reflected, last.max(*reflected)) < last);
        let follower = index.clone();
        index.shared.tasks.spawn(async move { follower.follow(after).await });
        Ok(index)
    }

    async fn follow(&self, mut after: Revision) {
        while !self.shared.stop.is_cancelled() {
            let mut tail = self.shared.ledger.tail(Stream::Runs, Filter::All, after).ready_chunks(BATCH);
            loop {
                let chunk = tokio::select! {
                    chunk = tail.next() => chunk,
                    () = self.shared.stop.cancelled() => return,
                };
                let Some(mut records) = chunk.map(|chunk| chunk.into_iter().collect::<Result<Vec<_>, _>>()) else {
                    break;
                };
                self.gather(&mut records, &mut tail).await;
                let Ok(records) = records else { break };
                let last = records.last().map(|record| record.revision);
                if let Err(error) = self.write(records).await {
                    tracing::error!(code = error.code(), "the index of runs could not be written: {error}");
                    break;
                }
                after = last.unwrap_or(after);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Takes into the batch what comes in a short while: most runs end in it and are written once. The tail is not asked
    /// meanwhile, or every commit would wake this task.
    async fn gather<S>(&self, records: &mut claviger_store::Result<Vec<Record>>, tail: &mut S)
    where
        S: futures_util::Stream<Item = Vec<claviger_store::Result<Record>>> + Unpin,
    {
        if records.as_ref().is_ok_and(|gathered| gathered.len() < ENOUGH) {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.wanted.notified() => {}
                () = self.shared.stop.cancelled() => {}
            }
        }
        while let Ok(gathered) = records
            && gathered.len() < BATCH
            && let Some(Some(chunk)) = tail.next().now_or_never()
        {
            match chunk.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(more) => gathered.extend(more),
                Err(error) => *records = Err(error),
            }
        }
    }

    async fn write(&self, records: Vec<Record>) -> Result<(), Error> {
        let Some(last) = records.last().map(|record| record.revision) else { return Ok(()) };
        // Only a run's latest record counts: each carries the whole summary.
        let latest: HashMap<String, Record> =
            records.into_iter().map(|record| (record.subject.to_string(), record)).collect();
        let mut ops = Vec::with_capacity(latest.len() * 2);
        for record in latest.values() {
            match self.ops(record) {
                Ok(more) => ops.extend(more),
                Err(error) => tracing::error!(code = error.code(), "a run's record could not be read: {error}"),
            }
        }
        self.shared.index.write(FOLD, ops, BTreeMap::from([(Stream::Runs, last)])).await?;
        self.reflected.send_replace(last);
        Ok(())
    }

    fn ops(&self, record: &Record) -> Result<[Op; 2], Error> {
        let stored: StoredEntry = self.shared.verify(Stream::Runs, record)?;
        let mut tokens = record.subject.tokens().skip(1);
        let (environment, run) = (tokens.next().unwrap_or_default(), tokens.next().unwrap_or_default());
        let value = serde_json::to_vec(&stored.summary).map_err(|_| Error::Bug { what: "a summary" })?;
        let live = live_key(environment, run);
        let live = match stored.summary.status.has_ended() {
            true => Op::Delete { key: live },
            false => Op::Put { key: live, value: Vec::new() },
        };
        Ok([Op::Put { key: run_key(environment, stored.summary.created_at, run), value }, live])
    }

    /// Waits until the index has what the stream had when this was called.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        let last = self.shared.ledger.bounds(Stream::Runs).await?.last;
        let mut reflected = self.reflected.subscribe();
        let reached = async {
            while *reflected.borrow_and_update() < last {
                self.wanted.notify_one();
                if reflected.changed().await.is_err() {
                    return Err(Error::Stopping);
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, reached).await.map_err(|_| Error::TimedOut)?
    }

    /// At most `limit` runs after a key, newest first, that pass.
    pub(crate) async fn list(
        &self,
        environment: &EnvironmentName,
        after: &str,
        limit: usize,
        passes: impl Fn(&Summary) -> bool,
    ) -> Result<Vec<Listed>, Error> {
        let prefix = format!("run/{environment}/");
        let mut after = after.to_owned();
        let mut listed = Vec::new();
        loop {
            let entries = self.shared.index.scan(FOLD, &prefix, &after, 500).await?;
            let Some(last) = entries.last() else { return Ok(listed) };
            after.clone_from(&last.key);
            for entry in entries {
                let Some(found) = read(entry).filter(|listed| passes(&listed.summary)) else { continue };
                listed.push(found);
                if listed.len() == limit {
                    return Ok(listed);
                }
            }
        }
    }

    /// The runs that have not ended.
    pub(crate) async fn live(&self, after: &str, limit: usize) -> Result<Vec<(String, EnvironmentName, RunId)>, Error> {
        let entries = self.shared.index.scan(FOLD, "live/", after, limit).await?;
        let parse = |entry: Entry| {
            let mut parts = entry.key.split('/').skip(1);
            let (environment, run) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some((entry.key.clone(), environment, run))
        };
        Ok(entries.into_iter().filter_map(parse).collect())
    }

    /// Forgets a run that was purged.
    pub(crate) async fn forget(&self, keys: Vec<String>) -> Result<(), Error> {
        let ops = keys.into_iter().map(|key| Op::Delete { key }).collect();
        Ok(self.shared.index.write(FOLD, ops, BTreeMap::new()).await?)
    }

    /// Runs of an environment that ended so long ago that they are no longer kept.
    pub(crate) async fn outlived(&self, environment: &EnvironmentName, now: Timestamp) -> Result<Vec<Listed>, Error> {
        let keep = i64::try_from(limits::KEEP_RUNS.as_millis()).unwrap_or(i64::MAX);
        let before = now.0.saturating_sub(keep);
        let after = run_key(environment.as_str(), before, "");
        self.list(environment, &after, 500, |summary| summary.ended_at.is_some_and(|at| at < before)).await
    }
}

fn read(entry: Entry) -> Option<Listed> {
    let id = entry.key.rsplit('/').next()?.parse().ok()?;
    let summary = serde_json::from_slice(&entry.value).ok()?;
    Some(Listed { id, key: entry.key, summary })
}
