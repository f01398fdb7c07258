//! Makes a history that fails small, by forgetting what clients were told.
//!
//! Whatever is forgotten, a history that can be explained still can be; so what is left of a failing one shows a true
//! failure.

use std::time::Duration;

use crate::{Operation, Outcome};

/// The failing part of a failing history.
pub(super) fn minimal(operations: &[Operation], fails: impl Fn(&[Operation]) -> bool) -> Vec<Operation> {
    forget_answers(first_failing(operations, &fails), &fails)
}

/// The shortest beginning that fails.
fn first_failing(operations: &[Operation], fails: impl Fn(&[Operation]) -> bool) -> Vec<Operation> {
    let mut ends: Vec<Duration> = operations.iter().map(|operation| operation.ended).collect();
    ends.sort_unstable();
    let first = ends.partition_point(|end| !fails(&until(operations, *end)));
    ends.get(first).map_or_else(|| operations.to_vec(), |end| until(operations, *end))
}

/// What was known at a moment.
fn until(operations: &[Operation], end: Duration) -> Vec<Operation> {
    let begun = operations.iter().filter(|operation| operation.began <= end);
    begun
        .filter_map(|operation| if operation.ended <= end { Some(operation.clone()) } else { forgotten(operation) })
        .collect()
}

/// The operation as if there had been no answer; nothing when it changed nothing.
fn forgotten(operation: &Operation) -> Option<Operation> {
    let may_have_changed = operation.written().is_some() || operation.outcome == Outcome::Unknown;
    (may_have_changed && operation.is_write()).then(|| Operation { outcome: Outcome::Unknown, ..operation.clone() })
}

/// Forgets answers in ever smaller groups, as long as it fails without them.
fn forget_answers(mut operations: Vec<Operation>, fails: impl Fn(&[Operation]) -> bool) -> Vec<Operation> {
    let mut group = operations.len().div_ceil(2);
    while group > 0 {
        let mut start = 0;
        while start < operations.len() {
            let end = operations.len().min(start + group);
            let forgetting = without(&operations, start..end);
            if forgetting != operations && fails(&forgetting) {
                start = end - (operations.len() - forgetting.len());
                operations = forgetting;
            } else {
                start = end;
            }
        }
        group = if group == 1 { 0 } else { group.div_ceil(2) };
    }
    operations
}

fn without(operations: &[Operation], group: std::ops::Range<usize>) -> Vec<Operation> {
    let keep = |(at, operation): (usize, &Operation)| {
        if group.contains(&at) { forgotten(operation) } else { Some(operation.clone()) }
    };
    operations.iter().enumerate().filter_map(keep).collect()
}
