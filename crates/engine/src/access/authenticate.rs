//! From the text of an API key to a caller.

use claviger_core::{Caller, Reach};
use claviger_crypto::{ALL_ENVIRONMENTS, ApiKey, constant_time_eq};
use tokio::time::{Duration, sleep};

use super::{Access, SYSTEM, known::KnownApiKey};
use crate::Error;

/// What a key that nobody knows is compared with, so that it costs the same as a wrong one.
const NO_HASH: [u8; 32] = [0; 32];

/// How soon it is noticed that a key has expired.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(1);

impl Access {
    /// Finds out who presents an API key, and waits for the store if it has to confirm that the key is in force.
    ///
    /// Where other servers share the store, one of them may have made the key a moment ago: a key is refused as unknown
    /// only after a quarter of a second without news of it. Wrong and revoked keys wait as long, to be no different. When
    /// many wait already, others are answered at once.
    ///
    /// # Errors
    /// Those of [`Access::authenticate`]; [`Error::Unconfirmed`] only after two seconds.
    pub async fn admit(&self, text: &str) -> Result<Caller, Error> {
        match self.admit_known(text).await {
            Err(Error::UnknownApiKey) => {
                let known =
                    || Some(self.authenticate(text)).filter(|known| !matches!(known, Err(Error::UnknownApiKey)));
                self.news_of(known).await.unwrap_or(Err(Error::UnknownApiKey))
            }
            outcome => outcome,
        }
    }

    /// The same without waiting for news of the key: for those who have given too many wrong ones.
    ///
    /// # Errors
    /// As [`Access::admit`].
    pub async fn admit_known(&self, text: &str) -> Result<Caller, Error> {
        match self.authenticate(text) {
            Err(Error::Unconfirmed) => {
                self.fresh().await?;
                self.authenticate(text)
            }
            outcome => outcome,
        }
    }

    /// Finds out who presents an API key. A mistyped key is told apart offline; unknown, wrong and revoked keys get the
    /// same answer for the same work.
    ///
    /// # Errors
    /// [`Error::InvalidApiKey`] for what is no API key, [`Error::UnknownApiKey`], [`Error::ExpiredApiKey`]. Where other
    /// servers share the store, [`Error::Unconfirmed`] when this one may not know yet of a revocation: see
    /// [`Access::fresh`]; and [`Error::RecordsLost`].
    pub fn authenticate(&self, text: &str) -> Result<Caller, Error> {
        let presented = ApiKey::parse(text).map_err(|error| Error::InvalidApiKey { what: error.to_string() })?;
        let confirmed = self.confirmed()?;
        let outcome = self.look_up(&presented);
        // The time may have run out between the two.
        confirmed.holds()?;
        outcome
    }

    fn look_up(&self, presented: &ApiKey) -> Result<Caller, Error> {
        let known = self.known.api_key(presented.id());
        let hash = self.shared.keyring.hash_api_key(presented.id(), presented.secret_part());
        let stored = known.as_ref().map_or(&NO_HASH[..], |known| &known.stored.hash);
        let matches = constant_time_eq(&hash, stored);
        let known = known.filter(|known| matches && is_in_force(known, presented)).ok_or(Error::UnknownApiKey)?;
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

    /// Is over when the API key of a caller that was authenticated earlier is no longer accepted: at once when it is
    /// revoked, within a second when it expires.
    pub async fn ended(&self, caller: &Caller) {
        let mut changes = self.known.changes();
        while self.is_accepted(caller) {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep(LOOK_AT_CLOCK_EVERY) => {}
            }
        }
    }

    /// The same question where other servers may have revoked the key. Callers come from keys that were known, so one
    /// that is not was never a key's.
    pub(super) fn check_in_force(&self, caller: &Caller) -> Result<(), Error> {
        let confirmed = self.confirmed()?;
        let known = self.known.api_key(&caller.id);
        let info = known.as_ref().map(|known| &known.stored.info);
        let is_revoked = match info {
            Some(info) => info.revoked_at.is_some(),
            None => self.known.is_distrusted(&caller.id),
        };
        let is_expired = info.and_then(|info| info.expires_at).is_some_and(|at| at <= self.shared.now());
        confirmed.holds()?;
        match (is_revoked, is_expired) {
            (true, _) => Err(Error::UnknownApiKey),
            (false, true) => Err(Error::ExpiredApiKey),
            (false, false) => Ok(()),
        }
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
