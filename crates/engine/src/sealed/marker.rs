//! The record that says how a store's names stand there.

use claviger_core::Revision;
use claviger_crypto::Keyring;
use claviger_store::{Expected, Filter, Ledger, Stream, Subject};
use serde::{Deserialize, Serialize};

use super::Names;
use crate::{Error, record};

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Marker {
    names: Form,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Plain,
    Sealed,
}

/// `names`, in the keyring stream.
pub(crate) fn names_subject() -> Subject {
    Subject::new(&["names"])
}

/// What the store's marker says; `None` when it has none.
pub(crate) async fn stored(ledger: &dyn Ledger, keyring: &Keyring) -> Result<Option<Names>, Error> {
    let Some(record) = ledger.last(Stream::Keyring, &names_subject()).await? else { return Ok(None) };
    let marker: Marker = record::verify(keyring, Stream::Keyring, &record)?;
    Ok(Some(match marker.names {
        Form::Plain => Names::Plain,
        Form::Sealed => Names::Sealed,
    }))
}

/// Sees to it that the store is marked with `names`. Of servers that make a store together, the first decides.
pub(super) async fn agree(ledger: &dyn Ledger, keyring: &Keyring, names: Names) -> Result<(), Error> {
    // Asked before the marker: a store that is used was marked first, or is from before there were markers.
    let is_used = !ledger.read(Stream::Access, &Filter::All, Revision::ZERO, 1).await?.is_empty();
    let found = match stored(ledger, keyring).await? {
        Some(found) => found,
        None if is_used => Names::Plain,
        None => mark(ledger, keyring, names).await?,
    };
    if found == names { Ok(()) } else { Err(Error::NamesMismatch { stored: found.as_str(), asked: names.as_str() }) }
}

/// Marks a new store; answers what it is marked with.
async fn mark(ledger: &dyn Ledger, keyring: &Keyring, names: Names) -> Result<Names, Error> {
    let form = match names {
        Names::Plain => Form::Plain,
        Names::Sealed => Form::Sealed,
    };
    let place = (Stream::Keyring, names_subject());
    let append = record::sign(keyring, place, &Marker { names: form }, Expected::Absent);
    let bug = |what| Error::Bug { what };
    match ledger.append(vec![append]).await.pop().ok_or(bug("the ledger answered fewer results"))? {
        Ok(_) => Ok(names),
        Err(claviger_store::Error::Conflict { .. }) => {
            stored(ledger, keyring).await?.ok_or(bug("a conflict with a record that is not there"))
        }
        Err(error) => Err(error.into()),
    }
}
