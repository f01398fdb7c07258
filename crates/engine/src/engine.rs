//! The engine: everything wired together, started and stopped.

use std::{fmt, sync::Arc, time::Duration};

use claviger_crypto::MasterKey;
use claviger_store::{Index, Ledger, Queue};
use tokio::time::timeout;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use zeroize::Zeroizing;

use crate::{
    Clock, Error, LiveValues, Names,
    access::{Access, ApiKeyMetadata},
    audit::Audit,
    events::Events,
    keys,
    runtime::Runtime,
    sealed,
    shared::Shared,
    spaces::Spaces,
    vault::Vault,
};

/// How long workers have to finish the jobs they hold.
const DRAIN_WITHIN: Duration = Duration::from_millis(1_500);

/// How long background tasks have to come to an end.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// What an engine is made of.
pub struct Parts {
    /// The truth.
    pub ledger: Arc<dyn Ledger>,
    /// Hints.
    pub queue: Arc<dyn Queue>,
    /// What is derived from the ledger.
    pub index: Arc<dyn Index>,
    /// Opens the keyring; not kept.
    pub master: MasterKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How names stand in the ledger and the queue.
    pub names: Names,
}

/// The running services.
pub struct Engine {
    shared: Shared,
    access: Arc<Access>,
    audit: Arc<Audit>,
    vault: Arc<Vault>,
    spaces: Spaces,
    events: Events,
    runtime: Runtime,
    /// Tasks do not outlive an engine that is dropped without being closed.
    _stop_on_drop: DropGuard,
}

impl Engine {
    /// Opens the keyring, or creates it on a new store, loads the data keys and starts the services. Reads no more than
    /// keys, access records and function declarations, however many secrets there are.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`], [`Error::NamesMismatch`], [`Error::Corrupt`] when a key or access record is damaged, and
    /// what the store says.
    pub async fn open(parts: Parts) -> Result<Engine, Error> {
        let shared = begin(parts).await?;
        // If anything below fails, what was started before it must not go on.
        let stop_on_drop = shared.stop.clone().drop_guard();
        let access = Arc::new(Access::open(shared.clone()).await?);
        let audit = Arc::new(Audit::new(shared.clone(), access.clone()));
        let vault = Arc::new(Vault::start(shared.clone(), access.clone(), audit.clone()).await?);
        let spaces = Spaces::new(shared.clone(), access.clone(), vault.clone());
        let events = Events::open(shared.clone(), access.clone()).await?;
        let runtime = Runtime::open(shared.clone(), access.clone(), vault.clone(), events.clone()).await?;
        Ok(Engine { shared, access, audit, vault, spaces, events, runtime, _stop_on_drop: stop_on_drop })
    }

    /// Makes the first admin key of a store, as [`Access::bootstrap`] says, and closes the ledger. Starts nothing that works
    /// on runs or secrets.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`Access::bootstrap`].
    pub async fn bootstrap(parts: Parts, ttl: Duration) -> Result<(ApiKeyMetadata, Zeroizing<String>), Error> {
        let shared = begin(parts).await?;
        let made = match Access::open(shared.clone()).await {
            Ok(access) => access.bootstrap(ttl).await,
            Err(error) => Err(error),
        };
        end(&shared).await;
        made
    }

    /// Environments and API keys.
    #[must_use]
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Deliveries and refusals.
    #[must_use]
    pub fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// Secrets.
    #[must_use]
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Spaces.
    #[must_use]
    pub fn spaces(&self) -> &Spaces {
        &self.spaces
    }

    /// Events and subscriptions.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Functions and runs.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The values in use right now, for redacting what this process logs.
    #[must_use]
    pub fn live(&self) -> LiveValues {
        self.shared.live.clone()
    }

    /// What is wrong with the store, as far as that shows: it does not take writes, it has lost what this server knows, or it
    /// does not confirm which API keys are in force. For telling people.
    #[must_use]
    pub fn store_trouble(&self) -> Option<Error> {
        let trouble = self.shared.ledger.trouble().map(Error::from);
        trouble.or_else(|| self.vault.trouble()).or_else(|| self.access.trouble())
    }

    /// Gives workers 1.5 s to finish their jobs and background tasks 3 s to end, then closes the ledger.
    pub async fn close(&self) {
        self.runtime.drain(DRAIN_WITHIN).await;
        end(&self.shared).await;
    }
}

/// Opens the keyring and puts together what all services share.
async fn begin(parts: Parts) -> Result<Shared, Error> {
    let keyring = keys::open(&*parts.ledger, &parts.master).await?;
    let (ledger, queue) = sealed::open(parts.names, &keyring, (parts.ledger, parts.queue)).await?;
    Ok(Shared {
        ledger,
        queue,
        index: parts.index,
        keyring: Arc::new(keyring),
        clock: parts.clock,
        live: LiveValues::new(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    })
}

async fn end(shared: &Shared) {
    shared.stop.cancel();
    shared.tasks.close();
    if timeout(STOP_WITHIN, shared.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = shared.tasks.len(), "background tasks did not end in time");
    }
    shared.ledger.close().await;
}

/// Without [`Engine::close`] it ends as in a crash: the tasks stop, and nothing is given back.
impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}
