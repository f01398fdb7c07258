//! Moving a store to new keys, for when somebody may have a copy of the former ones.

mod records;

use std::{collections::HashMap, sync::Arc};

use claviger_core::{EnvironmentName, Revision};
use claviger_crypto::{Keyring, MasterKey};
use claviger_store::{Filter, Ledger, Record, Stream, Subject};

use crate::{
    Error,
    keys::{self, corrupt, data_key_subject, keyring_subject},
    record::access::AccessRecord,
    sealed::{self, Names, names_subject},
};

/// Records read at once.
const PAGE: usize = 1_000;

/// New keys for a whole store: a keyring key, and a data key for each that there is. [`Reseal::record`] moves one record to
/// them; nothing is of use before all are moved, so the store has to replace them in one go, with nobody else using it.
///
/// The pepper of the API keys stays, so that they go on being accepted.
pub struct Reseal {
    former: Keyring,
    renewed: Keyring,
    /// The record of the renewed keyring.
    wrapped: Vec<u8>,
    /// By the subject of the data key that each replaces.
    data_keys: HashMap<Subject, NewDataKey>,
}

struct NewDataKey {
    id: Arc<str>,
    subject: Subject,
    bytes: Vec<u8>,
}

impl Reseal {
    /// Draws the keys for moving a store from the former to the given master key. `None` when there is nothing to move:
    /// the store is new, or it has the given master key already.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when the store has another master key than these two, [`Error::NamesMismatch`] when its
    /// names are sealed, [`Error::Corrupt`] when a key or an access record is damaged, and what the store says.
    pub async fn plan(
        ledger: &dyn Ledger,
        former: Option<&MasterKey>,
        master: &MasterKey,
    ) -> Result<Option<Reseal>, Error> {
        let Some(record) = ledger.last(Stream::Keyring, &keyring_subject()).await? else { return Ok(None) };
        let wrong = match keys::open_record(master, &record) {
            Ok(_) => return Ok(None),
            Err(error @ Error::WrongMasterKey { .. }) => error,
            Err(error) => return Err(error),
        };
        // If neither key is the right one, what counts is the one that is to be used.
        let former = former.and_then(|former| keys::open_record(former, &record).ok()).ok_or(wrong)?;
        if sealed::stored(ledger, &former).await? == Some(Names::Sealed) {
            return Err(Error::NamesMismatch { stored: Names::Sealed.as_str(), asked: Names::Plain.as_str() });
        }
        let (renewed, wrapped) = former.renew(master);
        let mut reseal = Reseal { former, renewed, wrapped, data_keys: HashMap::new() };
        for record in read_all(ledger, Stream::Keyring).await? {
            reseal.plan_key(&record)?;
        }
        for record in read_all(ledger, Stream::Access).await? {
            reseal.plan_environment(&record)?;
        }
        Ok(Some(reseal))
    }

    /// Draws the successor of a data key.
    fn plan_key(&mut self, record: &Record) -> Result<(), Error> {
        if [keyring_subject(), names_subject()].contains(&record.subject) {
            return Ok(());
        }
        let (environment, id) = data_key_place(&record.subject).ok_or(corrupt(record, "it is no key"))?;
        match self.former.load_data_key(environment.as_str(), &record.bytes) {
            Ok(loaded) if loaded.to_string() == id => {}
            Ok(_) => return Err(corrupt(record, "the data key stands in the place of another")),
            Err(_) => return Err(corrupt(record, "the data key does not open")),
        }
        let (id, bytes) = self.renewed.create_data_key(environment.as_str());
        let id: Arc<str> = id.to_string().into();
        let subject = data_key_subject(&environment, &id).ok_or(Error::Bug { what: "an id that is no token" })?;
        self.data_keys.insert(record.subject.clone(), NewDataKey { id, subject, bytes });
        Ok(())
    }

    /// Loads the successor of the data key that an environment's record names. It alone seals.
    fn plan_environment(&self, record: &Record) -> Result<(), Error> {
        let AccessRecord::Environment(environment) = AccessRecord::read(&self.former, record)? else { return Ok(()) };
        let corrupt = |what| Error::Corrupt { stream: Stream::Access.name(), revision: record.revision, what };
        let new = self.successor(&environment.name, &environment.data_key).ok_or(corrupt("its data key is gone"))?;
        let loaded = self.renewed.load_data_key(environment.name.as_str(), &new.bytes);
        loaded.map(drop).map_err(|_| Error::Bug { what: "a new data key that does not open" })
    }

    fn successor(&self, environment: &EnvironmentName, former: &str) -> Option<&NewDataKey> {
        self.data_keys.get(&data_key_subject(environment, former)?)
    }
}

/// The environment and the id in a data key's subject.
fn data_key_place(subject: &Subject) -> Option<(EnvironmentName, &str)> {
    let mut tokens = subject.tokens();
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some("datakey"), Some(environment), Some(id), None) => Some((environment.parse().ok()?, id)),
        _ => None,
    }
}

async fn read_all(ledger: &dyn Ledger, stream: Stream) -> Result<Vec<Record>, Error> {
    let (mut all, mut after): (Vec<Record>, _) = (Vec::new(), Revision::ZERO);
    loop {
        let page = ledger.read(stream, &Filter::All, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.revision;
        all.extend(page);
    }
}

impl std::fmt::Debug for Reseal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reseal(…)")
    }
}
