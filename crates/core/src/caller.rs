//! Who calls, and what they may do.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{EnvironmentName, EventName, FunctionId, Pattern, SecretName, SpaceName};

/// A set of permissions with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything on the management plane, in all environments. Never receives a value.
    Admin,
    /// Spaces, secrets, events and runs of its environment. Never receives a value.
    Operator,
    /// Registers functions and receives jobs with declared secrets, sees environments and spaces. Cannot set or list
    /// secrets.
    Runtime,
    /// Names, metadata, redacted views.
    Viewer,
    /// The event patterns named at creation and nothing else.
    Subscriber,
}

/// Not one of the five roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of admin, operator, runtime, viewer, subscriber")]
pub struct UnknownRole;

/// One thing a caller may do. Closed; shared by API, command line and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// List and create environments.
    EnvironmentCreate,
    /// See environments.
    EnvironmentList,
    /// Create, change and delete spaces.
    SpaceWrite,
    /// See spaces and their metadata.
    SpaceList,
    /// Create and revoke API keys.
    ApiKeyWrite,
    /// See API keys (never their secret part).
    ApiKeyList,
    /// Set, rotate, delete secrets.
    SecretWrite,
    /// See secrets' names and metadata.
    SecretList,
    /// Receive values of declared secrets.
    SecretReceive,
    /// Emit events.
    EventEmit,
    /// Receive events, bounded by the caller's patterns if it has any.
    EventSubscribe,
    /// Register functions and receive jobs.
    FunctionServe,
    /// See functions.
    FunctionList,
    /// See runs in their redacted views.
    RunList,
    /// Cancel runs.
    RunCancel,
    /// See audit entries.
    AuditList,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Permission; 16] = [
        Permission::EnvironmentCreate,
        Permission::EnvironmentList,
        Permission::SpaceWrite,
        Permission::SpaceList,
        Permission::ApiKeyWrite,
        Permission::ApiKeyList,
        Permission::SecretWrite,
        Permission::SecretList,
        Permission::SecretReceive,
        Permission::EventEmit,
        Permission::EventSubscribe,
        Permission::FunctionServe,
        Permission::FunctionList,
        Permission::RunList,
        Permission::RunCancel,
        Permission::AuditList,
    ];
}

impl Role {
    /// Every role, mightiest first.
    pub const ALL: [Role; 5] = [Role::Admin, Role::Operator, Role::Runtime, Role::Viewer, Role::Subscriber];

    /// The role's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Runtime => "runtime",
            Role::Viewer => "viewer",
            Role::Subscriber => "subscriber",
        }
    }

    /// Whether the role has a permission. What is not listed is denied.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Role::Admin => !matches!(permission, P::SecretReceive | P::FunctionServe),
            Role::Operator => matches!(
                permission,
                P::EnvironmentList
                    | P::SpaceWrite
                    | P::SpaceList
                    | P::SecretWrite
                    | P::SecretList
                    | P::EventEmit
                    | P::EventSubscribe
                    | P::FunctionList
                    | P::RunList
                    | P::RunCancel
                    | P::AuditList
            ),
            Role::Runtime => matches!(
                permission,
                P::EnvironmentList
                    | P::SpaceList
                    | P::SecretReceive
                    | P::FunctionServe
                    | P::EventEmit
                    | P::EventSubscribe
            ),
            Role::Viewer => matches!(
                permission,
                P::EnvironmentList | P::SpaceList | P::SecretList | P::FunctionList | P::RunList | P::EventSubscribe
            ),
            Role::Subscriber => matches!(permission, P::EventSubscribe),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Which environments a caller reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every environment.
    All,
    /// One.
    One(EnvironmentName),
}

/// What narrows a role. An empty list of secrets or events means none; `None` for functions or spaces means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Runtime: name patterns (`*` matches any run of characters) of the secrets it may receive.
    pub secrets: Vec<String>,
    /// Runtime: the functions it may serve.
    pub functions: Option<Vec<FunctionId>>,
    /// Runtime: the spaces it is for, and not the environment itself, which it sees only through what they inherit; `None`
    /// for the environment and all its spaces. A space need not exist.
    pub spaces: Option<Vec<SpaceName>>,
    /// Subscriber: the patterns it may subscribe to.
    pub events: Vec<Pattern>,
    /// Subscriber: the exact browser origins it may be used from; empty means any.
    pub origins: Vec<String>,
}

/// Who makes this call, with what they may do in it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The API key's id, or `system` for the engine itself.
    pub id: Arc<str>,
    /// Its role.
    pub role: Role,
    /// Its environments.
    pub reach: Reach,
    /// What narrows the role.
    pub bounds: Arc<Bounds>,
}

impl Caller {
    /// Whether the caller may do this at all in this environment.
    #[must_use]
    pub fn may(&self, permission: Permission, environment: &EnvironmentName) -> bool {
        self.reaches(environment) && self.role.may(permission)
    }

    /// Whether the caller may know of the environment.
    #[must_use]
    pub fn reaches(&self, environment: &EnvironmentName) -> bool {
        match &self.reach {
            Reach::All => true,
            Reach::One(own) => own == environment,
        }
    }

    /// Whether the caller may act in a space of an environment it reaches, or with `None` in the environment itself: a
    /// caller that is narrowed to spaces only in those.
    #[must_use]
    pub fn reaches_space(&self, space: Option<&SpaceName>) -> bool {
        match &self.bounds.spaces {
            None => true,
            Some(own) => space.is_some_and(|space| own.contains(space)),
        }
    }

    /// Whether the caller may receive a secret of this name.
    #[must_use]
    pub fn may_receive(&self, name: &SecretName) -> bool {
        self.role.may(Permission::SecretReceive)
            && self.bounds.secrets.iter().any(|pattern| glob_matches(pattern, name.as_str()))
    }

    /// Whether the caller may serve a function.
    #[must_use]
    pub fn may_serve(&self, function: &FunctionId) -> bool {
        self.role.may(Permission::FunctionServe)
            && self.bounds.functions.as_ref().is_none_or(|allowed| allowed.contains(function))
    }

    /// Whether the caller may subscribe to a pattern: a subscriber only to what its own patterns cover.
    #[must_use]
    pub fn may_subscribe(&self, pattern: &Pattern) -> bool {
        match self.role {
            Role::Subscriber => self.bounds.events.iter().any(|allowed| allowed.covers(pattern)),
            role => role.may(Permission::EventSubscribe),
        }
    }

    /// Whether the caller may emit an event of this name: never one of the system's.
    #[must_use]
    pub fn may_emit(&self, name: &EventName) -> bool {
        !name.is_system() && self.role.may(Permission::EventEmit)
    }
}

/// `*` stands for any run of characters, everything else for itself.
fn glob_matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "ANY", true),
            ("SLACK_*", "SLACK_TOKEN", true),
            ("SLACK_*", "XSLACK_TOKEN", false),
            ("*_KEY", "STRIPE_KEY", true),
            ("*_KEY", "STRIPE_KEY2", false),
            ("A*B*C", "AxxByyC", true),
            ("A*A", "A", false),
            ("EXACT", "EXACT", true),
            ("EXACT", "EXACTLY", false),
            ("", "A", false),
        ] {
            assert_eq!(glob_matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn no_management_role_receives_a_value() {
        for role in [Role::Admin, Role::Operator, Role::Viewer, Role::Subscriber] {
            assert!(!role.may(Permission::SecretReceive), "{role}");
            assert!(!role.may(Permission::FunctionServe), "{role}");
        }
        for permission in [Permission::SecretWrite, Permission::SecretList, Permission::AuditList] {
            assert!(!Role::Runtime.may(permission));
            assert!(!Role::Subscriber.may(permission));
        }
    }

    fn caller(spaces: Option<&[&str]>) -> Caller {
        let spaces = spaces.map(|names| names.iter().map(|name| name.parse().unwrap()).collect());
        let bounds = Arc::new(Bounds { spaces, ..Bounds::default() });
        Caller { id: "key".into(), role: Role::Runtime, reach: Reach::All, bounds }
    }

    #[test]
    fn a_caller_that_is_narrowed_to_spaces_reaches_those_and_nothing_else() {
        let spaces: Vec<SpaceName> = ["acme", "Acme", "acme2", "*"].map(|name| name.parse().unwrap()).into();
        let reached = |caller: &Caller| -> Vec<bool> {
            [None].into_iter().chain(spaces.iter().map(Some)).map(|space| caller.reaches_space(space)).collect()
        };
        assert_eq!(reached(&caller(None)), [true; 5], "not narrowed");
        assert_eq!(reached(&caller(Some(&["acme"]))), [false, true, false, false, false]);
        assert_eq!(reached(&caller(Some(&["acme2", "acme"]))), [false, true, false, true, false]);
        assert_eq!(reached(&caller(Some(&["*"]))), [false, false, false, false, true], "a name, not a pattern");
        assert_eq!(reached(&caller(Some(&[]))), [false; 5], "narrowed to nothing");
    }

    #[test]
    fn who_may_see_and_change_spaces() {
        for (role, list, write) in [
            (Role::Admin, true, true),
            (Role::Operator, true, true),
            (Role::Runtime, true, false),
            (Role::Viewer, true, false),
            (Role::Subscriber, false, false),
        ] {
            let may = (role.may(Permission::SpaceList), role.may(Permission::SpaceWrite));
            assert_eq!(may, (list, write), "{role}");
            assert_eq!(role.may(Permission::EnvironmentList), list, "{role}");
        }
    }
}
