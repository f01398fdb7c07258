//! Setting and deleting: one append each, guarded by compare-and-set.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use claviger_core::{
    Caller, Permission, Revision, Scope, SecretName, SecretValue,
    secret::{Action, Change, Changed, Refused, Stamp, Stored, apply, check},
};
use claviger_store::{Expected, Stream, Subject};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    SecretMetadata, SetOutcome, SetSecret, Vault,
    check::{Maskable, check_description, check_value},
    fold,
};
use crate::{
    Error,
    record::secret::{SecretForm, StoredSecret, binding, subject},
};

/// What somebody asks for, checked.
pub(super) struct Asked<'a> {
    pub(super) scope: &'a Scope,
    pub(super) name: &'a SecretName,
    pub(super) expected: Option<Revision>,
    pub(super) change: Change,
    /// The value of a set.
    pub(super) value: Option<SecretValue>,
    pub(super) stamp: Stamp,
}

impl Vault {
    /// Adds a version to a secret and makes it active, also if its value is the same as before. In a space that makes an
    /// override, and lifts a block.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::TimedOut`] when nobody can tell
    /// within five seconds whether there is the space, [`Error::ValueTooLarge`], [`Error::ValueTooShort`],
    /// [`Error::ValueIsMask`], [`Error::Invalid`], [`Error::RevisionConflict`], [`Error::Corrupt`], and what the store says.
    pub async fn set(
        &self,
        caller: &Caller,
        scope: &Scope,
        name: &SecretName,
        set: SetSecret,
    ) -> Result<SetOutcome, Error> {
        self.access.authorize_change_in(caller, Permission::SecretWrite, scope).await?;
        let unmaskable = check_value(&set.value, set.short)? == Maskable::No;
        check_description(set.description.as_deref())?;
        let change = Change::Set { description: set.description, unmaskable };
        let value = Some(set.value);
        let (secret, action) = self
            .change(Asked { scope, name, expected: set.expected, change, value, stamp: self.stamp(caller) })
            .await?;
        Ok(SetOutcome { secret, action })
    }

    /// Stops serving a secret. Its versions are kept, and a later set goes on counting. In a space the environment's value is
    /// to be seen again.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::SecretNotFound`] also for a name
    /// that is blocked, [`Error::RevisionConflict`], [`Error::Corrupt`], [`Error::TimedOut`], and what the store says.
    pub async fn delete(
        &self,
        caller: &Caller,
        scope: &Scope,
        name: &SecretName,
        expected: Option<Revision>,
    ) -> Result<SecretMetadata, Error> {
        self.change_scope(caller, (scope, name), expected, Change::Delete).await
    }

    /// Makes a space refuse a name: it sees no value of it, neither its own nor the environment's, until the block is
    /// lifted or the name is set there. Versions of its own are kept. Nothing changes if it is blocked already.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::Invalid`] for a scope that is no
    /// space, [`Error::RevisionConflict`], [`Error::Corrupt`], [`Error::TimedOut`], and what the store says.
    pub async fn block(
        &self,
        caller: &Caller,
        scope: &Scope,
        name: &SecretName,
        expected: Option<Revision>,
    ) -> Result<SecretMetadata, Error> {
        self.change_scope(caller, (scope, name), expected, Change::Block).await
    }

    /// Lifts a block: the space inherits the name again.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::SpaceNotFound`], [`Error::Invalid`] for a scope that is no
    /// space or a name that is not blocked there, [`Error::RevisionConflict`], [`Error::Corrupt`], [`Error::TimedOut`], and
    /// what the store says.
    pub async fn unblock(
        &self,
        caller: &Caller,
        scope: &Scope,
        name: &SecretName,
        expected: Option<Revision>,
    ) -> Result<SecretMetadata, Error> {
        self.change_scope(caller, (scope, name), expected, Change::Unblock).await
    }

    /// Makes a change without a value.
    async fn change_scope(
        &self,
        caller: &Caller,
        (scope, name): (&Scope, &SecretName),
        expected: Option<Revision>,
        change: Change,
    ) -> Result<SecretMetadata, Error> {
        self.access.authorize_change_in(caller, Permission::SecretWrite, scope).await?;
        let asked = Asked { scope, name, expected, change, value: None, stamp: self.stamp(caller) };
        self.change(asked).await.map(|(secret, _)| secret)
    }

    pub(super) fn stamp(&self, caller: &Caller) -> Stamp {
        Stamp { by: caller.id.clone(), at: self.shared.now() }
    }

    /// Tries on what is in memory first. What memory says is no reason to refuse anything: it may be behind what another
    /// server wrote, so a refusal or conflict is settled by the ledger.
    pub(super) async fn change(&self, asked: Asked<'_>) -> Result<(SecretMetadata, Action), Error> {
        let subject = subject(asked.scope, asked.name);
        let _turn = self.turns.take(&subject).await;
        if let Some(known) = self.known(&asked, &subject).await?
            && let Attempt::Done(outcome) = self.attempt(&asked, &subject, known).await?
        {
            return Ok(outcome);
        }
        // Nor is what one server of a shared store answers, until it surely is the last word.
        let mut is_settled = !self.shared.ledger.is_shared();
        loop {
            let current = self.fetch_stored(asked.scope, asked.name).await?;
            match self.attempt(&asked, &subject, current.clone()).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Refused(refused) if is_settled => return refused_with(refused, current),
                Attempt::Refused(_) => {
                    self.settle().await?;
                    is_settled = true;
                }
                Attempt::Raced => {}
            }
        }
    }

    /// What this server knows of the secret without asking the ledger. Where that takes a way over the network, a secret
    /// that was never heard of is taken for one that is not set: the guard shows if it is.
    async fn known(&self, asked: &Asked<'_>, subject: &Subject) -> Result<Option<Option<Arc<StoredSecret>>>, Error> {
        let cached = self.cache.get(subject);
        if cached.is_some() || !self.shared.ledger.is_shared() || self.cache.seen(subject) > Revision::ZERO {
            return Ok(cached);
        }
        let folded = fold::last(&*self.shared.index, asked.scope, asked.name).await?;
        Ok((folded == Revision::ZERO).then_some(None))
    }

    async fn attempt(
        &self,
        asked: &Asked<'_>,
        subject: &Subject,
        current: Option<Arc<StoredSecret>>,
    ) -> Result<Attempt, Error> {
        let current = current.as_ref().map(|read| &read.stored);
        let changed = match decide(asked, current) {
            Ok(changed) => changed,
            Err(refused) => return Ok(Attempt::Refused(refused)),
        };
        let form = SecretForm::of_change(&changed, self.seal(asked, &changed)?);
        let expected = current.map_or(Expected::Absent, |stored| Expected::At(stored.last));
        let append = self.shared.sign(Stream::Secrets, subject.clone(), &form, expected);
        match self.shared.append(append).await {
            Ok(revision) => {
                self.cache.wrote(subject, Arc::new(form.stored_at(revision)?));
                Ok(Attempt::Done((SecretMetadata { secret: changed.secret, revision }, changed.action)))
            }
            Err(Error::Store(claviger_store::Error::Conflict { last })) => {
                // What is read next has to be as new.
                self.cache.saw(subject, last);
                Ok(Attempt::Raced)
            }
            Err(error) => {
                // It may have been stored all the same.
                self.cache.forget(subject, Revision::ZERO);
                Err(error)
            }
        }
    }

    fn seal(&self, asked: &Asked<'_>, changed: &Changed) -> Result<Option<Vec<u8>>, Error> {
        let (Some(value), Some(version)) = (&asked.value, changed.secret.active) else { return Ok(None) };
        let sealed = self.shared.keyring.seal(&binding(&changed.secret, version), value.expose());
        sealed.map(Some).map_err(|_| Error::Bug { what: "an environment without a data key" })
    }
}

/// What came of trying.
enum Attempt {
    Done((SecretMetadata, Action)),
    /// The rules say no.
    Refused(Refused),
    /// Somebody else wrote first.
    Raced,
}

fn decide(asked: &Asked<'_>, current: Option<&Stored>) -> Result<Changed, Refused> {
    if let Some(expected) = asked.expected {
        check(current, expected)?;
    }
    apply((asked.name, asked.scope), current, asked.change.clone(), &asked.stamp)
}

/// What a refusal that stands is answered with. To block what is blocked changes nothing, and is no failure.
fn refused_with(refused: Refused, current: Option<Arc<StoredSecret>>) -> Result<(SecretMetadata, Action), Error> {
    match current {
        Some(blocked) if refused == Refused::IsBlocked => Ok((SecretMetadata::from(&*blocked), Action::Blocked)),
        _ => Err(refused.into()),
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::NotSet => Error::SecretNotFound,
            Refused::NotInSpace => Error::invalid("only a space blocks a name; what an environment has can be deleted"),
            Refused::IsBlocked => Error::invalid("the name is blocked in this space already"),
            Refused::NotBlocked => Error::invalid("the name is not blocked in this space"),
            Refused::Conflict { current } => Error::RevisionConflict { current },
        }
    }
}

/// Lets the writers of one secret take turns on this server, so that they do not race each other for the guard. Secrets
/// share turns by chance; that costs a little time and nothing else.
pub(super) struct Turns {
    hasher: RandomState,
    turns: Box<[Mutex<()>]>,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns { hasher: RandomState::new(), turns: (0..1_024).map(|_| Mutex::default()).collect() }
    }
}

impl Turns {
    pub(super) async fn take(&self, subject: &Subject) -> MutexGuard<'_, ()> {
        let count = self.turns.len() as u64;
        let at = self.hasher.hash_one(subject) % count;
        self.turns[usize::try_from(at).unwrap_or_default()].lock().await
    }
}
