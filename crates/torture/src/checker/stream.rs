//! All changes of all secrets are in one stream, so their revisions follow time.

use std::collections::HashMap;

use super::violation::Violation;
use crate::Operation;

/// Two changes with one revision, or a later one with a smaller revision.
pub(super) fn check(operations: &[Operation]) -> Option<Violation> {
    let mut by_revision: HashMap<u64, &Operation> = HashMap::new();
    let mut writes: Vec<(u64, &Operation)> = operations.iter().filter_map(|it| Some((it.written()?, it))).collect();
    for (revision, write) in &writes {
        if let Some(other) = by_revision.insert(*revision, write) {
            return Some(Violation::out_of_order(other, write));
        }
    }
    // By falling revision: whatever comes later here has to have begun before all of these ended.
    writes.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    let mut first_ended: Option<&Operation> = None;
    for (_, write) in writes {
        if let Some(ended) = first_ended.filter(|ended| ended.ended < write.began) {
            return Some(Violation::out_of_order(ended, write));
        }
        first_ended = first_ended.filter(|ended| ended.ended <= write.ended).or(Some(write));
    }
    None
}
