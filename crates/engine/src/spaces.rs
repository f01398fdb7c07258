//! Spaces: scopes within an environment, whose own secrets override the environment's.
//!
//! What there is of spaces is in the access stream, one subject each, and in the memory of every server: see [`access`].
//!
//! A deleted space is gone with one record; its secrets are deleted after that, one by one. What a crash leaves of them is
//! nobody's, because there is no such space: whoever deletes it again, or creates one of that name, removes it first.
//!
//! [`access`]: crate::access

use std::sync::Arc;

use claviger_core::{Caller, EnvironmentName, Permission, Revision, Scope, SpaceName, Timestamp};
use claviger_store::{Expected, Stream};
use serde_json::value::RawValue;

use crate::{
    Error, Page,
    access::{Access, KnownSpace},
    events::json,
    page::checked,
    record::space::{SpaceAction, StoredSpace},
    shared::Shared,
    vault::Vault,
};

/// Largest metadata of a space, in bytes of JSON text without white space between its tokens.
pub const MAX_METADATA_BYTES: usize = 8 * 1_024;

/// Creates, shows and deletes spaces.
pub struct Spaces {
    shared: Shared,
    access: Arc<Access>,
    vault: Arc<Vault>,
}

/// A space.
#[derive(Clone, Debug)]
pub struct Space {
    /// Its name.
    pub name: SpaceName,
    /// The environment it is in.
    pub environment: EnvironmentName,
    /// What people keep about it, for everybody who sees the space to read: a JSON object on one line.
    pub metadata: Box<RawValue>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: Arc<str>,
    /// When it was created or its metadata changed.
    pub updated_at: Timestamp,
    /// Who did that.
    pub updated_by: Arc<str>,
    /// The revision of the record that says so.
    pub revision: Revision,
}

/// A space to be created.
#[derive(Clone, Debug)]
pub struct NewSpace {
    /// Its name.
    pub name: SpaceName,
    /// A JSON object of at most 8 KiB. Nothing in it is secret.
    pub metadata: Box<RawValue>,
}

/// What a space is to be from now on.
#[derive(Clone, Debug)]
pub struct UpdateSpace {
    /// Takes the place of the present metadata: a JSON object of at most 8 KiB.
    pub metadata: Box<RawValue>,
    /// Only at this revision of the space.
    pub expected: Option<Revision>,
}

/// A space that was deleted.
#[derive(Clone, Debug)]
pub struct DeletedSpace {
    /// As it was, but for when and by whom it was deleted, and without its metadata.
    pub space: Space,
    /// How many secrets and blocks of its own went with it.
    pub secrets: usize,
}

impl Space {
    fn new(stored: &StoredSpace, revision: Revision) -> Space {
        Space {
            name: stored.name.clone(),
            environment: stored.environment.clone(),
            metadata: (*stored.metadata).to_owned(),
            created_at: stored.created_at,
            created_by: stored.created_by.clone(),
            updated_at: stored.updated_at,
            updated_by: stored.updated_by.clone(),
            revision,
        }
    }
}

impl From<&KnownSpace> for Space {
    fn from(known: &KnownSpace) -> Space {
        Space::new(&known.stored, known.last)
    }
}

impl Spaces {
    pub(crate) fn new(shared: Shared, access: Arc<Access>, vault: Arc<Vault>) -> Spaces {
        Spaces { shared, access, vault }
    }

    /// Creates a space. It has no secrets of its own, whatever one of that name had before.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceExists`], [`Error::Invalid`] and
    /// [`Error::BodyTooLarge`] for the metadata, [`Error::Corrupt`], [`Error::TimedOut`] when nobody can tell within five
    /// seconds whether there is one, and what the store says.
    pub async fn create(&self, caller: &Caller, environment: &EnvironmentName, new: NewSpace) -> Result<Space, Error> {
        self.access.authorize(caller, Permission::SpaceWrite, environment).await?;
        let (metadata, name) = (checked_metadata(&new.metadata)?, new.name);
        let scope = Scope { environment: environment.clone(), space: Some(name.clone()) };
        let mut former = self.access.settled_space(environment, &name).await?;
        loop {
            let expected = match &former {
                Some(known) if known.stored.is_live() => return Err(Error::SpaceExists),
                Some(deleted) => {
                    self.clear(caller, &scope, deleted.last).await?;
                    Expected::At(deleted.last)
                }
                None => Expected::Absent,
            };
            let now = self.shared.now();
            let stored = StoredSpace {
                environment: environment.clone(),
                name: name.clone(),
                action: SpaceAction::Created,
                metadata: metadata.clone(),
                created_at: now,
                created_by: caller.id.clone(),
                updated_at: now,
                updated_by: caller.id.clone(),
            };
            match self.store(stored, expected).await? {
                Attempt::Done(space) => return Ok(space),
                Attempt::Raced(present) => former = present,
            }
        }
    }

    /// The spaces of an environment that the caller reaches, in the order of their names' bytes, after a name. At most 1,000
    /// at a time; `next` is the name to go on after.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::Name`] when `after` is no name, [`Error::Invalid`] for the
    /// limit, [`Error::Corrupt`] when one of the spaces is damaged.
    pub async fn list(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Space>, Error> {
        self.access.authorize(caller, Permission::SpaceList, environment).await?;
        let limit = checked(limit)?;
        let after = after.map(str::parse::<SpaceName>).transpose()?;
        let known = self.access.known_spaces(caller, environment, after.as_ref(), limit + 1)?;
        let spaces = known.iter().map(|known| Space::from(&**known)).collect();
        Ok(Page::cut(spaces, limit, |space: &Space| space.name.to_string()))
    }

    /// A space.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`] when it is unknown or outside the caller's
    /// reach, [`Error::Corrupt`], and what the store says.
    pub async fn get(&self, caller: &Caller, environment: &EnvironmentName, name: &SpaceName) -> Result<Space, Error> {
        let scope = Scope { environment: environment.clone(), space: Some(name.clone()) };
        self.access.authorize_in(caller, Permission::SpaceList, &scope).await?;
        let known = self.access.live_space(environment, name).await?.ok_or(Error::SpaceNotFound)?;
        Ok(Space::from(&*known))
    }

    /// Replaces a space's metadata.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::RevisionConflict`],
    /// [`Error::Invalid`] and [`Error::BodyTooLarge`] for the metadata, [`Error::Corrupt`], [`Error::TimedOut`], and what
    /// the store says.
    pub async fn update(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        name: &SpaceName,
        update: UpdateSpace,
    ) -> Result<Space, Error> {
        self.access.authorize(caller, Permission::SpaceWrite, environment).await?;
        let metadata = checked_metadata(&update.metadata)?;
        let mut known = self.access.settled_space(environment, name).await?;
        loop {
            let present = known.filter(|known| known.stored.is_live()).ok_or(Error::SpaceNotFound)?;
            check(update.expected, present.last)?;
            let changed = StoredSpace { metadata: metadata.clone(), ..present.stored.clone() };
            match self.store_change(caller, changed, (SpaceAction::Updated, present.last)).await? {
                Attempt::Done(space) => return Ok(space),
                Attempt::Raced(present) => known = present,
            }
        }
    }

    /// Deletes a space, only at the expected revision if one is given, and then everything that it has of its own. A failure
    /// may leave some of that; deleting the space again removes the rest, whatever revision is expected.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`] also for one that was deleted and has
    /// nothing left, [`Error::RevisionConflict`], [`Error::Corrupt`], [`Error::TimedOut`], and what the store says.
    pub async fn delete(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        name: &SpaceName,
        expected: Option<Revision>,
    ) -> Result<DeletedSpace, Error> {
        self.access.authorize(caller, Permission::SpaceWrite, environment).await?;
        let scope = Scope { environment: environment.clone(), space: Some(name.clone()) };
        let mut known = self.access.settled_space(environment, name).await?;
        loop {
            let present = known.ok_or(Error::SpaceNotFound)?;
            if !present.stored.is_live() {
                let secrets = self.clear(caller, &scope, present.last).await?;
                let deleted = DeletedSpace { space: Space::from(&*present), secrets };
                return if secrets > 0 { Ok(deleted) } else { Err(Error::SpaceNotFound) };
            }
            check(expected, present.last)?;
            let change = (SpaceAction::Deleted, present.last);
            // It stays in the memory of every server, and nobody reads its metadata any more.
            let gone = StoredSpace { metadata: no_metadata(), ..present.stored.clone() };
            match self.store_change(caller, gone, change).await? {
                Attempt::Done(space) => {
                    let secrets = self.clear(caller, &scope, space.revision).await?;
                    return Ok(DeletedSpace { space, secrets });
                }
                Attempt::Raced(present) => known = present,
            }
        }
    }

    /// Waits until this server has heard of whatever was done to spaces before the call, by whichever server. Costs a round
    /// trip to the store where others write to it too, and nothing elsewhere.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after five seconds, [`Error::RecordsLost`], and what the store says.
    pub async fn catch_up(&self) -> Result<(), Error> {
        match self.shared.ledger.is_shared() {
            true => self.access.settle().await,
            false => Ok(()),
        }
    }

    /// Every space that this server has ever heard of, in the order in which it did, after the first so many: once each,
    /// deleted ones too. Looks into memory only, and at nobody's rights: for whoever derives something from the names.
    #[must_use]
    pub fn heard_of(&self, after: usize) -> Vec<Scope> {
        self.access.spaces_heard_of(after)
    }

    /// Stores a change of a space that there is.
    async fn store_change(
        &self,
        caller: &Caller,
        space: StoredSpace,
        (action, last): (SpaceAction, Revision),
    ) -> Result<Attempt, Error> {
        let stored = StoredSpace { action, updated_at: self.shared.now(), updated_by: caller.id.clone(), ..space };
        self.store(stored, Expected::At(last)).await
    }

    async fn store(&self, stored: StoredSpace, expected: Expected) -> Result<Attempt, Error> {
        match self.access.store_space(stored.clone(), expected).await {
            Ok(revision) => Ok(Attempt::Done(Space::new(&stored, revision))),
            Err(Error::Store(claviger_store::Error::Conflict { last })) => {
                self.access.read_space(&stored.environment, &stored.name, last).await.map(Attempt::Raced)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes what a space has left that was deleted with this record; answers how much that was.
    ///
    /// Somebody may create the space again meanwhile, and what is set in it then must stay. So first comes the end of what
    /// can be removed, then the proof that until then nobody had.
    async fn clear(&self, caller: &Caller, scope: &Scope, deleted: Revision) -> Result<usize, Error> {
        let Some(name) = &scope.space else { return Ok(0) };
        let until = self.shared.ledger.barrier(Stream::Secrets).await?;
        match self.access.settled_space(&scope.environment, name).await? {
            Some(known) if known.last == deleted => self.vault.clear(caller, scope, until).await,
            _ => Ok(0),
        }
    }
}

/// What came of an append.
enum Attempt {
    Done(Space),
    /// Somebody else wrote first: what is there now.
    Raced(Option<Arc<KnownSpace>>),
}

/// Refuses a change that somebody wanted at another revision.
fn check(expected: Option<Revision>, current: Revision) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != current => Err(Error::RevisionConflict { current }),
        _ => Ok(()),
    }
}

/// `{}`
fn no_metadata() -> Arc<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("it is JSON").into()
}

/// Checks the metadata of a space, and takes the white space between its tokens out.
fn checked_metadata(given: &RawValue) -> Result<Arc<RawValue>, Error> {
    let line = json::strip("the space's metadata", given.get())?;
    if !line.starts_with('{') {
        return Err(Error::invalid("the space's metadata is no JSON object"));
    }
    let (length, limit) = (line.len(), MAX_METADATA_BYTES);
    if length > limit {
        return Err(Error::BodyTooLarge { what: "a space's metadata", length, limit });
    }
    let raw = RawValue::from_string(line).map_err(|_| Error::Bug { what: "JSON without its white space is JSON" })?;
    Ok(raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: &str) -> Result<String, Error> {
        let given = RawValue::from_string(text.to_owned()).unwrap();
        checked_metadata(&given).map(|line| line.get().to_owned())
    }

    #[test]
    fn metadata_is_an_object_on_one_line() {
        assert_eq!(metadata(" {\n \"a b\" : [ 1.0, \" x \" ] } ").unwrap(), r#"{"a b":[1.0," x "]}"#);
        assert_eq!(metadata("{}").unwrap(), "{}");
        for given in ["null", "1", "\"{}\"", "[{}]", "true"] {
            assert_eq!(metadata(given).unwrap_err().code(), "invalid_request", "{given}");
        }
    }

    #[test]
    fn the_size_of_metadata_is_limited_without_its_white_space() {
        let of = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert_eq!(metadata(&of(MAX_METADATA_BYTES)).unwrap().len(), MAX_METADATA_BYTES);
        assert_eq!(metadata(&of(MAX_METADATA_BYTES + 1)).unwrap_err().code(), "body_too_large");
        assert_eq!(metadata(&format!("{{{}}}", " ".repeat(2 * MAX_METADATA_BYTES))).unwrap(), "{}");
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(metadata(&deep).unwrap_err().code(), "invalid_request");
    }
}
