//! A secret's operations, made ready for the search.

use std::{collections::HashMap, time::Duration};

use super::{model::Told, rules::Rules};
use crate::{Action, Consistency, Operation, Outcome};

/// An answered operation, and what has to come before it.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) operation: &'a Operation,
    /// It took effect at some moment from here …
    pub(super) from: Duration,
    /// … to here.
    pub(super) until: Duration,
    /// Steps that come before it, whatever the time.
    pub(super) after: Vec<usize>,
}

/// The operations of one secret.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    /// Everything that was answered, by `from`.
    pub(super) answered: Vec<Step<'a>>,
    /// The acknowledged changes among them, by revision: no other order fits.
    pub(super) writes: Vec<usize>,
    /// Changes that may have happened or not, by beginning.
    pub(super) open: Vec<&'a Operation>,
    /// Revisions of versions.
    pub(super) told: Told,
}

impl<'a> Steps<'a> {
    /// Sorts them out.
    pub(super) fn of(operations: &'a [Operation], rules: &Rules) -> Steps<'a> {
        let is_answer = |operation: &&Operation| !matches!(operation.outcome, Outcome::Refused | Outcome::Unknown);
        let mut answered: Vec<Step<'a>> = operations.iter().filter(is_answer).map(|it| Step::new(it, rules)).collect();
        answered.sort_by_key(|step| (step.from, step.until));
        let after = predecessors(&answered);
        for (step, after) in answered.iter_mut().zip(after) {
            step.after = after;
        }
        let mut writes: Vec<usize> =
            (0..answered.len()).filter(|at| answered[*at].operation.written().is_some()).collect();
        writes.sort_by_key(|at| answered[*at].operation.written());
        let is_open = |operation: &&Operation| operation.outcome == Outcome::Unknown && operation.is_write();
        let mut open: Vec<&Operation> = operations.iter().filter(is_open).collect();
        open.sort_by_key(|operation| operation.began);
        let told = Told::by(answered.iter().map(|step| step.operation));
        Steps { answered, writes, open, told }
    }
}

impl<'a> Step<'a> {
    fn new(operation: &'a Operation, rules: &Rules) -> Step<'a> {
        let from = rules.effective_from(operation);
        Step { operation, from, until: operation.ended, after: Vec::new() }
    }
}

/// A default read comes after the one before it of the same client at the same server, and after the last change that
/// this server had acknowledged when it began.
fn predecessors(steps: &[Step<'_>]) -> Vec<Vec<usize>> {
    let mut after = vec![Vec::new(); steps.len()];
    let acknowledged = Acknowledged::of(steps);
    let mut by_beginning: Vec<usize> = (0..steps.len()).collect();
    by_beginning.sort_by_key(|at| (steps[*at].operation.began, steps[*at].operation.ended));
    let mut last_read: HashMap<(usize, usize), usize> = HashMap::new();
    for at in by_beginning {
        let read = steps[at].operation;
        if read.action == Action::Read(Consistency::Default) {
            after[at].extend(last_read.insert((read.client, read.node), at));
            after[at].extend(acknowledged.before(read));
        }
    }
    after
}

/// By server: when changes were acknowledged, and the step of the last one up to then.
struct Acknowledged(HashMap<usize, Vec<(Duration, usize)>>);

impl Acknowledged {
    fn of(steps: &[Step<'_>]) -> Acknowledged {
        let mut by_end: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].operation.written().is_some()).collect();
        by_end.sort_by_key(|at| steps[*at].until);
        let mut nodes: HashMap<usize, Vec<(Duration, usize)>> = HashMap::new();
        for at in by_end {
            let known = nodes.entry(steps[at].operation.node).or_default();
            let last = known.last().map_or(at, |(_, last)| *last);
            let newest = if steps[last].operation.written() > steps[at].operation.written() { last } else { at };
            known.push((steps[at].until, newest));
        }
        Acknowledged(nodes)
    }

    fn before(&self, read: &Operation) -> Option<usize> {
        let known = self.0.get(&read.node)?;
        let count = known.partition_point(|(acknowledged, _)| *acknowledged < read.began);
        Some(known.get(count.checked_sub(1)?)?.1)
    }
}
