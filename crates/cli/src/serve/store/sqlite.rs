//! Everything in one directory of this machine.

use std::sync::Arc;

use claviger_crypto::MasterKey;
use claviger_engine::Names;
use claviger_server::MasterKeyOrigin;
use claviger_store::{Ledger, MemoryQueue, SqliteIndex, SqliteLedger, SqliteOptions, Stream};

use super::{Facts, Store, durability, no_master_key};
use crate::{
    config::Config, data_dir::DataDir, failure::Failure, master_key::DevelopmentKey, serve::renewal::leave_development,
};

const DEVELOPMENT: &str =
    "no master key is set: a development key lies beside the data, and whoever has the directory has the secrets";

/// Opens it, or makes it; with a development key when no master key was given.
///
/// # Errors
/// `store_in_use` while another process has it, `no_master_key`, and what the store says.
pub(super) async fn open(config: &Config, data: &DataDir, given: Option<MasterKey>) -> Result<Store, Failure> {
    let lock = data.lock()?;
    let ledger = Arc::new(SqliteLedger::open(SqliteOptions::new(config.sqlite_path()))?);
    let index = SqliteIndex::open(data.file("index.db"), ledger.incarnation())?;
    let development = DevelopmentKey::of(data);
    let (master, master_key, warning) = match given {
        Some(master) => {
            let warning = leave_development(&ledger, &development, &master).await?;
            (master, MasterKeyOrigin::Configured, warning)
        }
        None => {
            let master = development_key(&*ledger, &development).await?;
            (master, MasterKeyOrigin::Development, Some(DEVELOPMENT.to_owned()))
        }
    };
    let warnings = warning.into_iter().collect();
    let facts = Facts { name: "sqlite", master_key, durability: durability::of_one_disk(), warnings };
    let queue = Arc::new(MemoryQueue::new());
    let names = Names::Plain;
    Ok(Store { ledger, queue, index: Arc::new(index), master, names, facts, lock: Some(lock) })
}

async fn development_key(ledger: &dyn Ledger, development: &DevelopmentKey) -> Result<MasterKey, Failure> {
    if let Some(key) = development.read()? {
        return Ok(key);
    }
    if ledger.bounds(Stream::Keyring).await?.last.0 > 0 {
        return Err(no_master_key("the store was made with a master key, and none is given"));
    }
    development.create()
}
