//! Ids in the protocol's form. Each is derived from what it names, so that every server gives the same and none is stored.

use claviger_core::{Caller, EnvironmentName, Revision, Scope, SecretName, SpaceName};
use claviger_engine::derive_id;

/// The only account there is.
pub(crate) const ACCOUNT: &str = "us_acc_Claviger";

const ENVIRONMENT: &str = "us_env_";
const SPACE: &str = "us_sp_";
const SECRET: &str = "us_sec_";
const EVENT: &str = "us_evt_";
const KEY: &str = "us_key_";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of an environment's or space's id after its prefix.
const SHORT: usize = 8;
/// Characters that stand for a secret's name.
const LONG: usize = 16;

pub(crate) fn of_environment(environment: &EnvironmentName) -> String {
    format!("{ENVIRONMENT}{}", place(&Scope::environment(environment.clone())))
}

pub(crate) fn of_space(environment: &EnvironmentName, space: &SpaceName) -> String {
    let scope = Scope { environment: environment.clone(), space: Some(space.clone()) };
    format!("{SPACE}{}", place(&scope))
}

/// Says where the secret is, and then which it is there.
pub(crate) fn of_secret(scope: &Scope, name: &SecretName) -> String {
    let place = place(scope);
    let name = hashed(&["secret", &place, name.as_str()], LONG);
    format!("{SECRET}{place}{name}")
}

/// Whether an id has the form of a space's.
pub(crate) fn is_of_space(id: &str) -> bool {
    id.strip_prefix(SPACE).is_some_and(|body| body.len() == SHORT && body.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether an id is one of a secret in this scope.
pub(crate) fn is_of_secret_in(id: &str, scope: &Scope) -> bool {
    place_of_secret(id).is_some_and(|known| known == place(scope))
}

/// The id of the space that a secret's id speaks of, unless that is an environment.
pub(crate) fn space_of_secret(id: &str) -> Option<String> {
    place_of_secret(id).map(|place| format!("{SPACE}{place}"))
}

fn place_of_secret(id: &str) -> Option<&str> {
    let body = id.strip_prefix(SECRET).filter(|body| body.len() == SHORT + LONG);
    body.and_then(|body| body.get(..SHORT))
}

/// Says at which revision the event is, and then which it is, should the revision have been given out twice.
pub(crate) fn of_event(environment: &EnvironmentName, own_id: &str, revision: Revision) -> String {
    let which = hashed(&["event", environment.as_str(), own_id], SHORT);
    format!("{EVENT}{}{which}", in_base_62(revision.0.into(), SHORT))
}

/// Where the event of an id would be.
pub(crate) fn revision_of_event(id: &str) -> Option<Revision> {
    let body = id.strip_prefix(EVENT).filter(|body| body.len() == 2 * SHORT)?;
    let digit = |byte: u8| DIGITS.iter().position(|known| *known == byte);
    let add = |number: u64, byte: u8| Some(number * 62 + u64::try_from(digit(byte)?).ok()?);
    body.bytes().take(SHORT).try_fold(0, add).map(Revision)
}

/// An API key as an actor.
pub(crate) fn of_caller(caller: &Caller) -> String {
    format!("{KEY}{}", caller.id)
}

/// The body of an environment's or space's id. A client takes a space's id with `env` in it for an environment's.
fn place(scope: &Scope) -> String {
    let bodies = (0..).map(|attempt: u32| {
        let space = scope.space.as_ref().map_or("", SpaceName::as_str);
        hashed(&["place", scope.environment.as_str(), space, &attempt.to_string()], SHORT)
    });
    bodies.into_iter().find(|body| !body.to_ascii_lowercase().contains("env")).unwrap_or_default()
}

fn hashed(parts: &[&str], length: usize) -> String {
    let parts: Vec<&[u8]> = ["flatfile"].iter().chain(parts).map(|part| part.as_bytes()).collect();
    in_base_62(u128::from_be_bytes(derive_id(&parts)), length)
}

/// The last digits of a number.
fn in_base_62(mut number: u128, length: usize) -> String {
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn has_form(id: &str, prefix: &str, length: usize) -> bool {
        id.strip_prefix(prefix)
            .is_some_and(|body| body.len() == length && body.bytes().all(|b| b.is_ascii_alphanumeric()))
    }

    #[test]
    fn ids_have_the_protocols_form_and_stay_as_they_are() {
        let environment: EnvironmentName = "default".parse().unwrap();
        let space: SpaceName = "acme".parse().unwrap();
        let scope = Scope { environment: environment.clone(), space: Some(space.clone()) };
        let secret = of_secret(&scope, &"SLACK_TOKEN".parse().unwrap());
        assert_eq!(of_environment(&environment), of_environment(&environment));
        assert!(has_form(&of_environment(&environment), "us_env_", 8));
        assert!(has_form(&of_space(&environment, &space), "us_sp_", 8));
        assert!(has_form(&secret, "us_sec_", 24));
        assert!(has_form(ACCOUNT, "us_acc_", 8));
        assert!(is_of_secret_in(&secret, &scope));
        assert!(!is_of_secret_in(&secret, &Scope::environment(environment.clone())));
        let id = of_space(&environment, &space);
        assert_eq!(space_of_secret(&secret).as_ref(), Some(&id));
        assert_eq!(space_of_secret(&format!("{SECRET}1234567é{}", "x".repeat(15))), None);
        assert!(is_of_space(&id) && !is_of_space(&of_environment(&environment)));
        assert!(!is_of_space(&format!("{id}x")) && !is_of_space("us_sp_1234567!"));
    }

    #[test]
    fn ids_differ_and_no_space_is_taken_for_an_environment() {
        let environments: Vec<EnvironmentName> = ["default", "production"].map(|name| name.parse().unwrap()).into();
        let mut seen = HashSet::new();
        for (environment, number) in environments.iter().flat_map(|known| (0..20_000).map(move |n| (known, n))) {
            let id = of_space(environment, &format!("space {number}").parse().unwrap());
            assert!(!id.to_ascii_lowercase().contains("env"), "{id}");
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn an_events_id_tells_its_revision() {
        let environment: EnvironmentName = "default".parse().unwrap();
        for revision in [1, 61, 62, 218_340_105_584_895] {
            let id = of_event(&environment, "an id", Revision(revision));
            assert!(has_form(&id, "us_evt_", 16), "{id}");
            assert_eq!(revision_of_event(&id), Some(Revision(revision)));
            assert_ne!(id, of_event(&environment, "another", Revision(revision)));
        }
        for bad in
            ["", "us_evt_", "us_evt_1", "us_evt_0000!0000000000a", "us_evt_é12345678901234", "us_sp_0000000000000000"]
        {
            assert_eq!(revision_of_event(bad), None, "{bad}");
        }
    }
}
