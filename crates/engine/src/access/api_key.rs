//! API keys: created, listed, revoked.

use std::{sync::Arc, time::Duration};

use claviger_core::{Bounds, Caller, EnvironmentName, Permission, Reach, Revision, Role, Timestamp};
use claviger_crypto::{ALL_ENVIRONMENTS, ApiKey};
use claviger_store::{Expected, Stream};
use zeroize::Zeroizing;

use super::{Access, rules};
use crate::{
    Error,
    folded::last_since,
    record::access::{AccessForm, AccessRecord, StoredApiKey, api_key_subject},
};

/// An API key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What it may do.
    pub role: Role,
    /// Where; `None` for every environment.
    pub environment: Option<EnvironmentName>,
    /// What people say about it, at most 1,000 characters.
    pub description: Option<String>,
    /// What narrows the role. Runtime keys need at least one secret pattern, subscriber keys one event pattern. Only a
    /// runtime key of one environment can be narrowed to spaces.
    pub bounds: Bounds,
    /// How long it is accepted; `None` for ever, but 24 hours for a subscriber, whose longest is 30 days.
    pub ttl: Option<Duration>,
}

/// Everything about an API key but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyMetadata {
    /// Its public id.
    pub id: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// Where.
    pub reach: Reach,
    /// What people say about it.
    pub description: Option<String>,
    /// What narrows the role.
    pub bounds: Arc<Bounds>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Arc<str>,
    /// From when on it is not accepted.
    pub expires_at: Option<Timestamp>,
    /// Since when it has not been accepted because somebody revoked it.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyMetadata {
    /// Whoever presents the key.
    pub(crate) fn caller(&self) -> Caller {
        Caller { id: self.id.clone(), role: self.role, reach: self.reach.clone(), bounds: self.bounds.clone() }
    }
}

impl Access {
    /// Makes an API key.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::Invalid`] when role and bounds do not fit each other,
    /// and what the store says.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        new: NewApiKey,
    ) -> Result<(ApiKeyMetadata, Zeroizing<String>), Error> {
        self.authorize_everywhere(caller, Permission::ApiKeyWrite).await?;
        if let Some(environment) = &new.environment
            && !self.is_visible(caller, environment).await
        {
            return Err(Error::EnvironmentNotFound);
        }
        let ttl = rules::check(&new)?;
        let key = ApiKey::generate(new.environment.as_ref().map_or(ALL_ENVIRONMENTS, EnvironmentName::as_str));
        let info = self.store_new(&key, NewApiKey { ttl, ..new }, caller).await?;
        Ok((info, key.reveal()))
    }

    /// Stores a key that was drawn, if there is none of its id.
    pub(super) async fn store_new(
        &self,
        key: &ApiKey,
        new: NewApiKey,
        caller: &Caller,
    ) -> Result<ApiKeyMetadata, Error> {
        let created_at = self.shared.now();
        let info = ApiKeyMetadata {
            id: key.id().into(),
            role: new.role,
            reach: new.environment.map_or(Reach::All, Reach::One),
            description: new.description,
            bounds: Arc::new(new.bounds),
            created_at,
            created_by: caller.id.clone(),
            expires_at: new.ttl.map(|ttl| created_at.plus(ttl)),
            revoked_at: None,
        };
        let hash = self.shared.keyring.hash_api_key(key.id(), key.secret_part());
        let stored = StoredApiKey { info: info.clone(), revoked_by: None, hash: Arc::from(hash.as_slice()) };
        self.store_api_key(stored, Expected::Absent).await?;
        Ok(info)
    }

    /// Every API key, also expired and revoked ones, oldest first.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn list_api_keys(&self, caller: &Caller) -> Result<Vec<ApiKeyMetadata>, Error> {
        self.authorize_everywhere(caller, Permission::ApiKeyList).await?;
        let mut infos: Vec<ApiKeyMetadata> = self.known.api_keys().iter().map(|key| key.stored.info.clone()).collect();
        infos.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(infos)
    }

    /// Revokes an API key: it is refused from now on here, and within a second on every other server. Revoking it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::ApiKeyNotFound`], and what the store says.
    pub async fn revoke_api_key(&self, caller: &Caller, id: &str) -> Result<ApiKeyMetadata, Error> {
        self.authorize_everywhere(caller, Permission::ApiKeyWrite).await?;
        if self.known.api_key(id).is_none() {
            // Another server may have made it a moment ago.
            self.read_api_key(id, Revision::ZERO).await?;
        }
        loop {
            let known = self.known.api_key(id).ok_or(Error::ApiKeyNotFound)?;
            if known.stored.info.revoked_at.is_some() {
                return Ok(known.stored.info.clone());
            }
            let mut stored = known.stored.clone();
            stored.info.revoked_at = Some(self.shared.now());
            stored.revoked_by = Some(caller.id.clone());
            let info = stored.info.clone();
            match self.store_api_key(stored, Expected::At(known.last)).await {
                Ok(()) => return Ok(info),
                Err(Error::Store(claviger_store::Error::Conflict { last })) => self.read_api_key(id, last).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn store_api_key(&self, stored: StoredApiKey, expected: Expected) -> Result<(), Error> {
        let subject = api_key_subject(&stored.info.id).ok_or(Error::ApiKeyNotFound)?;
        let append = self.shared.sign(Stream::Access, subject, &AccessForm::of_api_key(&stored), expected);
        let revision = self.shared.append(append).await?;
        self.known.apply(AccessRecord::ApiKey(stored), revision);
        Ok(())
    }

    /// Catches up with what another server wrote, up to this revision at least.
    async fn read_api_key(&self, id: &str, known: Revision) -> Result<(), Error> {
        let subject = api_key_subject(id).ok_or(Error::ApiKeyNotFound)?;
        let last = last_since(&*self.shared.ledger, Stream::Access, &subject, known).await?;
        self.known.catch_up(&self.shared.keyring, &last.ok_or(Error::ApiKeyNotFound)?)
    }
}
