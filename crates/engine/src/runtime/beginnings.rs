//! From where events count for a function.

use claviger_core::{EventPosition, SpaceName};

use super::FunctionSpec;

/// How far events had come when each of a function's triggers was declared, and each of its spaces: those start nothing.
/// What is declared again keeps its place, since an event may be on its way; what is new begins at that moment, so that a
/// server that goes through old events again starts nothing of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginnings {
    /// One for each trigger.
    pub(crate) triggers: Vec<EventPosition>,
    /// Of spaces that began at another time than the rest.
    pub(crate) spaces: Vec<(SpaceName, EventPosition)>,
    /// Of the environment itself and all other spaces.
    pub(crate) elsewhere: EventPosition,
}

/// A function as it was declared before.
type Present<'a> = Option<(&'a FunctionSpec, &'a Beginnings)>;

impl Beginnings {
    /// Those of a declaration, where `end` is how far events have come.
    pub(crate) fn new(present: Present<'_>, spec: &FunctionSpec, end: EventPosition) -> Beginnings {
        let Some((former, known)) = present else {
            return Beginnings { triggers: vec![end; spec.triggers.len()], ..Beginnings::default() };
        };
        let of_trigger = |trigger| known.of_trigger(former, trigger).unwrap_or(end);
        let triggers = spec.triggers.iter().map(of_trigger).collect();
        match (&spec.spaces, &former.spaces) {
            (Some(spaces), _) => {
                let of_space = |space: &SpaceName| match former.covers(Some(space)) {
                    true => (space.clone(), known.in_space(Some(space))),
                    false => (space.clone(), end),
                };
                let elsewhere = EventPosition::default();
                let spaces = spaces.iter().map(of_space).filter(|(_, from)| *from != elsewhere).collect();
                Beginnings { triggers, spaces, elsewhere }
            }
            (None, None) => Beginnings { triggers, ..known.clone() },
            (None, Some(spaces)) => {
                let spaces = spaces.iter().map(|space| (space.clone(), known.in_space(Some(space)))).collect();
                Beginnings { triggers, spaces, elsewhere: end }
            }
        }
    }

    /// Whether a declaration has something that was not declared before, and so begins now.
    pub(crate) fn are_due(present: Present<'_>, spec: &FunctionSpec) -> bool {
        let Some((former, known)) = present else { return true };
        let has_new_place = match &spec.spaces {
            None => former.spaces.is_some(),
            Some(spaces) => !spaces.iter().all(|space| former.covers(Some(space))),
        };
        has_new_place || spec.triggers.iter().any(|trigger| known.of_trigger(former, trigger).is_none())
    }

    fn of_trigger(&self, spec: &FunctionSpec, trigger: &super::Trigger) -> Option<EventPosition> {
        let at = spec.triggers.iter().position(|known| known == trigger)?;
        self.triggers.get(at).copied()
    }

    /// From where events of a space count, or of the environment itself.
    pub(crate) fn in_space(&self, space: Option<&SpaceName>) -> EventPosition {
        let named = self.spaces.iter().find(|(named, _)| Some(named) == space);
        named.map_or(self.elsewhere, |(_, from)| *from)
    }
}

#[cfg(test)]
mod tests {
    use claviger_core::{Revision, run::Retry};

    use super::*;

    fn at(revision: u64) -> EventPosition {
        EventPosition { events: Revision(revision), ..EventPosition::default() }
    }

    fn spec(triggers: &[&str], spaces: Option<&[&str]>) -> FunctionSpec {
        FunctionSpec {
            id: "f".parse().unwrap(),
            triggers: triggers.iter().map(|trigger| trigger.parse().unwrap()).collect(),
            spaces: spaces.map(|spaces| spaces.iter().map(|space| space.parse().unwrap()).collect()),
            secrets: Vec::new(),
            lookups: false,
            retry: Retry::default(),
            concurrency: None,
            timeout: None,
        }
    }

    /// From where events of `acme`, `beta` and the environment itself count, for each declaration in turn.
    fn story(declared: &[FunctionSpec]) -> Vec<[EventPosition; 3]> {
        let mut present: Option<(FunctionSpec, Beginnings)> = None;
        let mut told = Vec::new();
        for (spec, now) in declared.iter().zip(1..) {
            let known = present.as_ref().map(|(spec, known)| (spec, known));
            let end = if Beginnings::are_due(known, spec) { at(now) } else { at(0) };
            let next = Beginnings::new(known, spec, end);
            let (acme, beta) = ("acme".parse().unwrap(), "beta".parse().unwrap());
            let from = |space| std::cmp::max_by_key(next.in_space(space), next.triggers[0], |place| place.events);
            told.push([from(Some(&acme)), from(Some(&beta)), from(None)]);
            present = Some((spec.clone(), next));
        }
        told
    }

    #[test]
    fn what_is_declared_again_keeps_its_place_and_what_is_new_begins_now() {
        let told = story(&[
            spec(&["a"], Some(&["acme"])),
            spec(&["a"], Some(&["acme", "beta"])),
            spec(&["a"], None),
            spec(&["a", "b"], None),
            spec(&["a"], Some(&["beta"])),
            spec(&["a"], None),
        ]);
        assert_eq!(told[0][0], at(1));
        assert_eq!(told[1][..2], [at(1), at(2)]);
        assert_eq!(told[2], [at(1), at(2), at(3)]);
        assert_eq!(told[3], told[2], "another trigger moves no other");
        assert_eq!(told[4][1], at(2));
        assert_eq!(told[5], [at(6), at(2), at(6)], "what was left out begins anew");
    }

    #[test]
    fn a_trigger_with_other_conditions_is_another_trigger() {
        let plain = spec(&["a"], None);
        let mut narrow = plain.clone();
        narrow.triggers[0].conditions.push(super::super::Condition { path: "data.kind".to_owned(), equals: 1.into() });
        let told = story(&[plain.clone(), plain.clone(), narrow, plain]);
        let from: Vec<_> = told.iter().map(|[_, _, from]| *from).collect();
        assert_eq!(from, [1, 1, 3, 4].map(at));
    }
}
