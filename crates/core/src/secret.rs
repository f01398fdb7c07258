//! A secret's life: what a change makes of it.

use std::sync::Arc;

use crate::{Revision, Scope, SecretName, Timestamp};

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
    /// The version served; `None` when deleted.
    pub active: Option<u64>,
    /// The kept versions, oldest first.
    pub versions: Vec<Version>,
    /// Set when it was first set, or set again after a delete.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who last changed it.
    pub updated_by: Arc<str>,
    /// Accepted although too short to be masked.
    pub unmaskable: bool,
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
}

impl Action {
    /// The last segment of the event's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Deleted => "deleted",
        }
    }
}

/// A change somebody asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// Add a version and make it active.
    Set {
        /// The new description; `None` keeps the present one.
        description: Option<String>,
        /// Whether the value is too short to be masked and was accepted all the same.
        unmaskable: bool,
    },
    /// Stop serving it.
    Delete,
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
    /// Compare-and-set: the caller expected another revision.
    #[error("the secret's revision is {current}, not the expected one")]
    Conflict {
        /// The revision of the last change; zero when not set.
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

/// Checks the revision a caller expects: that of the last change, or zero for "not set".
///
/// # Errors
/// [`Refused::Conflict`] naming the current revision.
pub fn check(current: Option<&Stored>, expected: Revision) -> Result<(), Refused> {
    let live = current.filter(|stored| stored.secret.active.is_some());
    let revision = live.map_or(Revision::ZERO, |stored| stored.changed);
    if revision == expected { Ok(()) } else { Err(Refused::Conflict { current: revision }) }
}

/// What a change makes of a secret.
///
/// # Errors
/// [`Refused::NotSet`] for a delete of what is not set.
pub fn apply(
    (name, scope): (&SecretName, &Scope),
    current: Option<&Stored>,
    change: Change,
    stamp: &Stamp,
) -> Result<Changed, Refused> {
    match change {
        Change::Set { description, unmaskable } => Ok(set((name, scope), current, description, unmaskable, stamp)),
        Change::Delete => delete(current, stamp),
    }
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
        description: description.or_else(|| live.and_then(|stored| stored.secret.description.clone())),
        latest: number,
        active: Some(number),
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
    let secret = Secret {
        active: None,
        versions: known_versions(live),
        updated_at: stamp.at,
        updated_by: stamp.by.clone(),
        ..live.secret.clone()
    };
    Ok(Changed { secret, action: Action::Deleted, erase: Vec::new() })
}

/// The kept versions, each with the record that holds it.
fn known_versions(stored: &Stored) -> Vec<Version> {
    let fill = |version: &Version| Version { revision: version.revision.or(Some(stored.last)), ..version.clone() };
    stored.secret.versions.iter().map(fill).collect()
}
