//! Everything on NATS JetStream, where any number of servers may use it. Only what is derived is on this machine.

use std::{error::Error as _, sync::Arc};

use claviger_core::Incarnation;
use claviger_crypto::MasterKey;
use claviger_engine::Names;
use claviger_server::MasterKeyOrigin;
use claviger_store::{Error, Index, Ledger, MemoryIndex, NatsLedger, NatsOptions, NatsQueue, SqliteIndex};

use super::{Facts, NATS_NEEDS_KEY, Store, durability, durability::Judgment, monitoring, no_master_key};
use crate::{
    config::{Endpoint, Nats},
    data_dir::{DataDir, Lock},
    failure::{Exit, Failure},
    private_file::{self, Others},
};

/// Opens the store for a server. The index in its data directory is its own.
///
/// # Errors
/// `no_master_key`, `store_in_use` while another server has the data directory, `store_unreachable`, `store_credentials`,
/// `store_unsuitable`, `records_lost` when the store or a stream of it is not the one that was there, `not_durable` where that is
/// required, and what the store says.
pub(super) async fn open(nats: &Nats, data: &DataDir, key: Option<MasterKey>) -> Result<Store, Failure> {
    let master = key.ok_or_else(|| no_master_key(NATS_NEEDS_KEY))?;
    let lock = data.lock()?;
    let index = data.file("index.db");
    let ledger = connect(nats, SqliteIndex::life(&index)?).await?;
    let judgment = match judge(nats, &ledger).await {
        Ok(judgment) => judgment,
        Err(failure) => {
            ledger.close().await;
            return Err(failure);
        }
    };
    let index = SqliteIndex::open(index, ledger.incarnation())?;
    Open { ledger, index: Arc::new(index), master, judgment }.into_store(nats, Some(lock)).await
}

/// Opens the store for a command that ends soon. It needs no directory.
///
/// # Errors
/// As [`open`], but it requires no durability.
pub(super) async fn visit(nats: &Nats, key: Option<MasterKey>) -> Result<Store, Failure> {
    let master = key.ok_or_else(|| no_master_key(NATS_NEEDS_KEY))?;
    let ledger = connect(nats, None).await?;
    let placements = ledger.placements().await?;
    let judgment = durability::judge(&placements, &monitoring::Learned::default());
    let judgment = Judgment { lines: Vec::new(), ..judgment };
    Open { ledger, index: Arc::new(MemoryIndex::new()), master, judgment }.into_store(nats, None).await
}

/// Connects to the store, which has to be the known one, if there is one.
async fn connect(nats: &Nats, known: Option<Incarnation>) -> Result<NatsLedger, Failure> {
    for file in nats.credentials_file.iter().chain(nats.identity.iter().map(|(_, key)| key)) {
        private_file::read(file, Others::GroupReads)?;
    }
    let options = NatsOptions {
        credentials: nats.credentials_file.clone(),
        ca: nats.ca_file.clone(),
        client_certificate: nats.identity.clone(),
        name: nats.name.clone(),
        replicas: nats.replicas,
        known,
        ..NatsOptions::new(nats.servers.iter().map(|server| server.url().as_str()))
    };
    NatsLedger::connect(options).await.map_err(|error| not_connected(&error, &nats.servers))
}

async fn judge(nats: &Nats, ledger: &NatsLedger) -> Result<Judgment, Failure> {
    let placements = ledger.placements().await?;
    let judgment = durability::judge(&placements, &monitoring::ask(nats).await?);
    if nats.is_durability_required { judgment.require() } else { Ok(judgment) }
}

/// What is still to be put together, once it is known how the records are kept.
struct Open {
    ledger: NatsLedger,
    index: Arc<dyn Index>,
    master: MasterKey,
    judgment: Judgment,
}

impl Open {
    async fn into_store(self, nats: &Nats, lock: Option<Lock>) -> Result<Store, Failure> {
        let queue = NatsQueue::open(self.ledger.connection()).await?;
        let facts = Facts {
            name: "nats",
            master_key: MasterKeyOrigin::Configured,
            durability: self.judgment.durability,
            warnings: self.judgment.lines,
        };
        let names = if nats.are_names_sealed { Names::Sealed } else { Names::Plain };
        let (ledger, queue) = (Arc::new(self.ledger), Arc::new(queue));
        Ok(Store { ledger, queue, index: self.index, master: self.master, names, facts, lock })
    }
}

fn not_connected(error: &Error, servers: &[Endpoint]) -> Failure {
    let servers: Vec<String> = servers.iter().map(|server| format!("`{server}`")).collect();
    let servers = servers.join(", ");
    // When they expire while streams are being opened, that stands behind what was asked.
    let behind = match error {
        Error::Unavailable { source: Some(source) } => source.downcast_ref::<Error>(),
        _ => None,
    };
    match behind.unwrap_or(error) {
        Error::Credentials { what } => {
            let message = format!("the NATS servers at {servers} do not accept the credentials: {what}");
            Failure::new(Exit::Denied, "store_credentials", message)
        }
        Error::Unavailable { .. } => {
            let message = format!("no NATS server can be used at {servers}{}", reason(error));
            Failure::new(Exit::Unreachable, "store_unreachable", message)
        }
        Error::Unsuitable { what } => Failure::new(Exit::Other, "store_unsuitable", what.clone()),
        _ => error.clone().into(),
    }
}

/// The innermost of what lies behind an error.
fn reason(error: &Error) -> String {
    let mut source = error.source();
    while let Some(deeper) = source.and_then(std::error::Error::source) {
        source = Some(deeper);
    }
    source.map(|source| format!(": {source}")).unwrap_or_default()
}
