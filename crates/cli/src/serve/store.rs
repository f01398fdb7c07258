//! Opens the store of a data directory and the engine on it.

use std::sync::Arc;

use claviger_crypto::MasterKey;
use claviger_engine::{Engine, Parts, WallClock};
use claviger_server::MasterKeyOrigin;
use claviger_store::{Index, Ledger, MemoryQueue, SqliteIndex, SqliteLedger, SqliteOptions, Stream};

use super::development_warning;
use crate::{
    config::Config,
    data_dir::DataDir,
    failure::{Exit, Failure},
    master_key::DevelopmentKey,
};

/// The store of a data directory, held by this process alone.
pub(super) struct Store {
    data: DataDir,
    ledger: Arc<dyn Ledger>,
    index: Arc<dyn Index>,
}

/// A running engine.
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    /// Where its master key is from.
    pub(super) origin: MasterKeyOrigin,
    /// What the operator should know.
    pub(super) warnings: Vec<String>,
}

impl Store {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// `store_in_use` while another process has it, and what the store says.
    pub(super) fn open(config: &Config, data: DataDir) -> Result<Store, Failure> {
        let ledger = SqliteLedger::open(SqliteOptions::new(config.sqlite_path()))?;
        let index = SqliteIndex::open(data.file("index.db"), ledger.incarnation())?;
        Ok(Store { data, ledger: Arc::new(ledger), index: Arc::new(index) })
    }

    /// Opens the keyring with the master key, or with the development key when none was given, and starts the engine.
    ///
    /// # Errors
    /// `no_master_key`, `wrong_master_key`, and what the engine says.
    pub(super) async fn into_engine(self, given: Option<MasterKey>) -> Result<Opened, Failure> {
        let development = DevelopmentKey::of(&self.data);
        let mut warnings = Vec::new();
        let (master, origin) = match given {
            Some(master) => {
                warnings.extend(self.leave_development(&development, &master).await?);
                (master, MasterKeyOrigin::Configured)
            }
            None => (self.development_key(&development).await?, MasterKeyOrigin::Development),
        };
        warnings.extend(development_warning(origin));
        let parts = Parts {
            ledger: self.ledger,
            queue: Arc::new(MemoryQueue::new()),
            index: self.index,
            master,
            clock: Arc::new(WallClock),
        };
        let engine = Arc::new(Engine::open(parts).await?);
        Ok(Opened { engine, origin, warnings })
    }

    async fn development_key(&self, development: &DevelopmentKey) -> Result<MasterKey, Failure> {
        if development.exists() {
            return development.read();
        }
        if self.ledger.bounds(Stream::Keyring).await?.last.0 > 0 {
            let message = "the store was made with a master key, and none is given";
            return Err(Failure::new(Exit::NoKey, "no_master_key", message)
                .hint("give it with CLAVIGER_MASTER_KEY, CLAVIGER_MASTER_KEY_FILE or `--master-key-file`"));
        }
        development.create()
    }

    /// Moves a store from its development key to the master key, before anything is served, and destroys the former.
    /// Interrupted, it is done again at the next start.
    async fn leave_development(
        &self,
        development: &DevelopmentKey,
        master: &MasterKey,
    ) -> Result<Option<String>, Failure> {
        if !development.exists() {
            return Ok(None);
        }
        Engine::rewrap(&*self.ledger, &development.read()?, master).await?;
        development.destroy()?;
        Ok(Some(
            "the store was moved from its development key to the master key, and the development key was destroyed; \
             values that were copied with it before stay exposed: set them again"
                .to_owned(),
        ))
    }
}
