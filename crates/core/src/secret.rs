//! A secret's life: what a change makes of it.

use std::sync::Arc;

use crate::{Revision, Scope, SecretName, SpaceName, Timestamp, Verdict};

/// Versions whose envelopes are kept, the active one included; older ones are erased.
pub const KEPT_VERSIONS: usize = 10;

/// A version that is still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1, never used again.
    pub number: u64,
    /// When it was set.
    pub created_at: Timestamp,
    /// The caller that set it.
    pub created_by: Arc<str>,
    /// The record that holds its envelope; `None` for the version of the record at hand.
    pub revision: Option<Revision>,
}

/// Which value it was, of all there are in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretVersion {
    /// The secret's name.
    pub name: SecretName,
    /// The version.
    pub version: u64,
    /// Where the value lives: a space, or `None` for the environment itself.
    pub space: Option<SpaceName>,
}

/// Everything about a secret but its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// Where it lives.
    pub scope: Scope,
    /// What people wrote about it.
    pub description: Option<String>,
    /// The highest version ever given out.
    pub latest: u64,
    /// The version served; `None` when deleted or blocked.
    pub active: Option<u64>,
    /// The space refuses the name: nothing is served there, also not what it would inherit. Never with an active version,
    /// and never in an environment itself.
    pub blocked: bool,
    /// The kept versions, oldest first.
    pub versions: Vec<Version>,
    /// When it was first set, or set again after a delete or a block; of a blocked name, when it was blocked.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who last changed it.
    pub updated_by: Arc<str>,
    /// Accepted although too short to be masked.
    pub unmaskable: bool,
}

impl Secret {
    /// What its scope has to say about the name.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.active {
            Some(version) => Verdict::Value(version),
            None if self.blocked => Verdict::Blocked,
            None => Verdict::Missing,
        }
    }
}

/// What a change was, as its event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It has a value now and had none before.
    Created,
    /// It has another value now.
    Updated,
    /// It is no longer served.
    Deleted,
    /// Its space refuses the name now.
    Blocked,
    /// Its space no longer refuses the name.
    Unblocked,
}

impl Action {
    /// The last segment of the event's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Deleted => "deleted",
            Action::Blocked => "blocked",
            Action::Unblocked => "unblocked",
        }
    }
}

/// A change somebody asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// Add a version and make it active. Lifts a block.
    Set {
        /// The new description; `None` keeps the present one.
        description: Option<String>,
        /// Whether the value is too short to be masked and was accepted all the same.
        unmaskable: bool,
    },
    /// Stop serving it.
    Delete,
    /// Refuse the name in a space, and stop serving what the space has of it.
    Block,
    /// Refuse the name no longer.
    Unblock,
}

/// Who changes, and when.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The caller.
    pub by: Arc<str>,
    /// The instant.
    pub at: Timestamp,
}

/// What comes of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The secret as it is then.
    pub secret: Secret,
    /// What the event says.
    pub action: Action,
    /// Records whose versions are no longer kept.
    pub erase: Vec<Revision>,
}

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to delete.
    #[error("the secret is not set")]
    NotSet,
    /// An environment's own scope blocks nothing.
    #[error("only a space blocks a name")]
    NotInSpace,
    /// It is blocked already: there is nothing to change.
    #[error("the name is blocked already")]
    IsBlocked,
    /// There is nothing to unblock.
    #[error("the name is not blocked")]
    NotBlocked,
    /// Compare-and-set: the caller expected another revision.
    #[error("the secret's revision is {current}, not the expected one")]
    Conflict {
        /// The revision of the last change; zero when neither set nor blocked.
        current: Revision,
    },
}

/// A secret as stored: its state, and the revisions that guard it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The state.
    pub secret: Secret,
    /// The revision of the last *change*: what people see and compare.
    pub changed: Revision,
    /// The revision of the last record, maintenance included: what the append is guarded by.
    pub last: Revision,
}

/// Checks the revision a caller expects: that of the last change, or zero for "neither set nor blocked".
///
/// # Errors
/// [`Refused::Conflict`] naming the current revision.
pub fn check(current: Option<&Stored>, expected: Revision) -> Result<(), Refused> {
    let revision = present(current).map_or(Revision::ZERO, |stored| stored.changed);
    if revision == expected { Ok(()) } else { Err(Refused::Conflict { current: revision }) }
}

/// What a change makes of a secret.
///
/// # Errors
/// [`Refused::NotSet`] for a delete of what is not set, [`Refused::NotInSpace`] for a block in an environment itself,
/// [`Refused::IsBlocked`] for a block of what is blocked, [`Refused::NotBlocked`] for an unblock of what is not.
pub fn apply(
    (name, scope): (&SecretName, &Scope),
    current: Option<&Stored>,
    change: Change,
    stamp: &Stamp,
) -> Result<Changed, Refused> {
    match change {
        Change::Set { description, unmaskable } => Ok(set((name, scope), current, description, unmaskable, stamp)),
        Change::Delete => delete(current, stamp),
        Change::Block | Change::Unblock if scope.space.is_none() => Err(Refused::NotInSpace),
        Change::Block => block((name, scope), current, stamp),
        Change::Unblock => unblock(current, stamp),
    }
}

/// A secret of which there is something to be seen: it is set, or blocked.
fn present(current: Option<&Stored>) -> Option<&Stored> {
    current.filter(|stored| stored.secret.verdict() != Verdict::Missing)
}

fn set(
    (name, scope): (&SecretName, &Scope),
    current: Option<&Stored>,
    description: Option<String>,
    unmaskable: bool,
    stamp: &Stamp,
) -> Changed {
    let live = current.filter(|stored| stored.secret.active.is_some());
    let number = current.map_or(0, |stored| stored.secret.latest) + 1;
    let mut versions = current.map(known_versions).unwrap_or_default();
    versions.push(Version { number, created_at: stamp.at, created_by: stamp.by.clone(), revision: None });
    let surplus = versions.len().saturating_sub(KEPT_VERSIONS);
    let erase = versions.drain(..surplus).filter_map(|version| version.revision).collect();
    let secret = Secret {
        name: name.clone(),
        scope: scope.clone(),
        description: description.or_else(|| described(current)),
        latest: number,
        active: Some(number),
        blocked: false,
        versions,
        created_at: live.map_or(stamp.at, |stored| stored.secret.created_at),
        updated_at: stamp.at,
        updated_by: stamp.by.clone(),
        unmaskable,
    };
    let action = if live.is_some() { Action::Updated } else { Action::Created };
    Changed { secret, action, erase }
}

fn delete(current: Option<&Stored>, stamp: &Stamp) -> Result<Changed, Refused> {
    let live = current.filter(|stored| stored.secret.active.is_some()).ok_or(Refused::NotSet)?;
    Ok(Changed { secret: without_value(live, stamp), action: Action::Deleted, erase: Vec::new() })
}

fn block((name, scope): (&SecretName, &Scope), current: Option<&Stored>, stamp: &Stamp) -> Result<Changed, Refused> {
    if current.is_some_and(|stored| stored.secret.blocked) {
        return Err(Refused::IsBlocked);
    }
    let secret = Secret {
        name: name.clone(),
        scope: scope.clone(),
        description: described(current),
        latest: current.map_or(0, |stored| stored.secret.latest),
        active: None,
        blocked: true,
        versions: current.map(known_versions).unwrap_or_default(),
        created_at: stamp.at,
        updated_at: stamp.at,
        updated_by: stamp.by.clone(),
        unmaskable: false,
    };
    Ok(Changed { secret, action: Action::Blocked, erase: Vec::new() })
}

fn unblock(current: Option<&Stored>, stamp: &Stamp) -> Result<Changed, Refused> {
    let blocked = current.filter(|stored| stored.secret.blocked).ok_or(Refused::NotBlocked)?;
    Ok(Changed { secret: without_value(blocked, stamp), action: Action::Unblocked, erase: Vec::new() })
}

/// The secret when its scope has nothing to say about the name any more. Its versions stay, and the count goes on.
fn without_value(stored: &Stored, stamp: &Stamp) -> Secret {
    Secret {
        active: None,
        blocked: false,
        versions: known_versions(stored),
        updated_at: stamp.at,
        updated_by: stamp.by.clone(),
        ..stored.secret.clone()
    }
}

/// What people wrote about a secret that is to be seen. What a delete took away does not come back.
fn described(current: Option<&Stored>) -> Option<String> {
    present(current).and_then(|stored| stored.secret.description.clone())
}

/// The kept versions, each with the record that holds it.
fn known_versions(stored: &Stored) -> Vec<Version> {
    let fill = |version: &Version| Version { revision: version.revision.or(Some(stored.last)), ..version.clone() };
    stored.secret.versions.iter().map(fill).collect()
}
