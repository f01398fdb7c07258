//! Opens the store of a data directory and the engine on it.

use std::sync::Arc;

use claviger_crypto::MasterKey;
use claviger_engine::{Engine, Parts, WallClock};
use claviger_server::MasterKeyOrigin;
use claviger_store::{Index, Ledger, MemoryQueue, SqliteIndex, SqliteLedger, SqliteOptions, Stream};

use super::{development_warning, renewal::leave_development};
use crate::{
    config::Config,
    data_dir::DataDir,
    failure::{Exit, Failure},
    master_key::DevelopmentKey,
};

const GIVE_IT: &str = "give it with CLAVIGER_MASTER_KEY, CLAVIGER_MASTER_KEY_FILE or `--master-key-file`";

/// The store of a data directory, held by this process alone.
pub(super) struct Store {
    data: DataDir,
    ledger: Arc<SqliteLedger>,
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
                warnings.extend(leave_development(&self.ledger, &development, &master).await?);
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
        let engine = Arc::new(Engine::open(parts).await.map_err(|error| not_opened(error, origin))?);
        Ok(Opened { engine, origin, warnings })
    }

    async fn development_key(&self, development: &DevelopmentKey) -> Result<MasterKey, Failure> {
        if let Some(key) = development.read()? {
            return Ok(key);
        }
        if self.ledger.bounds(Stream::Keyring).await?.last.0 > 0 {
            let message = "the store was made with a master key, and none is given";
            return Err(Failure::new(Exit::NoKey, "no_master_key", message).hint(GIVE_IT));
        }
        development.create()
    }
}

/// What cannot be opened with a development key may have been moved to a master key.
fn not_opened(error: claviger_engine::Error, origin: MasterKeyOrigin) -> Failure {
    let is_wrong_key = error.code() == "wrong_master_key";
    let failure = Failure::from(error);
    match origin {
        MasterKeyOrigin::Development if is_wrong_key => failure.hint(GIVE_IT),
        _ => failure,
    }
}
