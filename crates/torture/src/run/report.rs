//! The table at the end.

use std::{collections::BTreeMap, fmt, time::Duration};

use claviger_torture::{Action, Consistency, Operation, Outcome, Violation};

use crate::{problems::Problems, runs::Counts};

/// What came of it all.
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) history: Vec<Operation>,
    pub(crate) rounds: usize,
    pub(crate) runs: Counts,
    pub(crate) problems: Problems,
    pub(crate) violations: Vec<Violation>,
    /// How long checking took.
    pub(crate) checked_in: Duration,
    /// What the servers logged last, for whoever has to find out what happened.
    pub(crate) logs: Vec<String>,
}

/// Answers of one kind of request.
#[derive(Default)]
struct Row {
    done: usize,
    conflicts: usize,
    not_set: usize,
    refused: usize,
    unknown: usize,
}

impl Row {
    fn count(&mut self, outcome: Outcome) {
        let cell = match outcome {
            Outcome::Set { .. } | Outcome::Deleted { .. } | Outcome::Found { .. } => &mut self.done,
            Outcome::Conflict { .. } => &mut self.conflicts,
            Outcome::NotSet => &mut self.not_set,
            Outcome::Refused => &mut self.refused,
            Outcome::Unknown => &mut self.unknown,
        };
        *cell += 1;
    }
}

fn kind(action: Action) -> &'static str {
    match action {
        Action::Set { expected: None } => "set",
        Action::Set { expected: Some(_) } => "set, guarded",
        Action::Delete { expected: None } => "delete",
        Action::Delete { expected: Some(_) } => "delete, guarded",
        Action::Read(Consistency::Strong) => "strong read",
        Action::Read(Consistency::Default) => "default read",
    }
}

impl Report {
    /// Whether every promise was kept.
    pub(crate) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.problems.all().0 == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        self.history.iter().for_each(|it| rows.entry(kind(it.action)).or_default().count(it.outcome));
        writeln!(f, "\n{:<16} {:>8} {:>9} {:>8} {:>8} {:>10}", "", "done", "conflict", "not set", "down", "no answer")?;
        for (kind, row) in rows {
            let Row { done, conflicts, not_set, refused, unknown } = row;
            writeln!(f, "{kind:<16} {done:>8} {conflicts:>9} {not_set:>8} {refused:>8} {unknown:>10}")?;
        }
        let Counts { events, jobs, deliveries, taken_back } = &self.runs;
        writeln!(f, "\nrounds of faults {:>8}\nevents {events:>18}\njobs {jobs:>20}", self.rounds)?;
        writeln!(f, "deliveries {deliveries:>14}\njobs taken back {taken_back:>9}")?;
        writeln!(f, "checked in {:>12.1} s", self.checked_in.as_secs_f64())?;
        let (count, problems) = self.problems.all();
        problems.iter().try_for_each(|problem| writeln!(f, "\nproblem: {problem}"))?;
        if count > problems.len() {
            writeln!(f, "\nand {} more problems", count - problems.len())?;
        }
        self.violations.iter().try_for_each(|violation| writeln!(f, "\n{violation}"))?;
        if !self.is_good() {
            let logs = (1..).zip(&self.logs);
            logs.into_iter().try_for_each(|(server, log)| writeln!(f, "\nClaviger server {server} logged:\n{log}"))?;
        }
        let verdict = if self.is_good() { "every promise was kept" } else { "FAILED" };
        write!(f, "\n{verdict} (seed {})", self.seed)
    }
}
