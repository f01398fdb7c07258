//! What is to be seen in a scope: its own secrets, and in a space those of the environment too.

use claviger_core::{Caller, Permission, Scope, SecretName, Verdict};
use claviger_store::Entry;

use super::{SecretMetadata, Vault, fold};
use crate::{Error, Page, page::checked};

/// A secret as it is seen from a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSecret {
    /// Its metadata, where it stands: an inherited one is the environment's.
    pub secret: SecretMetadata,
    /// How the scope came to it.
    pub origin: Origin,
}

/// How a scope came to a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It is the scope's own, and no other scope around it has one of that name.
    Own,
    /// It is the environment's; the space says nothing.
    Inherited,
    /// It is the space's own, in place of the environment's.
    Overridden,
    /// The space refuses the name, whether or not the environment has it.
    Blocked,
}

impl Origin {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Inherited => "inherited",
            Origin::Overridden => "overridden",
            Origin::Blocked => "blocked",
        }
    }
}

impl Vault {
    /// A secret's metadata as it is seen from a scope: of a space its own, or else the environment's. This server never
    /// answers with an older one than it did before, nor than it was told by the store; what another server was told of may
    /// take a moment to come here.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::SecretNotFound`],
    /// [`Error::Corrupt`], [`Error::RecordsLost`], and what the store says.
    pub async fn describe(&self, caller: &Caller, scope: &Scope, name: &SecretName) -> Result<ListedSecret, Error> {
        self.access.authorize_in(caller, Permission::SecretList, scope).await?;
        let own = self.visible(scope, name).await?;
        let outer = match outer(scope) {
            Some(outer) => self.visible(&outer, name).await?,
            None => None,
        };
        match (own, outer) {
            (Some(own), outer) => Ok(listed(own, outer.is_some())),
            (None, Some(outer)) => Ok(inherited(outer)),
            (None, None) => Err(Error::SecretNotFound),
        }
    }

    /// The secrets to be seen from a scope, in the order of their names' bytes, after a name: in a space its own, the
    /// names it blocks, and what it inherits, one item for each name. At most 1,000 at a time; `next` is the name to go on
    /// after. Whatever this server had written or seen before the call is in the list.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::Corrupt`] when one of the
    /// secrets is damaged, [`Error::RecordsLost`], [`Error::TimedOut`] when the list is more than 2 s behind, and what the
    /// store says.
    pub async fn list(
        &self,
        caller: &Caller,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ListedSecret>, Error> {
        self.access.authorize_in(caller, Permission::SecretList, scope).await?;
        let limit = checked(limit)?;
        self.reflect_everything().await?;
        // Of each scope as many as the page can need: nothing in it comes behind the last of both.
        let own = self.scan(scope, after, limit + 1).await?;
        let outer = match outer(scope) {
            Some(outer) => self.scan(&outer, after, limit + 1).await?,
            None => Vec::new(),
        };
        Ok(Page::cut(merge(own, outer), limit, |item| item.secret.secret.name.to_string()))
    }

    /// What stands in the index of one scope alone.
    pub(super) async fn scan(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SecretMetadata>, Error> {
        let found = self.scan_each(scope, after, limit).await?;
        found.into_iter().map(|(_, read)| read).collect()
    }

    /// The same with the names, and with each damaged secret as an error of its own. What stands for the name of one may be
    /// a hash.
    pub(super) async fn scan_each(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Result<SecretMetadata, Error>)>, Error> {
        let prefix = fold::prefix(scope);
        let after = after.map(|name| format!("{prefix}{name}")).unwrap_or_default();
        let entries = self.shared.index.scan(fold::NAME, &prefix, &after, limit).await?;
        let named = |entry: Entry| (entry.key[prefix.len()..].to_owned(), fold::read(&entry.value));
        Ok(entries.into_iter().map(named).collect())
    }

    /// What one scope alone has to say about a name.
    async fn visible(&self, scope: &Scope, name: &SecretName) -> Result<Option<SecretMetadata>, Error> {
        let read = self.fetch(scope, name).await?.filter(|read| read.stored.secret.verdict().decides());
        Ok(read.map(|read| SecretMetadata::from(&*read)))
    }
}

/// The scope that a space inherits from.
fn outer(scope: &Scope) -> Option<Scope> {
    scope.space.is_some().then(|| Scope::environment(scope.environment.clone()))
}

/// Puts together what a scope has with what it inherits, both in the order of their names.
fn merge(own: Vec<SecretMetadata>, outer: Vec<SecretMetadata>) -> Vec<ListedSecret> {
    let mut merged = Vec::with_capacity(own.len() + outer.len());
    let mut outer = outer.into_iter().peekable();
    for own in own {
        while let Some(before) = outer.next_if(|outer| outer.secret.name < own.secret.name) {
            merged.push(inherited(before));
        }
        let is_inherited_too = outer.next_if(|outer| outer.secret.name == own.secret.name).is_some();
        merged.push(listed(own, is_inherited_too));
    }
    merged.extend(outer.map(inherited));
    merged
}

fn listed(own: SecretMetadata, is_inherited_too: bool) -> ListedSecret {
    let origin = match own.secret.verdict() {
        Verdict::Blocked => Origin::Blocked,
        _ if is_inherited_too => Origin::Overridden,
        _ => Origin::Own,
    };
    ListedSecret { secret: own, origin }
}

fn inherited(secret: SecretMetadata) -> ListedSecret {
    ListedSecret { secret, origin: Origin::Inherited }
}
