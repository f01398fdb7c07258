//! What a name means in a scope: the rules of `claviger_core::resolve`, over the records.

use std::{collections::HashMap, sync::Arc};

use claviger_core::{
    Caller, Permission, Resolution, Revision, Scope, SecretName, Timestamp, Verdict, resolve_among,
    secret::SecretVersion,
};

use super::Vault;
use crate::{Error, record::secret::StoredSecret};

/// Why a name means what it means. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The scopes that were tried, the innermost first, ending with the one that decided.
    pub trail: Vec<TrailEntry>,
    /// The scope and version that won; `None` when nothing is served.
    pub found: Option<(Scope, u64)>,
}

/// What one scope has to say about a name, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEntry {
    /// The scope.
    pub scope: Scope,
    /// What it says.
    pub verdict: Verdict,
    /// When it began to say so; `None` when it never said anything else.
    pub since: Option<Timestamp>,
    /// Who made it say so.
    pub by: Option<Arc<str>>,
    /// The revision of that change.
    pub revision: Option<Revision>,
}

/// A version that won, and its record.
pub(super) type Found = (SecretVersion, Arc<StoredSecret>);

/// What a name means, with the records that say so.
pub(super) struct Resolved {
    resolution: Resolution,
    /// One for each scope of the trail; `None` where nothing was ever written.
    records: Vec<Option<Arc<StoredSecret>>>,
}

impl Resolved {
    /// The spaces that once said something about the name, and now let a value show that is not theirs.
    fn passed_over(&self) -> impl Iterator<Item = &Scope> {
        let before = if self.resolution.found.is_some() { self.records.len() - 1 } else { 0 };
        let tried = self.resolution.trail.iter().zip(&self.records).take(before);
        tried.filter(|(tried, read)| tried.scope.space.is_some() && read.is_some()).map(|(tried, _)| &tried.scope)
    }

    /// The version that won, and its record.
    fn into_found(mut self) -> Option<Found> {
        let (scope, version) = self.resolution.found?;
        // Who wins was asked last.
        let read = self.records.pop().flatten()?;
        Some((SecretVersion { name: read.stored.secret.name.clone(), version, space: scope.space }, read))
    }

    fn explain(self) -> Explanation {
        let entry = |(tried, read): (claviger_core::Tried, &Option<Arc<StoredSecret>>)| {
            // Every change is about what is served, so the last one is the one that made it so.
            let last = read.as_ref().map(|read| &read.stored);
            TrailEntry {
                scope: tried.scope,
                verdict: tried.verdict,
                since: last.map(|stored| stored.secret.updated_at),
                by: last.map(|stored| stored.secret.updated_by.clone()),
                revision: last.map(|stored| stored.changed),
            }
        };
        let trail = self.resolution.trail.into_iter().zip(&self.records).map(entry).collect();
        Explanation { trail, found: self.resolution.found }
    }
}

impl Vault {
    /// Why a name means what it means in a scope: which scopes were tried, and which won. Also for a name that means
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::Corrupt`],
    /// [`Error::RecordsLost`], and what the store says.
    pub async fn explain(&self, caller: &Caller, scope: &Scope, name: &SecretName) -> Result<Explanation, Error> {
        self.access.authorize_in(caller, Permission::SecretList, scope).await?;
        Ok(self.resolve(&scope.chain(), name).await?.explain())
    }

    /// Whether a name means a value in a scope. For the engine's own use: no caller learns of it.
    pub(crate) async fn is_set(&self, scope: &Scope, name: &SecretName) -> Result<bool, Error> {
        let chain = self.chain(scope).await?;
        let resolved = vec![self.resolve(&chain, name).await?];
        Ok(self.found(resolved).await?.iter().any(Option::is_some))
    }

    /// The scopes that a look-up from here asks, the innermost first. None for a space that does not exist: it has no
    /// secrets, not even those of its environment, since what it blocked was deleted with it.
    pub(super) async fn chain(&self, from: &Scope) -> Result<Vec<Scope>, Error> {
        Ok(if self.exists(from).await? { from.chain() } else { Vec::new() })
    }

    /// What may be handed over of what names mean: nothing that shows through a space which is gone.
    ///
    /// The blocks of a space are lifted when it is deleted, after that. Where that was heard of before the deletion was, it
    /// looks as if somebody had lifted them. So a space that once said something about a name and says nothing now is looked
    /// at again, after its records were read: as it is once everything is known that was acknowledged before.
    pub(super) async fn found(&self, resolved: Vec<Resolved>) -> Result<Vec<Option<Found>>, Error> {
        let mut looked_at: HashMap<Scope, bool> = HashMap::new();
        for scope in resolved.iter().flat_map(Resolved::passed_over) {
            if !looked_at.contains_key(scope) {
                looked_at.insert(scope.clone(), self.access.surely_has(scope).await?);
            }
        }
        let found = |resolved: Resolved| {
            let is_gone = resolved.passed_over().any(|scope| looked_at.get(scope) == Some(&false));
            if is_gone { None } else { resolved.into_found() }
        };
        Ok(resolved.into_iter().map(found).collect())
    }

    /// What a name means in these scopes. Asks none behind the one that decides.
    pub(super) async fn resolve(&self, scopes: &[Scope], name: &SecretName) -> Result<Resolved, Error> {
        let mut records = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let read = self.fetch(scope, name).await?;
            let decides = verdict(&read).decides();
            records.push(read);
            if decides {
                break;
            }
        }
        let mut verdicts = records.iter().map(verdict);
        let resolution = resolve_among(scopes, |_| verdicts.next().unwrap_or(Verdict::Missing));
        drop(verdicts);
        Ok(Resolved { resolution, records })
    }

    /// Whether there is such a scope in its environment.
    pub(super) async fn exists(&self, scope: &Scope) -> Result<bool, Error> {
        match &scope.space {
            Some(space) => Ok(self.access.live_space(&scope.environment, space).await?.is_some()),
            None => Ok(true),
        }
    }
}

fn verdict(read: &Option<Arc<StoredSecret>>) -> Verdict {
    read.as_ref().map_or(Verdict::Missing, |read| read.stored.secret.verdict())
}
