//! What the ledger holds after it all, read without keys: the parts of records that are not sealed.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use claviger_core::Revision;
use claviger_store::{Filter, Ledger, Record, SqliteLedger, SqliteOptions, Stream};
use serde_json::Value;

use super::emitter::Emitted;

/// What is before a record's body: the format, the signature, the revision of the record before it.
const HEAD: usize = 1 + 32 + 8;

/// A run's journal, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) function: String,
    pub(super) event_id: String,
    /// Stored results by step. What time finishes has none.
    pub(super) results: BTreeMap<String, usize>,
    /// How often it was handed to a worker.
    pub(super) claims: usize,
    /// How often it was taken back from one.
    pub(super) releases: usize,
    /// Deliveries in the audit.
    pub(super) audited: usize,
    pub(super) ends: Vec<&'static str>,
    created: usize,
    ended_before_its_end: bool,
}

/// Everything that is checked.
pub(super) struct Books {
    /// By run.
    pub(super) runs: BTreeMap<String, Journal>,
    /// Ids by revision.
    events: BTreeMap<u64, String>,
}

impl Books {
    /// Opens the store of a server that has stopped.
    pub(super) async fn read(data: &Path) -> Books {
        let ledger = SqliteLedger::open(SqliteOptions::new(data.join("claviger.db"))).expect("a ledger");
        let mut runs: BTreeMap<String, Journal> = BTreeMap::new();
        for record in all(&ledger, Stream::Runs).await {
            let run = record.subject.tokens().last().expect("a run").to_owned();
            runs.entry(run).or_default().take(&body(&record)["entry"]);
        }
        for record in all(&ledger, Stream::Audit).await {
            if let Some(run) = body(&record)["fact"]["delivered"]["run"].as_str() {
                runs.get_mut(run).expect("a run that was delivered to").audited += 1;
            }
        }
        let events = all(&ledger, Stream::Events).await;
        let id = |record: &Record| body(record)["id"].as_str().expect("an id").to_owned();
        let events = events.iter().map(|record| (record.revision.0, id(record))).collect();
        ledger.close().await;
        Books { runs, events }
    }

    /// Each acknowledged event is there, at its revision, once.
    pub(super) fn check_events(&self, emitted: &[Emitted]) {
        for event in emitted {
            assert_eq!(self.events.get(&event.revision), Some(&event.id), "{event:?}");
        }
        let mut stored: HashMap<&str, usize> = HashMap::new();
        for id in self.events.values() {
            *stored.entry(id).or_default() += 1;
        }
        let twice: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "events that are stored more than once: {twice:?}");
    }

    /// The runs of a function, by the id of their event. None may have two.
    pub(super) fn of(&self, function: &str) -> HashMap<&str, (&str, &Journal)> {
        let mut found = HashMap::new();
        for (run, journal) in self.runs.iter().filter(|(_, journal)| journal.function == function) {
            let other = found.insert(journal.event_id.as_str(), (run.as_str(), journal));
            assert!(other.is_none(), "event {} started two runs of `{function}`", journal.event_id);
        }
        found
    }

    /// What holds for every run.
    pub(super) fn check_runs(&self) {
        for (run, journal) in &self.runs {
            assert_eq!(journal.created, 1, "{run}: {journal:?}");
            assert_eq!(journal.ends, ["completed"], "{run}: {journal:?}");
            assert!(!journal.ended_before_its_end, "{run} goes on after its end: {journal:?}");
            assert!(journal.results.values().all(|results| *results == 1), "{run}: {journal:?}");
            assert_eq!(journal.claims, journal.audited, "{run}: a job without its audit: {journal:?}");
        }
    }
}

impl Journal {
    fn take(&mut self, entry: &Value) {
        self.ended_before_its_end |= !self.ends.is_empty();
        if let Some(created) = entry.get("created") {
            self.created += 1;
            self.function = created["function"].as_str().expect("a function").to_owned();
            self.event_id = created["event_id"].as_str().expect("an event").to_owned();
            self.claims += usize::from(created.get("claim").is_some());
        }
        self.claims += usize::from(entry.get("claimed").is_some());
        if let Some(released) = entry.get("released") {
            self.releases += 1;
            self.ends.extend((released["then"] == "lost").then_some("lost"));
        }
        if let Some(resolved) = entry.get("resolved") {
            self.result(&resolved["step"], &resolved["state"]);
        }
        self.ends.extend(entry.get("cancelled").map(|_| "cancelled"));
        if let Some(progressed) = entry.get("progressed") {
            for outcome in progressed["outcomes"].as_array().expect("outcomes") {
                self.result(&outcome[0], &outcome[2]);
            }
            let ending = &progressed["ending"];
            self.ends.extend(ending.get("completed").map(|_| "completed"));
            self.ends.extend(ending.get("failed").filter(|failed| failed["retry_at"].is_null()).map(|_| "failed"));
        }
    }

    fn result(&mut self, step: &Value, state: &Value) {
        let is_result = state.get("finished").is_some() || state.get("failed").is_some();
        if is_result {
            *self.results.entry(step.as_str().expect("a step").to_owned()).or_default() += 1;
        }
    }
}

/// What is not sealed of a record.
fn body(record: &Record) -> Value {
    serde_json::from_slice(&record.bytes[HEAD..]).expect("a record's body")
}

async fn all(ledger: &SqliteLedger, stream: Stream) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map_or(Revision::ZERO, |last| last.revision);
        let next = ledger.read(stream, &Filter::All, after, 1_000).await.expect("records");
        if next.is_empty() {
            return records;
        }
        records.extend(next);
    }
}
