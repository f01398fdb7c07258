//! Removing all that a space has, when it is deleted.

use std::sync::Arc;

use claviger_core::{
    Caller, Revision, Scope, SecretName,
    secret::{Action, Change, Changed, Secret},
};
use claviger_store::{Error as StoreError, Expected, Stream};
use futures_util::{StreamExt, stream};

use super::{SecretMetadata, Vault, change::Asked};
use crate::{
    Error,
    record::secret::{SecretForm, subject},
};

/// Secrets looked at at once.
const PAGE: usize = 256;

/// Secrets that are deleted at the same time.
const AT_ONCE: usize = 16;

impl Vault {
    /// Deletes every secret of a space and lifts every block, one by one, as far as they were last changed up to a revision;
    /// answers how many there were. What a crash or a failure leaves is removed when it is called again. Asks neither whether
    /// the caller may do that nor whether there is such a space: who calls it has seen to that.
    ///
    /// A damaged secret is deleted too, whatever it was: a space of that name could never be created again otherwise.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damaged record that tells no secret's name, [`Error::TimedOut`] when the list is more than
    /// 5 s behind, and what the store says.
    pub(crate) async fn clear(&self, caller: &Caller, scope: &Scope, until: Revision) -> Result<usize, Error> {
        self.reflect(until).await?;
        let (mut removed, mut after): (usize, Option<String>) = (0, None);
        loop {
            let page = self.scan_each(scope, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            after = Some(last.clone());
            let mut outcomes = stream::iter(page)
                .map(|(text, found)| self.remove_found(caller, scope, until, (text, found)))
                .buffer_unordered(AT_ONCE);
            while let Some(outcome) = outcomes.next().await {
                removed += usize::from(outcome?);
            }
        }
    }

    /// False when it is there to stay.
    async fn remove_found(
        &self,
        caller: &Caller,
        scope: &Scope,
        until: Revision,
        (text, found): (String, Result<SecretMetadata, Error>),
    ) -> Result<bool, Error> {
        match found {
            Ok(found) if found.revision <= until => self.remove(caller, scope, found).await,
            Err(Error::Corrupt { revision, .. }) if revision > until => Ok(false),
            Err(Error::Corrupt { revision, .. }) => {
                let name = text.parse().map_err(|_| unnamed(revision))?;
                self.remove_damaged(caller, (scope, &name), revision).await
            }
            found => found.map(|_| false),
        }
    }

    /// False when it has changed since it was found.
    async fn remove(&self, caller: &Caller, scope: &Scope, found: SecretMetadata) -> Result<bool, Error> {
        let change = if found.secret.blocked { Change::Unblock } else { Change::Delete };
        let (name, expected, stamp) = (&found.secret.name, Some(found.revision), self.stamp(caller));
        match self.change(Asked { scope, name, expected, change, value: None, stamp }).await {
            Ok(_) => Ok(true),
            Err(Error::RevisionConflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts a deletion behind a damaged record, and has all that was before it erased: nothing tells any more which versions
    /// that were. False when somebody else did.
    async fn remove_damaged(
        &self,
        caller: &Caller,
        (scope, name): (&Scope, &SecretName),
        damaged: Revision,
    ) -> Result<bool, Error> {
        let subject = subject(scope, name);
        let _turn = self.turns.take(&subject).await;
        let kept = self.shared.ledger.history(Stream::Secrets, &subject).await?;
        let erase = kept.iter().map(|record| record.revision).filter(|revision| *revision <= damaged).collect();
        let secret = self.deleted(caller, (scope, name), damaged);
        let form = SecretForm::of_change(&Changed { secret, action: Action::Deleted, erase }, None);
        let append = self.shared.sign(Stream::Secrets, subject.clone(), &form, Expected::At(damaged));
        match self.shared.append(append).await {
            Ok(revision) => {
                self.cache.wrote(&subject, Arc::new(form.stored_at(revision)?));
                Ok(true)
            }
            Err(Error::Store(StoreError::Conflict { last })) if last > damaged => Ok(false),
            // What stood for the name was a hash.
            Err(Error::Store(StoreError::Conflict { .. })) => Err(unnamed(damaged)),
            Err(error) => {
                self.cache.forget(&subject, Revision::ZERO);
                Err(error)
            }
        }
    }

    /// A deleted secret of which nothing else is known.
    fn deleted(&self, caller: &Caller, (scope, name): (&Scope, &SecretName), last: Revision) -> Secret {
        let stamp = self.stamp(caller);
        Secret {
            name: name.clone(),
            scope: scope.clone(),
            description: None,
            // Each version has a revision of its own, so none of a greater number was ever given out.
            latest: last.0,
            active: None,
            blocked: false,
            versions: Vec::new(),
            created_at: stamp.at,
            updated_at: stamp.at,
            updated_by: stamp.by,
            unmaskable: false,
        }
    }
}

fn unnamed(revision: Revision) -> Error {
    let what = "a record of the space does not verify, and does not tell which secret's it is";
    Error::Corrupt { stream: Stream::Secrets.name(), revision, what }
}
