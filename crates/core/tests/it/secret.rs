//! What changes make of a secret, and what a name then means in every scope.

use std::collections::BTreeMap;

use claviger_core::{
    Resolution, Revision, Scope, SecretName, SpaceName, Timestamp, Verdict, resolve, resolve_among,
    secret::{Action, Change, Changed, KEPT_VERSIONS, Refused, Secret, Stamp, Stored, apply, check},
};
use proptest::prelude::*;

const NAMES: [&str; 2] = ["SLACK_TOKEN", "STRIPE_KEY"];
const ENVIRONMENTS: [&str; 2] = ["prod", "staging"];
const SPACES: [Option<&str>; 4] = [None, Some("acme"), Some("Acme"), Some("prod")];

/// Which secret a change is about: environment, space and name, by their numbers.
type Place = (usize, usize, usize);

fn name(at: usize) -> SecretName {
    NAMES[at].parse().expect("a name")
}

fn scope(environment: usize, space: usize) -> Scope {
    let space = SPACES[space].map(|space| space.parse::<SpaceName>().expect("a name"));
    Scope { environment: ENVIRONMENTS[environment].parse().expect("a name"), space }
}

fn scopes() -> impl Iterator<Item = Scope> {
    (0..ENVIRONMENTS.len()).flat_map(|environment| (0..SPACES.len()).map(move |space| scope(environment, space)))
}

fn set(unmaskable: bool) -> Change {
    Change::Set { description: None, unmaskable }
}

/// All there is, and the revision of the last record.
#[derive(Clone, Debug, Default)]
struct World {
    secrets: BTreeMap<(Scope, SecretName), Stored>,
    last: u64,
}

impl World {
    fn change(&mut self, (environment, space, at): Place, change: Change) -> Result<Changed, Refused> {
        let (scope, name) = (scope(environment, space), name(at));
        let stamp = Stamp { by: "key".into(), at: Timestamp(i64::try_from(self.last).expect("few") + 1) };
        let place = (scope.clone(), name.clone());
        let changed = apply((&name, &scope), self.secrets.get(&place), change, &stamp)?;
        self.last += 1;
        let (changed_at, last) = (Revision(self.last), Revision(self.last));
        let stored = Stored { secret: changed.secret.clone(), changed: changed_at, last };
        self.secrets.insert(place, stored);
        Ok(changed)
    }

    fn verdict(&self, scope: &Scope, name: &SecretName) -> Verdict {
        let stored = self.secrets.get(&(scope.clone(), name.clone()));
        stored.map_or(Verdict::Missing, |stored| stored.secret.verdict())
    }

    fn resolve(&self, scope: &Scope, name: &SecretName) -> Resolution {
        resolve(scope, |asked| self.verdict(asked, name))
    }

    /// What every name means in every scope.
    fn meanings(&self) -> BTreeMap<(Scope, SecretName), Resolution> {
        let places = scopes().flat_map(|scope| (0..NAMES.len()).map(move |at| (scope.clone(), name(at))));
        places.map(|(scope, name)| ((scope.clone(), name.clone()), self.resolve(&scope, &name))).collect()
    }
}

fn a_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => any::<bool>().prop_map(set),
        1 => Just(Change::Delete),
        1 => Just(Change::Block),
        1 => Just(Change::Unblock),
    ]
}

fn a_place() -> impl Strategy<Value = Place> {
    (0..ENVIRONMENTS.len(), 0..SPACES.len(), 0..NAMES.len())
}

fn a_world() -> impl Strategy<Value = World> {
    prop::collection::vec((a_place(), a_change()), 0..60).prop_map(|changes| {
        let mut world = World::default();
        for (place, change) in changes {
            // Some are refused: nothing has come of them.
            let _ = world.change(place, change);
        }
        world
    })
}

proptest! {
    #[test]
    fn a_meaning_depends_on_what_the_scopes_say_and_on_nothing_else(world in a_world()) {
        prop_assert_eq!(world.meanings(), world.clone().meanings());
        for ((scope, name), resolution) in world.meanings() {
            let mut asked = Vec::new();
            let again = resolve(&scope, |scope| { asked.push(scope.clone()); world.verdict(scope, &name) });
            prop_assert_eq!(&again, &resolution);
            prop_assert!(scope.chain().starts_with(&asked), "each once, from the inside outward");
            prop_assert_eq!(&resolve_among(&scope.chain(), |scope| world.verdict(scope, &name)), &resolution);
        }
    }

    #[test]
    fn a_change_shows_in_its_scope_and_in_those_that_inherit_from_it_alone(
        world in a_world(), place in a_place(), change in a_change(),
    ) {
        let mut after = world.clone();
        let outcome = after.change(place, change);
        let (changed_scope, changed_name) = (scope(place.0, place.1), name(place.2));
        let (before, after) = (world.meanings(), after.meanings());
        for ((scope, name), resolution) in &after {
            let may_show = *name == changed_name && scope.chain().contains(&changed_scope) && outcome.is_ok();
            prop_assert!(may_show || before[&(scope.clone(), name.clone())] == *resolution, "{scope:?} {name}");
        }
    }

    #[test]
    fn the_trail_says_why_and_agrees_with_what_is_found(world in a_world()) {
        for ((scope, _), Resolution { found, trail }) in world.meanings() {
            let (last, passed) = trail.split_last().expect("the scope itself is asked");
            prop_assert!(passed.iter().all(|tried| tried.verdict == Verdict::Missing));
            prop_assert!(trail.iter().map(|tried| &tried.scope).eq(scope.chain().iter().take(trail.len())));
            match last.verdict {
                Verdict::Value(version) => prop_assert_eq!(found, Some((last.scope.clone(), version))),
                Verdict::Blocked => prop_assert_eq!(found, None),
                Verdict::Missing => prop_assert!(found.is_none() && trail.len() == scope.chain().len()),
            }
        }
    }

    #[test]
    fn a_block_wins_and_lifting_it_or_deleting_an_override_shows_the_environment_again(
        world in a_world(), environment in 0..ENVIRONMENTS.len(), space in 1..SPACES.len(), at in 0..NAMES.len(),
    ) {
        let mut world = world;
        let (place, inner, outer) = ((environment, space, at), scope(environment, space), scope(environment, 0));
        let blocked = world.change(place, Change::Block);
        prop_assert!(matches!(blocked, Ok(_) | Err(Refused::IsBlocked)), "{blocked:?}");
        prop_assert_eq!(world.resolve(&inner, &name(at)).found, None);
        let outside = world.resolve(&outer, &name(at)).found;
        world.change(place, Change::Unblock).expect("unblocked");
        prop_assert_eq!(&world.resolve(&inner, &name(at)).found, &outside);
        let version = world.change(place, set(true)).expect("set").secret.latest;
        prop_assert_eq!(world.resolve(&inner, &name(at)).found, Some((inner.clone(), version)), "whatever its value is");
        world.change(place, Change::Delete).expect("deleted");
        prop_assert_eq!(&world.resolve(&inner, &name(at)).found, &outside);
        prop_assert_eq!(world.resolve(&outer, &name(at)).found, outside);
    }

    #[test]
    fn whatever_is_done_to_a_secret_it_stays_a_state_that_a_secret_can_be_in(
        space in 0..SPACES.len(), changes in prop::collection::vec(a_change(), 0..80),
    ) {
        let mut world = World::default();
        let mut given_out = 0;
        for change in changes {
            let before = world.secrets.values().next().cloned();
            match world.change((0, space, 0), change.clone()) {
                Ok(changed) => {
                    check_state(&changed.secret)?;
                    check_step(before.as_ref(), &change, &changed)?;
                    prop_assert!(changed.secret.latest >= given_out, "no number is used twice");
                    given_out = changed.secret.latest;
                }
                Err(refused) => {
                    let expected = refusal(before.as_ref().map(|stored| &stored.secret), &change, space == 0);
                    prop_assert_eq!(Some(refused), expected);
                }
            }
        }
    }
}

fn check_state(secret: &Secret) -> Result<(), TestCaseError> {
    let numbers: Vec<u64> = secret.versions.iter().map(|version| version.number).collect();
    prop_assert!(numbers.is_sorted_by(|one, next| *next == one + 1), "{numbers:?}");
    prop_assert!(numbers.len() <= KEPT_VERSIONS);
    prop_assert_eq!(numbers.last().copied().unwrap_or_default(), secret.latest);
    prop_assert!(secret.active.is_none_or(|active| active == secret.latest));
    prop_assert!(!secret.blocked || (secret.active.is_none() && secret.scope.space.is_some()));
    // Only the version of the record at hand does not know where it is.
    let unplaced = secret.versions.iter().filter(|version| version.revision.is_none()).count();
    prop_assert!(unplaced <= 1);
    Ok(())
}

fn check_step(before: Option<&Stored>, change: &Change, changed: &Changed) -> Result<(), TestCaseError> {
    let had_value = before.is_some_and(|stored| stored.secret.active.is_some());
    let (verdict, action) = match change {
        Change::Set { .. } => (
            Verdict::Value(before.map_or(0, |stored| stored.secret.latest) + 1),
            if had_value { Action::Updated } else { Action::Created },
        ),
        Change::Delete => (Verdict::Missing, Action::Deleted),
        Change::Block => (Verdict::Blocked, Action::Blocked),
        Change::Unblock => (Verdict::Missing, Action::Unblocked),
    };
    prop_assert_eq!((changed.secret.verdict(), changed.action), (verdict, action));
    let kept = |secret: &Secret| secret.versions.iter().map(|version| version.number).collect::<Vec<_>>();
    let lost = before.map(|stored| kept(&stored.secret)).unwrap_or_default();
    let lost = lost.into_iter().filter(|number| !kept(&changed.secret).contains(number)).count();
    prop_assert_eq!(lost, changed.erase.len(), "what is no longer kept is erased, and nothing else");
    Ok(())
}

/// Why a change is refused, if it is.
fn refusal(before: Option<&Secret>, change: &Change, in_environment: bool) -> Option<Refused> {
    let is_blocked = before.is_some_and(|secret| secret.blocked);
    match change {
        Change::Set { .. } => None,
        Change::Delete => before.is_none_or(|secret| secret.active.is_none()).then_some(Refused::NotSet),
        Change::Block | Change::Unblock if in_environment => Some(Refused::NotInSpace),
        Change::Block => is_blocked.then_some(Refused::IsBlocked),
        Change::Unblock => (!is_blocked).then_some(Refused::NotBlocked),
    }
}

#[test]
fn the_same_space_name_in_another_environment_is_another_space() {
    let mut world = World::default();
    world.change((0, 0, 0), set(false)).expect("set");
    world.change((0, 1, 0), Change::Block).expect("blocked");
    world.change((1, 1, 0), set(false)).expect("set");
    assert_eq!(world.resolve(&scope(0, 1), &name(0)).found, None);
    assert_eq!(
        world.resolve(&scope(0, 3), &name(0)).found,
        Some((scope(0, 0), 1)),
        "a space called like an environment"
    );
    assert_eq!(world.resolve(&scope(1, 1), &name(0)).found, Some((scope(1, 1), 1)));
    assert_eq!(world.resolve(&scope(1, 0), &name(0)).found, None);
}

#[test]
fn a_block_is_something_that_compare_and_set_sees() {
    let mut world = World::default();
    let place = (scope(0, 1), name(0));
    let checked = |world: &World, expected| check(world.secrets.get(&place), Revision(expected));
    assert_eq!(checked(&world, 0), Ok(()));
    world.change((0, 1, 0), Change::Block).expect("blocked");
    assert_eq!(checked(&world, 0), Err(Refused::Conflict { current: Revision(1) }));
    assert_eq!(checked(&world, 1), Ok(()));
    world.change((0, 1, 0), Change::Unblock).expect("unblocked");
    assert_eq!(checked(&world, 0), Ok(()));
    assert_eq!(checked(&world, 2), Err(Refused::Conflict { current: Revision::ZERO }));
}

#[test]
fn what_people_wrote_stays_through_a_block_and_goes_with_a_delete() {
    let mut world = World::default();
    let described = Change::Set { description: Some("payments".to_owned()), unmaskable: false };
    world.change((0, 1, 0), described).expect("set");
    let blocked = world.change((0, 1, 0), Change::Block).expect("blocked").secret;
    assert_eq!((blocked.description.as_deref(), blocked.latest, blocked.versions.len()), (Some("payments"), 1, 1));
    let set_again = world.change((0, 1, 0), set(false)).expect("set").secret;
    assert_eq!((set_again.description.as_deref(), set_again.active), (Some("payments"), Some(2)));
    world.change((0, 1, 0), Change::Delete).expect("deleted");
    let blocked = world.change((0, 1, 0), Change::Block).expect("blocked").secret;
    assert_eq!((blocked.description, blocked.latest, blocked.versions.len()), (None, 2, 2));
}
