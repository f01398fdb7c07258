//! From the text of an API key to a caller.

use claviger_core::{Caller, Reach};
use claviger_crypto::{ALL_ENVIRONMENTS, ApiKey, constant_time_eq};

use super::{Access, SYSTEM, known::KnownApiKey};
use crate::Error;

/// What a key that nobody knows is compared with, so that it costs the same as a wrong one.
const NO_HASH: [u8; 32] = [0; 32];

impl Access {
    /// Finds out who presents an API key. A mistyped key is told apart offline; unknown, wrong and revoked keys get the
    /// same answer for the same work.
    ///
    /// # Errors
    /// [`Error::InvalidApiKey`] for what is no API key, [`Error::UnknownApiKey`], [`Error::ExpiredApiKey`].
    pub fn authenticate(&self, text: &str) -> Result<Caller, Error> {
        let presented = ApiKey::parse(text).map_err(|error| Error::InvalidApiKey { what: error.to_string() })?;
        let known = self.known.api_key(presented.id());
        let hash = self.shared.keyring.hash_api_key(presented.id(), presented.secret_part());
        let stored = known.as_ref().map_or(&NO_HASH[..], |known| &known.stored.hash);
        let matches = constant_time_eq(&hash, stored);
        let known = known.filter(|known| matches && is_in_force(known, &presented)).ok_or(Error::UnknownApiKey)?;
        if known.stored.info.expires_at.is_some_and(|at| at <= self.shared.now()) {
            return Err(Error::ExpiredApiKey);
        }
        Ok(known.caller.clone())
    }

    /// Whether the API key of a caller that was authenticated earlier is still accepted: for what goes on for long.
    #[must_use]
    pub fn is_accepted(&self, caller: &Caller) -> bool {
        if *caller.id == *SYSTEM {
            return true;
        }
        let Some(known) = self.known.api_key(&caller.id) else { return false };
        let info = &known.stored.info;
        info.revoked_at.is_none() && info.expires_at.is_none_or(|at| at > self.shared.now())
    }
}

/// Not revoked, and of the environment that its text names.
fn is_in_force(known: &KnownApiKey, presented: &ApiKey) -> bool {
    let info = &known.stored.info;
    let environment = match &info.reach {
        Reach::All => ALL_ENVIRONMENTS,
        Reach::One(environment) => environment.as_str(),
    };
    info.revoked_at.is_none() && environment == presented.environment()
}
