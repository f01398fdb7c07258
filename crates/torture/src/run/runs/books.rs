//! What the ledger holds in the end, read without keys: the parts of records that are not sealed.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use claviger_core::Revision;
use claviger_store::{Filter, Ledger, NatsLedger, NatsOptions, Record, Stream};
use claviger_torture::Operation;
use serde_json::Value;

use super::{Emitted, worker::STEPS};
use crate::problems::Problems;

/// What is before a record's body: the format, the signature, the revision of the record before it.
const HEAD: usize = 1 + 32 + 8;

/// Records read at once.
const PAGE: usize = 1_000;

/// A run's journal, counted.
#[derive(Clone, Debug, Default)]
struct Journal {
    function: String,
    event: String,
    created: usize,
    /// Stored results by step.
    results: BTreeMap<String, usize>,
    /// How often it was taken back from a worker.
    releases: usize,
    /// Deliveries in the audit.
    deliveries: usize,
    ends: Vec<&'static str>,
    goes_on_after_its_end: bool,
}

/// Journals by run, ids of events by revision, and the last revision of each secret.
pub(super) struct Books {
    runs: BTreeMap<String, Journal>,
    events: BTreeMap<u64, String>,
    secrets: HashMap<String, u64>,
}

impl Books {
    pub(super) async fn read(servers: &[String]) -> Result<Books> {
        let ledger = NatsLedger::connect(NatsOptions::new(servers)).await?;
        let mut runs: BTreeMap<String, Journal> = BTreeMap::new();
        for record in all(&ledger, Stream::Runs).await? {
            let run = record.subject.tokens().last().context("a run without an id")?.to_owned();
            runs.entry(run).or_default().take(&body(&record)?["entry"]);
        }
        for record in all(&ledger, Stream::Audit).await? {
            if let Some(run) = body(&record)?["fact"]["delivered"]["run"].as_str() {
                runs.entry(run.to_owned()).or_default().deliveries += 1;
            }
        }
        let mut events = BTreeMap::new();
        for record in all(&ledger, Stream::Events).await? {
            events
                .insert(record.revision.0, body(&record)?["id"].as_str().context("an event without an id")?.to_owned());
        }
        let mut secrets = HashMap::new();
        for record in all(&ledger, Stream::Secrets).await? {
            let secret = record.subject.tokens().last().context("a secret without a name")?;
            secrets.insert(secret.to_owned(), record.revision.0);
        }
        ledger.close().await;
        Ok(Books { runs, events, secrets })
    }

    pub(super) fn deliveries(&self) -> usize {
        self.runs.values().map(|journal| journal.deliveries).sum()
    }

    pub(super) fn taken_back(&self) -> usize {
        self.runs.values().map(|journal| journal.releases).sum()
    }

    /// Compares them with what was acknowledged, and with the jobs that came to workers.
    pub(super) fn check(&self, emitted: &[Emitted], jobs: &HashMap<String, usize>, problems: &Problems) {
        self.check_events(emitted, problems);
        for (run, journal) in &self.runs {
            problems.expect(journal.is_sound(), || format!("the journal of run {run} is not sound: {journal:?}"));
            let jobs = jobs.get(run).copied().unwrap_or(0);
            problems.expect(jobs <= journal.deliveries, || {
                format!("run {run} came to workers {jobs} times, the audit has {} deliveries", journal.deliveries)
            });
        }
        for run in jobs.keys().filter(|run| !self.runs.contains_key(*run)) {
            problems.add(format!("run {run} came to a worker, and the ledger has no such run"));
        }
    }

    /// The last acknowledged change of each secret is there, or a later one.
    pub(super) fn check_secrets(&self, history: &[Operation], problems: &Problems) {
        let mut last: HashMap<&str, u64> = HashMap::new();
        for operation in history {
            let revision = last.entry(&operation.secret).or_default();
            *revision = operation.written().unwrap_or_default().max(*revision);
        }
        for (secret, acknowledged) in last {
            let found = self.secrets.get(secret).copied().unwrap_or_default();
            problems.expect(acknowledged <= found, || {
                format!("{secret}: revision {acknowledged} was acknowledged, the ledger ends with {found}")
            });
        }
    }

    /// Each acknowledged event is there at its revision, once, and started one run.
    fn check_events(&self, emitted: &[Emitted], problems: &Problems) {
        let mut stored: HashMap<&str, usize> = HashMap::new();
        self.events.values().for_each(|id| *stored.entry(id).or_default() += 1);
        let mut runs: HashMap<&str, usize> = HashMap::new();
        self.runs.values().for_each(|journal| *runs.entry(&journal.event).or_default() += 1);
        for event in emitted {
            let id = event.id.as_str();
            let is_there = self.events.get(&event.revision).is_some_and(|stored| stored == id);
            problems.expect(is_there, || format!("event {id} is not at revision {}", event.revision));
            for (what, count) in [("stored", stored.get(id)), ("run", runs.get(id))] {
                problems.expect(count == Some(&1), || format!("event {id} was {what} {count:?} times"));
            }
        }
    }
}

impl Journal {
    /// One beginning, one end, the end is the end, and no result was stored twice.
    fn is_sound(&self) -> bool {
        let has_results = STEPS.iter().all(|step| self.results.contains_key(*step));
        self.created == 1
            && self.ends == ["completed"]
            && !self.goes_on_after_its_end
            && self.results.values().all(|stored| *stored == 1)
            && (has_results || self.function != "order")
    }

    fn take(&mut self, entry: &Value) {
        self.goes_on_after_its_end |= !self.ends.is_empty();
        if let Some(created) = entry.get("created") {
            self.created += 1;
            created["function"].as_str().unwrap_or_default().clone_into(&mut self.function);
            created["event_id"].as_str().unwrap_or_default().clone_into(&mut self.event);
        }
        if let Some(released) = entry.get("released") {
            self.releases += 1;
            self.ends.extend((released["then"] == "lost").then_some("lost"));
        }
        self.ends.extend(entry.get("cancelled").map(|_| "cancelled"));
        if let Some(progressed) = entry.get("progressed") {
            for outcome in progressed["outcomes"].as_array().into_iter().flatten() {
                self.take_outcome(&outcome[0], &outcome[2]);
            }
            let ending = &progressed["ending"];
            self.ends.extend(ending.get("completed").map(|_| "completed"));
            self.ends.extend(ending.get("failed").filter(|failed| failed["retry_at"].is_null()).map(|_| "failed"));
        }
    }

    fn take_outcome(&mut self, step: &Value, state: &Value) {
        if state.get("finished").is_some() || state.get("failed").is_some() {
            *self.results.entry(step.as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
}

/// What is not sealed of a record.
fn body(record: &Record) -> Result<Value> {
    Ok(serde_json::from_slice(record.bytes.get(HEAD..).context("a record without a body")?)?)
}

async fn all(ledger: &NatsLedger, stream: Stream) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map_or(Revision::ZERO, |last| last.revision);
        let next = ledger.read(stream, &Filter::All, after, PAGE).await?;
        if next.is_empty() {
            return Ok(records);
        }
        records.extend(next);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn journal(entries: &[Value]) -> Journal {
        let mut journal = Journal::default();
        entries.iter().for_each(|entry| journal.take(entry));
        journal
    }

    fn created() -> Value {
        json!({ "created": { "function": "order", "event_id": "order-0-1" } })
    }

    fn progressed(steps: &[&str], ending: &Value) -> Value {
        let outcomes: Vec<Value> = steps.iter().map(|step| json!([step, 0, { "finished": {} }])).collect();
        json!({ "progressed": { "outcomes": outcomes, "ending": ending } })
    }

    #[test]
    fn a_run_with_each_result_once_and_one_end_is_sound() {
        let released = json!({ "released": { "then": "queued" } });
        let all = [
            created(),
            progressed(&STEPS[..1], &Value::Null),
            released,
            progressed(&STEPS[1..], &json!({ "completed": {} })),
        ];
        let sound = journal(&all);
        assert!(sound.is_sound(), "{sound:?}");
        assert_eq!((sound.releases, sound.event.as_str()), (1, "order-0-1"));
    }

    #[test]
    fn results_stored_twice_and_second_ends_are_not_sound() {
        let end = json!({ "completed": {} });
        let twice = [created(), progressed(&STEPS, &Value::Null), progressed(&STEPS[..1], &end)];
        let two_ends = [created(), progressed(&STEPS, &end), progressed(&[], &end)];
        let no_end = [created(), progressed(&STEPS, &Value::Null)];
        let lost = [created(), json!({ "released": { "then": "lost" } })];
        for entries in [&twice[..], &two_ends, &no_end, &lost] {
            assert!(!journal(entries).is_sound(), "{entries:?}");
        }
    }
}
