//! The first admin key.

use std::{collections::HashSet, sync::Arc, time::Duration};

use claviger_core::{Bounds, Role};
use claviger_crypto::{ALL_ENVIRONMENTS, ApiKey};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Access, ApiKeyMetadata, NewApiKey, known::KnownApiKey, system_caller};
use crate::Error;

/// How long the keys that there are may take to be known.
const PATIENCE: Duration = Duration::from_secs(5);

impl Access {
    /// Makes an admin key where none is accepted: for whoever has the store and its master key at hand.
    ///
    /// However many servers do this at the same time, one of them makes it: the key's id follows from the keyring and from
    /// how many keys were made so before, so all of them guard the same subject.
    ///
    /// # Errors
    /// [`Error::AdminKeyExists`], [`Error::TimedOut`] when the keys that there are cannot be read within five seconds, and
    /// what the store says.
    pub async fn bootstrap(&self, ttl: Duration) -> Result<(ApiKeyMetadata, Zeroizing<String>), Error> {
        let known = timeout(PATIENCE, self.known.folded().catch_up(&self.shared));
        known.await.map_err(|_| Error::TimedOut)??;
        // Both answers come from the same keys: one that is known in between would be counted and not found.
        let keys = self.known.api_keys();
        if let Some(accepted) = self.accepted_admin_of(&keys) {
            return Err(Error::AdminKeyExists { id: accepted.id });
        }
        let key = ApiKey::generate_as(ALL_ENVIRONMENTS, self.next_bootstrap_id(&keys));
        let new = NewApiKey {
            role: Role::Admin,
            environment: None,
            description: Some("made by `claviger apikey bootstrap`".to_owned()),
            bounds: Bounds::default(),
            ttl: Some(ttl),
        };
        match self.store_new(&key, new, &system_caller()).await {
            Ok(made) => Ok((made, key.reveal())),
            Err(Error::Store(claviger_store::Error::Conflict { .. })) => {
                Err(Error::AdminKeyExists { id: key.id().into() })
            }
            Err(error) => Err(error),
        }
    }

    /// An admin key that is neither revoked nor expired, as far as this server knows. With any other nobody can make
    /// another one, so it does not count.
    #[must_use]
    pub fn accepted_admin(&self) -> Option<ApiKeyMetadata> {
        self.accepted_admin_of(&self.known.api_keys())
    }

    fn accepted_admin_of(&self, keys: &[Arc<KnownApiKey>]) -> Option<ApiKeyMetadata> {
        let now = self.shared.now();
        let mut infos = keys.iter().map(|key| &key.stored.info);
        let accepted = infos.find(|info| {
            info.role == Role::Admin && info.revoked_at.is_none() && info.expires_at.is_none_or(|at| at > now)
        });
        accepted.cloned()
    }

    /// What the id of the next such key is made from: the same on every server that knows the same keys.
    fn next_bootstrap_id(&self, keys: &[Arc<KnownApiKey>]) -> [u8; 8] {
        let known: HashSet<&str> = keys.iter().map(|key| &*key.stored.info.id).collect();
        let mut generation: u64 = 0;
        loop {
            let code = self.shared.keyring.mac("apikey/bootstrap", &generation.to_be_bytes());
            let id = std::array::from_fn(|at| code[at]);
            if !known.contains(&*ApiKey::id_from(id)) {
                return id;
            }
            generation += 1;
        }
    }
}
