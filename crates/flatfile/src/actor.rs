//! Actors: people, agents and guests, each of whom may have secrets. Those are ordinary secrets in spaces whose names this
//! adapter derives, and which it keeps out of its lists of spaces.

use claviger_core::{EnvironmentName, Scope, SpaceName};

/// What the names of the adapter's own spaces begin with.
const RESERVED: &str = "flatfile:";
const ACTOR: &str = "flatfile:actor:";
/// The space whose metadata says what the protocol knows of the environment.
const ENVIRONMENT: &str = "flatfile:environment";

/// The kinds of actors that can have secrets, as they stand in their ids. An API key is none of them.
const KINDS: [&str; 3] = ["usr", "ag", "g"];
const MAX_BODY: usize = 64;

/// The id of an actor that can have secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor(String);

impl Actor {
    /// `us_usr_…`, `us_ag_…` or `us_g_…`, of any region. `None` for every other id.
    pub(crate) fn parse(id: &str) -> Option<Actor> {
        let mut parts = id.splitn(3, '_');
        let (region, kind, body) = (parts.next()?, parts.next()?, parts.next()?);
        let is_word =
            |text: &str| (1..=MAX_BODY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        (is_word(region) && KINDS.contains(&kind) && is_word(body)).then(|| Actor(id.to_owned()))
    }

    pub(crate) fn id(&self) -> &str {
        &self.0
    }

    /// Where the actor's own secrets are: those in a space, or those in the whole environment. `None` where the space's name
    /// leaves no room for it.
    pub(crate) fn scope(&self, environment: &EnvironmentName, space: Option<&SpaceName>) -> Option<Scope> {
        let name = match space {
            Some(space) => format!("{ACTOR}{}:{space}", self.0),
            None => format!("{ACTOR}{}", self.0),
        };
        Some(Scope { environment: environment.clone(), space: Some(name.parse().ok()?) })
    }
}

/// Whose secrets a scope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) space: Option<SpaceName>,
    pub(crate) actor: Option<Actor>,
}

impl Holder {
    /// Reads the name of an actor's space back.
    pub(crate) fn of(scope: &Scope) -> Holder {
        let of_actor = scope.space.as_ref().and_then(|name| name.as_str().strip_prefix(ACTOR)).and_then(|rest| {
            let (id, space) = rest.split_once(':').map_or((rest, None), |(id, space)| (id, Some(space)));
            let space = space.map(str::parse).transpose().ok()?;
            Some(Holder { space, actor: Some(Actor::parse(id)?) })
        });
        of_actor.unwrap_or_else(|| Holder { space: scope.space.clone(), actor: None })
    }
}

/// Whether a space is the adapter's own, so that no list shows it and nobody creates it by name.
pub(crate) fn is_reserved(name: &SpaceName) -> bool {
    name.as_str().starts_with(RESERVED)
}

/// The space whose metadata says what the protocol knows of the environment.
pub(crate) fn environment_space() -> SpaceName {
    ENVIRONMENT.parse().expect("the name follows the rule")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_agents_and_guests_are_actors_and_nobody_else() {
        for id in ["us_usr_00000001", "us_ag_a7Ws9cue", "us_g_1", "dev_usr_x", "us0_usr_1"] {
            assert_eq!(Actor::parse(id).unwrap().id(), id);
        }
        let long = format!("us_usr_{}", "a".repeat(65));
        for id in ["", "us_key_l7DZXYfw", "us_usr_", "usr_1", "us_usr_a:b", "us_usr_a_b", "us_usr_é", "_usr_a", &long]
        {
            assert_eq!(Actor::parse(id), None, "{id}");
        }
    }

    #[test]
    fn the_name_of_an_actors_space_tells_whose_it_is() {
        let environment: EnvironmentName = "default".parse().unwrap();
        let actor = Actor::parse("us_usr_00000001").unwrap();
        for space in [None, Some("acme"), Some("us_usr_2:x"), Some("a: b")] {
            let space: Option<SpaceName> = space.map(|name| name.parse().unwrap());
            let scope = actor.scope(&environment, space.as_ref()).unwrap();
            assert!(is_reserved(scope.space.as_ref().unwrap()));
            assert_eq!(Holder::of(&scope), Holder { space, actor: Some(actor.clone()) });
        }
        let plain = Scope { environment: environment.clone(), space: Some("acme".parse().unwrap()) };
        assert_eq!(Holder::of(&plain), Holder { space: plain.space.clone(), actor: None });
        let long: SpaceName = "x".repeat(200).parse().unwrap();
        assert_eq!(actor.scope(&environment, Some(&long)), None);
    }
}
