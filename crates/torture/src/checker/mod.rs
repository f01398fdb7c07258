//! Whether a history is one that a correct vault could have had.

mod bits;
mod minimal;
mod model;
mod pairs;
mod rules;
mod search;
mod steps;
mod stream;
mod violation;

use std::{collections::BTreeMap, sync::Arc};

pub use self::{
    rules::{Fault, Rules},
    violation::Violation,
};
use self::{
    search::{Verdict, search},
    steps::Steps,
};
use crate::{Operation, Outcome};

/// Places after which a search gives up. Histories of minutes take a few thousand.
const MOST_PLACES: usize = 200_000;

/// The same while a failure is made small: what would take longer is left as it is.
const FEW_PLACES: usize = 2_000;

/// What is wrong with a history, the smallest proof first; nothing when every promise was kept:
///
/// - the sets, deletes and strong reads of each secret are linearizable (Herlihy and Wing 1990): each took effect at one
///   moment between its beginning and its answer, and compare-and-sets compared with what stood then;
/// - a change without an answer took effect once, at any time after its beginning, or never;
/// - a default read shows what was true at some moment not longer before it than [`Rules::staleness`], never less than
///   the read before it of the same client at the same server, and all that this server has acknowledged;
/// - revisions of all secrets follow time.
#[must_use]
pub fn check(history: &[Operation], rules: &Rules) -> Vec<Violation> {
    let mut secrets: BTreeMap<Arc<str>, Vec<Operation>> = BTreeMap::new();
    for operation in history {
        secrets.entry(operation.secret.clone()).or_default().push(operation.clone());
    }
    let broken = secrets.into_iter().filter_map(|(secret, operations)| check_secret(secret, &operations, rules));
    let mut violations: Vec<Violation> = broken.chain(stream::check(history)).collect();
    violations.sort_by_key(Violation::size);
    violations
}

fn check_secret(secret: Arc<str>, operations: &[Operation], rules: &Rules) -> Option<Violation> {
    let steps = Steps::of(operations, rules);
    match search(&steps, MOST_PLACES) {
        Verdict::Fits => None,
        Verdict::Undecided => Some(Violation::Undecided { secret, operations: operations.len() }),
        Verdict::Fails(_) => Some(match pairs::contradiction(&steps) {
            Some((earlier, later)) => Violation::Contradiction { earlier: Box::new(earlier), later: Box::new(later) },
            None => no_order(secret, operations, rules),
        }),
    }
}

fn no_order(secret: Arc<str>, operations: &[Operation], rules: &Rules) -> Violation {
    let verdict = |operations: &[Operation]| search(&Steps::of(operations, rules), FEW_PLACES);
    let mut minimal = minimal::minimal(operations, |operations| matches!(verdict(operations), Verdict::Fails(_)));
    let reached = match verdict(&minimal) {
        Verdict::Fails(state) => state.to_string(),
        Verdict::Fits | Verdict::Undecided => "unknown".to_owned(),
    };
    minimal.sort_by_key(|operation| operation.began);
    let (others, answers): (Vec<_>, Vec<_>) =
        minimal.into_iter().partition(|operation| operation.outcome == Outcome::Unknown);
    Violation::NoOrder { secret, answers, others: others.len(), reached }
}
