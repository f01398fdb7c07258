//! The record of decisions: what was delivered to whom, and what was refused. Changes are their own entries: a secret's
//! or an API key's record names who made it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use claviger_core::{
    Caller, EnvironmentName, FunctionId, Permission, Reach, Revision, Role, Timestamp, run::RunId,
    secret::SecretVersion,
};
use claviger_store::{Expected, Filter, Stream};
use parking_lot::Mutex;

use crate::{
    Error, Page,
    access::{Access, default_environment},
    page::checked,
    record::audit::{AuditForm, FactForm, environment_subject, permission_word, refusal_subject},
    shared::Shared,
};

/// Refusals recorded per API key and minute; more are only counted, so that nobody can fill the disk.
const REFUSALS_PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// One audit entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the audit stream.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub caller: Arc<str>,
    /// What.
    pub fact: Fact,
}

/// What an audit entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Values were handed over to a job.
    Delivered {
        /// To which function.
        function: FunctionId,
        /// In which run.
        run: RunId,
        /// The run's environment, when it looked them up in this one from another.
        home: Option<EnvironmentName>,
        /// Which values.
        secrets: Vec<SecretVersion>,
    },
    /// Values were handed over all at once, to no job.
    HandedOver {
        /// What asked for them, in the server's words.
        what: String,
        /// Which values.
        secrets: Vec<SecretVersion>,
    },
    /// Something was not allowed.
    Refused {
        /// The caller's role.
        role: Role,
        /// The word of the permission it took.
        permission: String,
        /// What it was about, as far as a name says it.
        what: Option<String>,
        /// Refusals of the same caller that were only counted since its entry before this one.
        unrecorded: u64,
    },
}

/// Reads audit entries, and counts.
pub struct Audit {
    shared: Shared,
    access: Arc<Access>,
    deliveries: AtomicU64,
}

impl Audit {
    pub(crate) fn new(shared: Shared, access: Arc<Access>) -> Audit {
        Audit { shared, access, deliveries: AtomicU64::new(0) }
    }

    /// Entries of an environment after a revision, oldest first. At most 1,000 at a time; `next` is the revision to go on
    /// after.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Corrupt`] when an entry does not verify, and what the store says.
    pub async fn list(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        after: Revision,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Error> {
        self.access.authorize(caller, Permission::AuditList, environment).await?;
        let limit = checked(limit)?;
        let filter = Filter::Under(environment_subject(environment));
        let records = self.shared.ledger.read(Stream::Audit, &filter, after, limit + 1).await?;
        let entries = records.iter().map(|record| AuditForm::read(&self.shared.keyring, record));
        Ok(Page::cut(entries.collect::<Result<_, _>>()?, limit, |entry| entry.revision.to_string()))
    }

    /// Deliveries made by this process.
    #[must_use]
    pub fn deliveries_total(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Refusals by this process, recorded or only counted.
    #[must_use]
    pub fn refusals_total(&self) -> u64 {
        self.access.refusals().total()
    }

    pub(crate) fn count_delivery(&self) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
    }
}

/// Records refusals, a bounded number per caller.
pub(crate) struct Refusals {
    shared: Shared,
    total: AtomicU64,
    callers: Mutex<HashMap<Arc<str>, Window>>,
}

/// What was refused to one caller in the present minute.
struct Window {
    since: Timestamp,
    recorded: u32,
    unrecorded: u64,
}

impl Refusals {
    pub(crate) fn new(shared: Shared) -> Refusals {
        Refusals { shared, total: AtomicU64::new(0), callers: Mutex::default() }
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts a refusal of which no record is made: the caller may not know of what it asked for.
    pub(crate) fn count(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal, and records it unless the caller had too many. A store that cannot take the record does not turn
    /// a refusal into anything else.
    pub(crate) async fn record(
        &self,
        caller: &Caller,
        permission: Permission,
        environment: Option<&EnvironmentName>,
        what: Option<&str>,
    ) {
        self.count();
        let Some(unrecorded) = self.admit(&caller.id, self.shared.now()) else { return };
        let environment = environment.cloned().unwrap_or_else(|| home_of(caller));
        let fact = FactForm::Refused {
            role: caller.role.to_string(),
            permission: permission_word(permission).to_owned(),
            what: what.map(str::to_owned),
            unrecorded,
        };
        let entry = AuditForm::new(self.shared.now(), caller.id.clone(), fact);
        let append = self.shared.sign(Stream::Audit, refusal_subject(&environment), &entry, Expected::Any);
        if let Err(error) = self.shared.append(append).await {
            tracing::warn!(caller = %caller.id, %error, "a refusal could not be recorded");
        }
    }

    /// The number of refusals to own up to in this record; `None` when there is to be no record.
    fn admit(&self, caller: &Arc<str>, now: Timestamp) -> Option<u64> {
        let mut callers = self.callers.lock();
        let fresh = || Window { since: now, recorded: 0, unrecorded: 0 };
        let window = callers.entry(caller.clone()).or_insert_with(fresh);
        if now.since(window.since) >= MINUTE {
            *window = Window { unrecorded: window.unrecorded, ..fresh() };
        }
        if window.recorded >= REFUSALS_PER_MINUTE {
            window.unrecorded += 1;
            return None;
        }
        window.recorded += 1;
        Some(std::mem::take(&mut window.unrecorded))
    }
}

/// Where a refusal is recorded that is about no environment.
fn home_of(caller: &Caller) -> EnvironmentName {
    match &caller.reach {
        Reach::One(environment) => environment.clone(),
        Reach::All => default_environment(),
    }
}
