//! The checker's promises, by trying everything. For a handful of operations.

use std::time::Duration;

use claviger_torture::{Action, Consistency, Operation, Outcome};

/// Revisions that changes without an answer may have had.
const REVISIONS: u64 = 24;

#[derive(Clone, Copy)]
struct Secret {
    revision: u64,
    version: u64,
    is_set: bool,
}

/// Whether some order of one secret's operations explains all answers.
pub(crate) fn explains(history: &[Operation], staleness: Duration) -> bool {
    let told: Vec<&Operation> = history.iter().filter(|it| it.outcome != Outcome::Refused).collect();
    let left = told.iter().copied().filter(|it| it.is_write() || it.outcome != Outcome::Unknown).collect();
    any_order(left, Secret { revision: 0, version: 0, is_set: false }, staleness)
}

/// Tries each operation that nothing else has to come before.
fn any_order(left: Vec<&Operation>, secret: Secret, staleness: Duration) -> bool {
    if left.iter().all(|it| it.outcome == Outcome::Unknown) {
        return true;
    }
    (0..left.len()).any(|at| {
        let mut others = left.clone();
        let next = others.remove(at);
        let may_be_next = !others.iter().any(|other| comes_before(other, next, staleness));
        may_be_next && after(secret, next).into_iter().any(|secret| any_order(others.clone(), secret, staleness))
    })
}

fn comes_before(one: &Operation, other: &Operation, staleness: Duration) -> bool {
    if one.outcome == Outcome::Unknown {
        return false;
    }
    let is_default = |it: &Operation| it.action == Action::Read(Consistency::Default);
    if !is_default(other) {
        return one.ended < other.began;
    }
    let of_one_reader = is_default(one) && one.client == other.client && one.node == other.node;
    let known_there = one.written().is_some() && one.node == other.node;
    let slack = if of_one_reader || known_there { Duration::ZERO } else { staleness };
    one.ended + slack < other.began
}

/// The states in which it may leave the secret.
fn after(secret: Secret, operation: &Operation) -> Vec<Secret> {
    let current = if secret.is_set { secret.revision } else { 0 };
    let guard = match operation.action {
        Action::Set { expected } | Action::Delete { expected } => expected,
        Action::Read(_) => None,
    };
    let holds = guard.is_none_or(|expected| expected == current);
    let is_set = matches!(operation.action, Action::Set { .. });
    let version = secret.version + u64::from(is_set);
    let allowed = holds && (is_set || secret.is_set);
    let changed = |revision| Secret { revision, version, is_set };
    let same = |fits: bool| if fits { vec![secret] } else { Vec::new() };
    match operation.outcome {
        Outcome::Unknown if allowed => (secret.revision + 1..=REVISIONS).map(changed).collect(),
        Outcome::Set { revision, version: told, created } => {
            let fits = allowed && is_set && revision > secret.revision && told == version && created != secret.is_set;
            if fits { vec![changed(revision)] } else { Vec::new() }
        }
        Outcome::Deleted { revision, version: told } => {
            let fits = allowed && !is_set && revision > secret.revision && told == version;
            if fits { vec![changed(revision)] } else { Vec::new() }
        }
        Outcome::Found { revision, version } => {
            same(!operation.is_write() && secret.is_set && revision == secret.revision && version == secret.version)
        }
        Outcome::NotSet => same(!is_set && holds && !secret.is_set),
        Outcome::Conflict { current: told } => same(guard.is_some() && !holds && told == current),
        Outcome::Unknown | Outcome::Refused => Vec::new(),
    }
}
