//! The keyring and the data keys in the ledger. These records are not signed: the keyring is what signs, and each
//! carries its own wrapping.

use std::sync::Arc;

use claviger_core::{EnvironmentName, Revision};
use claviger_crypto::{Keyring, MasterKey};
use claviger_store::{Append, Expected, Ledger, Record, Stream, Subject};

use crate::Error;

/// `keyring`
pub(crate) fn keyring_subject() -> Subject {
    Subject::new(&["keyring"])
}

/// `datakey.<env>.<id>`; `None` when the text cannot be an id.
pub(crate) fn data_key_subject(environment: &EnvironmentName, id: &str) -> Option<Subject> {
    Subject::parse(&format!("datakey.{environment}.{id}"))
}

/// Opens the keyring; creates it on a new store.
pub(crate) async fn open(ledger: &dyn Ledger, master: &MasterKey) -> Result<Keyring, Error> {
    let subject = keyring_subject();
    if let Some(record) = ledger.last(Stream::Keyring, &subject).await? {
        return open_record(master, &record);
    }
    let (keyring, wrapped) = Keyring::create(master);
    match append(ledger, Append::new(Stream::Keyring, subject.clone(), wrapped, Expected::Absent)).await {
        Ok(()) => Ok(keyring),
        // Another server was first: its keyring is the one.
        Err(Error::Store(claviger_store::Error::Conflict { .. })) => {
            let record = ledger.last(Stream::Keyring, &subject).await?;
            open_record(master, &record.ok_or(Error::Bug { what: "a conflict with a record that is not there" })?)
        }
        Err(error) => Err(error),
    }
}

/// Draws a data key for an environment and stores it; answers its id. It is used once it is loaded, which is once an
/// environment's record names it: of two servers that create the same environment, one has drawn a key for nothing.
pub(crate) async fn create_data_key(
    ledger: &dyn Ledger,
    keyring: &Keyring,
    environment: &EnvironmentName,
) -> Result<Arc<str>, Error> {
    let (id, wrapped) = keyring.create_data_key(environment.as_str());
    let id = id.to_string();
    let subject = Subject::new(&["datakey", environment.as_str(), &id]);
    append(ledger, Append::new(Stream::Keyring, subject, wrapped, Expected::Absent)).await?;
    Ok(id.into())
}

/// Loads the data key that an environment's record names.
pub(crate) async fn load_data_key(
    ledger: &dyn Ledger,
    keyring: &Keyring,
    environment: &EnvironmentName,
    id: &str,
) -> Result<(), Error> {
    let missing =
        Error::Corrupt { stream: Stream::Keyring.name(), revision: Revision::ZERO, what: "a data key is gone" };
    let Some(subject) = data_key_subject(environment, id) else { return Err(missing) };
    let record = ledger.last(Stream::Keyring, &subject).await?.ok_or(missing)?;
    match keyring.load_data_key(environment.as_str(), &record.bytes) {
        Ok(loaded) if loaded.to_string() == id => Ok(()),
        Ok(_) => Err(corrupt(&record, "the data key stands in the place of another")),
        Err(_) => Err(corrupt(&record, "the data key does not open")),
    }
}

/// Opens a record of the keyring.
pub(crate) fn open_record(master: &MasterKey, record: &Record) -> Result<Keyring, Error> {
    Keyring::open(master, &record.bytes).map_err(|error| match error {
        claviger_crypto::Error::WrongMasterKey { expected, given } => {
            Error::WrongMasterKey { expected: expected.to_string(), given: given.to_string() }
        }
        _ => corrupt(record, "the keyring does not open"),
    })
}

async fn append(ledger: &dyn Ledger, append: Append) -> Result<(), Error> {
    let results = ledger.append(vec![append]).await;
    let one = results.into_iter().next().ok_or(Error::Bug { what: "the ledger answered fewer results" })?;
    Ok(one.map(drop)?)
}

pub(crate) fn corrupt(record: &Record, what: &'static str) -> Error {
    Error::Corrupt { stream: Stream::Keyring.name(), revision: record.revision, what }
}
