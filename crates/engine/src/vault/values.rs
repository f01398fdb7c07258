//! Opening what was prepared and audited.

use std::{fmt, sync::Arc};

use claviger_core::{EnvironmentName, Mask, Redactor, Revision, Scope, SecretName, SecretValue, secret::SecretVersion};
use claviger_store::{Filter, Stream};

use super::{
    Vault,
    deliver::Prepared,
    redactors::{Versions, build},
};
use crate::{
    Error, LiveHold,
    record::secret::{StoredSecret, binding, subject},
};

/// Values, each with its mask.
pub(super) type Masked = Vec<(Mask, Arc<SecretValue>)>;

/// The values of a job.
pub struct Delivered {
    /// Names, versions and values, in the order of declaration.
    pub values: Vec<(SecretName, u64, Arc<SecretValue>)>,
    /// Masks these values.
    pub redactor: Redactor,
    /// Keeps these values masked in every log line of this process.
    pub hold: LiveHold,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivered({} values)", self.values.len())
    }
}

impl Vault {
    /// Opens what was prepared. Takes the revision at which [`Vault::delivery_audit`] was stored: without a durable audit
    /// record there is none, and nothing opens. Where there is nothing to deliver, none is needed.
    ///
    /// # Errors
    /// [`Error::Bug`] for values without an audit record; [`Error::Corrupt`] when a value does not open.
    pub fn open(&self, prepared: Prepared, audited_at: Option<Revision>) -> Result<Delivered, Error> {
        let (masked, hold) = self.open_each(&prepared, audited_at)?;
        let Prepared { delivered, environment, .. } = prepared;
        let opened = delivered.iter().zip(masked);
        let values = opened.map(|(named, (_, value))| (named.name.clone(), named.version, value)).collect();
        let redactor = self.redactors.of(Versions { environment, secrets: delivered }, &hold);
        Ok(Delivered { values, redactor, hold })
    }

    /// The values of what was prepared, in its order, each with its mask, and masked from now on.
    pub(super) fn open_each(
        &self,
        prepared: &Prepared,
        audited_at: Option<Revision>,
    ) -> Result<(Masked, LiveHold), Error> {
        if audited_at.is_none() && !prepared.found.is_empty() {
            return Err(Error::Bug { what: "a delivery without its audit record" });
        }
        let open = |(named, read): (&SecretVersion, &Arc<StoredSecret>)| {
            Ok((Mask::new(&named.name, named.version), Arc::new(self.open_active(read)?)))
        };
        let opened: Masked = prepared.delivered.iter().zip(&prepared.found).map(open).collect::<Result<_, Error>>()?;
        let hold = self.shared.live.hold(&opened);
        if audited_at.is_some() {
            self.audit.count_delivery();
        }
        Ok((opened, hold))
    }

    /// A redactor of versions that a run received earlier from an environment and its spaces. Versions that are no longer
    /// kept are left out.
    pub async fn reopen(&self, environment: &EnvironmentName, versions: &[SecretVersion]) -> Redactor {
        let mut masked = Vec::with_capacity(versions.len());
        for SecretVersion { name, version, space } in versions {
            let scope = Scope { environment: environment.clone(), space: space.clone() };
            match self.open_version(&scope, name, *version).await {
                Ok(Some(value)) => masked.push((Mask::new(name, *version), Arc::new(value))),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a value that was delivered earlier cannot be masked any more"),
            }
        }
        build(&masked)
    }

    async fn open_version(&self, scope: &Scope, name: &SecretName, version: u64) -> Result<Option<SecretValue>, Error> {
        let Some(last) = self.fetch(scope, name).await? else { return Ok(None) };
        if last.active().is_some_and(|(active, _)| active == version) {
            return self.open_active(&last).map(Some);
        }
        let known = last.stored.secret.versions.iter().find(|known| known.number == version);
        let Some(revision) = known.and_then(|known| known.revision) else { return Ok(None) };
        let filter = Filter::Exact(subject(scope, name));
        let before = Revision(revision.0.saturating_sub(1));
        let records = self.shared.ledger.read(Stream::Secrets, &filter, before, 1).await?;
        let Some(record) = records.first().filter(|record| record.revision == revision) else { return Ok(None) };
        let read = StoredSecret::read(&self.shared.keyring, record)?;
        if read.stored.secret.active != Some(version) {
            return Ok(None);
        }
        self.open_active(&read).map(Some)
    }

    fn open_active(&self, read: &StoredSecret) -> Result<SecretValue, Error> {
        let corrupt = || Error::Corrupt {
            stream: Stream::Secrets.name(),
            revision: read.stored.last,
            what: "its value does not open",
        };
        let (version, envelope) = read.active().ok_or_else(corrupt)?;
        let opened = self.shared.keyring.open_sealed(&binding(&read.stored.secret, version), envelope);
        opened.map_err(|_| corrupt())
    }
}
