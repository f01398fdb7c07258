//! Opens the store that the configuration names, and the engine on it.

mod durability;
mod monitoring;
mod nats;
mod sqlite;

use std::{sync::Arc, time::Duration};

use claviger_api::Durability;
use claviger_crypto::MasterKey;
use claviger_engine::{Engine, Names, Parts, WallClock, access::ApiKeyMetadata};
use claviger_server::MasterKeyOrigin;
use claviger_store::{Index, Ledger, Queue};
use zeroize::Zeroizing;

use crate::{
    config::Config,
    data_dir::{DataDir, Lock},
    failure::{Exit, Failure},
};

const GIVE_IT: &str = "give it with CLAVIGER_MASTER_KEY, CLAVIGER_MASTER_KEY_FILE or `--master-key-file`";

/// A development key would lie beside one server's index, and no other server could open anything.
pub(super) const NATS_NEEDS_KEY: &str =
    "a store on NATS needs a master key, the same for every server, and none is given";

/// An open store, with the key that it is to be opened with.
pub(super) struct Store {
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn Queue>,
    index: Arc<dyn Index>,
    master: MasterKey,
    names: Names,
    facts: Facts,
    lock: Option<Lock>,
}

/// What people should know of a store.
pub(super) struct Facts {
    /// The backend.
    pub(super) name: &'static str,
    pub(super) master_key: MasterKeyOrigin,
    pub(super) durability: Durability,
    pub(super) warnings: Vec<String>,
}

/// A running engine.
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    pub(super) facts: Facts,
    /// The data directory is this process's until this is dropped.
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the store for a server: its index is in the data directory, which no other server may use.
    ///
    /// # Errors
    /// `store_in_use`, `no_master_key`, and what the store says.
    pub(super) async fn open(config: &Config, data: &DataDir, key: Option<MasterKey>) -> Result<Store, Failure> {
        match config.nats() {
            None => sqlite::open(config, data, key).await,
            Some(nats) => nats::open(&nats, data, key).await,
        }
    }

    /// Opens the store for a command that ends soon. On NATS it needs no directory, and disturbs no server.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(super) async fn visit(config: &Config, key: Option<MasterKey>) -> Result<Store, Failure> {
        match config.nats() {
            None => sqlite::open(config, &DataDir::open(config.data())?, key).await,
            Some(nats) => nats::visit(&nats, key).await,
        }
    }

    /// Opens the keyring and starts the engine.
    ///
    /// # Errors
    /// `wrong_master_key`, and what the engine says.
    pub(super) async fn into_engine(self) -> Result<Opened, Failure> {
        let (parts, facts, lock) = self.into_parts();
        let engine = Engine::open(parts).await.map_err(|error| not_opened(error, facts.master_key))?;
        Ok(Opened { engine: Arc::new(engine), facts, _lock: lock })
    }

    /// Makes the first admin key, and closes the store.
    ///
    /// # Errors
    /// `admin_key_exists`, `wrong_master_key`, and what the engine says.
    pub(super) async fn bootstrap(self, ttl: Duration) -> Result<(ApiKeyMetadata, Zeroizing<String>), Failure> {
        let (parts, facts, _lock) = self.into_parts();
        Engine::bootstrap(parts, ttl).await.map_err(|error| not_opened(error, facts.master_key))
    }

    /// What people should know of it.
    pub(super) fn warnings(&self) -> &[String] {
        &self.facts.warnings
    }

    fn into_parts(self) -> (Parts, Facts, Option<Lock>) {
        let parts = Parts {
            ledger: self.ledger,
            queue: self.queue,
            index: self.index,
            master: self.master,
            clock: Arc::new(WallClock),
            names: self.names,
        };
        (parts, self.facts, self.lock)
    }
}

/// There is no key for a store that needs one.
pub(super) fn no_master_key(message: &str) -> Failure {
    Failure::new(Exit::NoKey, "no_master_key", message).hint(GIVE_IT)
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
