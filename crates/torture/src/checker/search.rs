//! Looks for an order in which the operations of one secret may have happened one after the other.
//!
//! A depth-first search over places (what has happened, and how the secret stands then) that visits none twice, after
//! Wing and Gong (1993) and Lowe (2017). What keeps it fast, without making it wrong:
//!
//! - Revisions grow with every change, so of the acknowledged changes only the one with the least revision can be next.
//!   That the order of revisions fits time, versions and guards is what gets checked.
//! - An answer that changes nothing and fits where we stand is taken at once: it takes nothing away from the others.
//! - Of changes without an answer that ask for the same, the oldest goes first, and a guarded one before an unguarded one:
//!   none of them has to happen by a time, and the other can still do all that this one could.

use std::{collections::HashSet, time::Duration};

use super::{
    bits::Bits,
    model::{At, State},
    steps::{Step, Steps},
};
use crate::{Action, Outcome};

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is an order.
    Fits,
    /// There is none. The state at the end of the longest beginning of one.
    Fails(State),
    /// That would take too long to find out.
    Undecided,
}

/// Looks for an order, at no more than so many places.
pub(super) fn search(steps: &Steps<'_>, most_places: usize) -> Verdict {
    Search { steps, most_places, seen: HashSet::new(), todo: Vec::new(), furthest: (0, State::NEVER_SET) }.run()
}

/// What has happened, and how the secret stands then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    /// Of the answered steps.
    done: Bits,
    /// Of the open changes.
    changed: Bits,
    state: State,
}

struct Search<'a> {
    steps: &'a Steps<'a>,
    most_places: usize,
    seen: HashSet<Place>,
    todo: Vec<Place>,
    furthest: (usize, State),
}

/// The steps that may be next at a place, and until when something has to be.
struct Window {
    next: Vec<usize>,
    until: Duration,
}

impl Search<'_> {
    fn run(mut self) -> Verdict {
        let (answered, open) = (self.steps.answered.len(), self.steps.open.len());
        let start = Place { done: Bits::none(answered), changed: Bits::none(open), state: State::NEVER_SET };
        self.todo.push(start);
        while let Some(mut place) = self.todo.pop() {
            let window = self.settle(&mut place);
            let count = place.done.count();
            if count == answered {
                return Verdict::Fits;
            }
            if count >= self.furthest.0 {
                self.furthest = (count, place.state);
            }
            self.drop_past_changes(&mut place);
            if self.is_dead(&place, &window) || !self.seen.insert(place.clone()) {
                continue;
            }
            if self.seen.len() > self.most_places {
                return Verdict::Undecided;
            }
            // What is pushed last is tried first.
            self.push_open_changes(&place, &window);
            self.push_telling_conflicts(&place, &window);
            self.push_next_write(&place, &window);
        }
        Verdict::Fails(self.furthest.1)
    }

    /// Takes every answer that fits and changes nothing. What may be next then.
    fn settle(&self, place: &mut Place) -> Window {
        loop {
            let window = self.window(place);
            let fits = |at: &&usize| {
                let operation = self.steps.answered[**at].operation;
                operation.written().is_none() && place.state.answered(operation) == Some(place.state)
            };
            let fitting: Vec<usize> = window.next.iter().filter(fits).copied().collect();
            if fitting.is_empty() {
                return window;
            }
            fitting.into_iter().for_each(|at| place.done.add(at));
        }
    }

    /// A step may be next unless another one had ended when it began, or has to come before it.
    fn window(&self, place: &Place) -> Window {
        let steps = &self.steps.answered;
        let mut until = Duration::MAX;
        let mut next = Vec::new();
        for (at, step) in steps.iter().enumerate().skip(place.done.first_missing()) {
            // Steps are in the order of their beginnings, so no later one ends before this one begins.
            if step.from > until {
                break;
            }
            if !place.done.has(at) {
                until = until.min(step.until);
                next.push(at);
            }
        }
        let may_be_next = |step: &Step<'_>| step.from <= until && step.after.iter().all(|at| place.done.has(*at));
        next.retain(|at| may_be_next(&steps[*at]));
        Window { next, until }
    }

    /// Whether some answer cannot be explained any more.
    fn is_dead(&self, place: &Place, window: &Window) -> bool {
        let is_past = |at: &usize| place.state.is_past(self.steps.answered[*at].operation);
        window.next.iter().any(is_past) || self.next_write(place).is_some_and(|at| is_past(&at))
    }

    /// The acknowledged change with the least revision.
    fn next_write(&self, place: &Place) -> Option<usize> {
        // Writes are done in their order, so the first missing one is where the done ones end.
        let done = self.steps.writes.partition_point(|at| place.done.has(*at));
        self.steps.writes.get(done).copied()
    }

    fn push_next_write(&mut self, place: &Place, window: &Window) {
        let next = self.next_write(place).filter(|at| window.next.contains(at));
        let state = next.and_then(|at| place.state.answered(self.steps.answered[at].operation));
        if let (Some(at), Some(state)) = (next, state) {
            self.todo.push(Place { done: place.done.with(at), changed: place.changed.clone(), state });
        }
    }

    /// A conflict tells the current revision, which may be that of a change without an answer.
    fn push_telling_conflicts(&mut self, place: &Place, window: &Window) {
        if !matches!(place.state.at, At::NoLessThan(_)) {
            return;
        }
        for at in &window.next {
            let operation = self.steps.answered[*at].operation;
            let Outcome::Conflict { current } = operation.outcome else { continue };
            if self.steps.told.has_version_of(current) {
                continue;
            }
            if let Some(state) = place.state.answered(operation) {
                self.todo.push(Place { done: place.done.with(*at), changed: place.changed.clone(), state });
            }
        }
    }

    fn push_open_changes(&mut self, place: &Place, window: &Window) {
        let begun = self.steps.open.iter().enumerate().take_while(|(_, open)| open.began <= window.until);
        let mut fitting: Vec<(usize, Action, State)> = Vec::new();
        for (at, open) in begun.filter(|(at, _)| !place.changed.has(*at)) {
            if fitting.iter().any(|(_, other, _)| goes_first(*other, open.action, place.state.at)) {
                continue;
            }
            if let Some(state) = place.state.changed(open.action, &self.steps.told) {
                fitting.retain(|(_, other, _)| !goes_first(open.action, *other, place.state.at));
                fitting.push((at, open.action, state));
            }
        }
        for (at, _, state) in fitting {
            self.todo.push(Place { done: place.done.clone(), changed: place.changed.with(at), state });
        }
    }

    /// Open changes that cannot happen any more are as good as done, which makes places equal.
    fn drop_past_changes(&self, place: &mut Place) {
        for (at, open) in self.steps.open.iter().enumerate() {
            let (Action::Set { expected } | Action::Delete { expected }) = open.action else { continue };
            if expected.is_some_and(|revision| revision > 0 && revision + 1 < place.state.at.next()) {
                place.changed.add(at);
            }
        }
    }
}

/// Whether the one open change may be preferred to the other where both fit: it does the same, and can do it in no more
/// places than the other.
fn goes_first(one: Action, other: Action, at: At) -> bool {
    let narrower = |one: Option<u64>, other: Option<u64>| match at {
        At::Exactly(_) => one.is_some() && (other.is_none() || (one > Some(0) && other == Some(0))),
        At::NoLessThan(_) => false,
    };
    let goes_first = match (one, other) {
        (Action::Set { expected: one }, Action::Set { expected: other })
        | (Action::Delete { expected: one }, Action::Delete { expected: other }) => narrower(one, other),
        _ => false,
    };
    one == other || goes_first
}
