//! Two answers that contradict each other, whatever else happened: the shortest proof of most failures.

use super::steps::{Step, Steps};
use crate::{Action, Operation, Outcome};

/// The contradicting pair that was complete first.
pub(super) fn contradiction(steps: &Steps<'_>) -> Option<(Operation, Operation)> {
    let mut by_end: Vec<usize> =
        (0..steps.answered.len()).filter(|at| Told::by(&steps.answered[*at]).is_some()).collect();
    by_end.sort_by_key(|at| steps.answered[*at].until);
    by_end.iter().enumerate().find_map(|(count, later)| {
        let earlier = by_end[..count].iter().find(|earlier| contradict(steps, **earlier, *later))?;
        Some((steps.answered[*earlier].operation.clone(), steps.answered[*later].operation.clone()))
    })
}

/// What an answer says of the revision that the secret had, or was given.
struct Told {
    revision: u64,
    version: Option<u64>,
    /// For a change: the revision that it replaced, if it was guarded by one.
    replaced: Option<u64>,
    is_write: bool,
    is_set: bool,
}

impl Told {
    fn by(step: &Step<'_>) -> Option<Told> {
        let guard = match step.operation.action {
            Action::Set { expected } | Action::Delete { expected } => expected.filter(|revision| *revision > 0),
            Action::Read(_) => None,
        };
        let seen = |revision, version| Told { revision, version, replaced: None, is_write: false, is_set: true };
        match step.operation.outcome {
            Outcome::Set { revision, version, .. } => {
                Some(Told { replaced: guard, is_write: true, ..seen(revision, Some(version)) })
            }
            Outcome::Deleted { revision, version } => {
                Some(Told { replaced: guard, is_write: true, is_set: false, ..seen(revision, Some(version)) })
            }
            Outcome::Found { revision, version } => Some(seen(revision, Some(version))),
            Outcome::Conflict { current } if current > 0 => Some(seen(current, None)),
            _ => None,
        }
    }

    /// Whether both cannot be about one secret.
    fn differs(&self, other: &Told) -> bool {
        let (low, high) = if self.revision <= other.revision { (self, other) } else { (other, self) };
        if low.revision == high.revision {
            let two_versions = low.version.zip(high.version).is_some_and(|(one, other)| one != other);
            return two_versions || low.is_set != high.is_set || (low.is_write && high.is_write);
        }
        // Only a delete leaves the version as it was.
        let grows = |(low, high_version)| low < high_version || (low == high_version && !high.is_set);
        let is_between = high.replaced.is_some_and(|replaced| replaced < low.revision);
        is_between || !low.version.zip(high.version).is_none_or(grows)
    }
}

fn contradict(steps: &Steps<'_>, one: usize, other: usize) -> bool {
    let told = |at: usize| Told::by(&steps.answered[at]);
    let (Some(told_one), Some(told_other)) = (told(one), told(other)) else { return false };
    let goes_back = |first: &Told, second: &Told| {
        first.revision > second.revision || (first.revision == second.revision && second.is_write)
    };
    told_one.differs(&told_other)
        || (comes_before(steps, one, other) && goes_back(&told_one, &told_other))
        || (comes_before(steps, other, one) && goes_back(&told_other, &told_one))
}

fn comes_before(steps: &Steps<'_>, first: usize, second: usize) -> bool {
    let (before, after) = (&steps.answered[first], &steps.answered[second]);
    before.until < after.from || after.after.contains(&first)
}
