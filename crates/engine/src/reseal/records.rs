//! What each kind of record becomes.

use std::sync::Arc;

use claviger_crypto::Binding;
use claviger_store::{Record, Rewritten, Stream};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::Reseal;
use crate::{
    Error,
    keys::{corrupt, keyring_subject},
    record::{
        access::AccessForm,
        event::StoredEvent,
        run::{Owner, StoredEntry},
        secret::SecretForm,
        sign_again, verify,
    },
    sealed::names_subject,
};

impl Reseal {
    /// The record under the new keys. It says the same, at the same place; only data keys have another subject, since an id
    /// never stands for two keys.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record does not verify under the former keys, or something sealed in it does not open.
    pub fn record(&self, stream: Stream, record: &Record) -> Result<Rewritten, Error> {
        let bytes = match stream {
            Stream::Keyring => return self.key(record),
            Stream::Access => self.change(stream, record, |form| self.access(record, form)),
            Stream::Secrets => self.change(stream, record, |form| self.secret(record, form)),
            Stream::Events => self.change(stream, record, |event| self.event(record, event)),
            Stream::Runs => self.change(stream, record, |entry| self.run(record, entry)),
            // Nothing in them is sealed or names a key.
            Stream::Functions | Stream::Audit => self.change(stream, record, |_: &mut Box<RawValue>| Ok(())),
        };
        Ok(Rewritten { subject: record.subject.clone(), bytes: bytes? })
    }

    /// Verifies a signed record, changes its body, and signs it again.
    fn change<T: Serialize + DeserializeOwned>(
        &self,
        stream: Stream,
        record: &Record,
        change: impl FnOnce(&mut T) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        let mut body: T = verify(&self.former, stream, record)?;
        change(&mut body)?;
        Ok(sign_again(&self.renewed, stream, record, &body))
    }

    fn key(&self, record: &Record) -> Result<Rewritten, Error> {
        if record.subject == keyring_subject() {
            return Ok(Rewritten { subject: record.subject.clone(), bytes: self.wrapped.clone() });
        }
        if record.subject == names_subject() {
            let bytes = self.change(Stream::Keyring, record, |_: &mut Box<RawValue>| Ok(()))?;
            return Ok(Rewritten { subject: record.subject.clone(), bytes });
        }
        let new = self.data_keys.get(&record.subject).ok_or(corrupt(record, "it was not there before"))?;
        Ok(Rewritten { subject: new.subject.clone(), bytes: new.bytes.clone() })
    }

    fn access(&self, record: &Record, form: &mut AccessForm) -> Result<(), Error> {
        let corrupt = |what| Error::Corrupt { stream: Stream::Access.name(), revision: record.revision, what };
        if let AccessForm::Environment { name, data_key, .. } = form {
            let name = name.parse().map_err(|_| corrupt("it names no environment"))?;
            let new = self.successor(&name, data_key).ok_or(corrupt("its data key is gone"))?;
            *data_key = new.id.clone();
        }
        Ok(())
    }

    fn secret(&self, record: &Record, form: &mut SecretForm) -> Result<(), Error> {
        let is_whole =
            form.renew_envelope(|binding, envelope| self.envelope(Stream::Secrets, record, binding, envelope))?;
        let what = "it is no state a secret can be in";
        let corrupt = Error::Corrupt { stream: Stream::Secrets.name(), revision: record.revision, what };
        if is_whole { Ok(()) } else { Err(corrupt) }
    }

    fn event(&self, record: &Record, event: &mut StoredEvent) -> Result<(), Error> {
        let binding = Binding::Event { environment: &event.environment, event_id: &event.id };
        event.data = self.envelope(Stream::Events, record, &binding, &event.data)?;
        if let Some(view) = &mut event.view {
            view.0 = self.envelope(Stream::Events, record, &binding, &view.0)?;
        }
        Ok(())
    }

    fn run(&self, record: &Record, entry: &mut StoredEntry) -> Result<(), Error> {
        let mut tokens = record.subject.tokens().skip(1);
        let (Some(environment), Some(run)) = (tokens.next(), tokens.next()) else {
            let what = "it stands where no run can be";
            return Err(Error::Corrupt { stream: Stream::Runs.name(), revision: record.revision, what });
        };
        entry.renew_envelopes(Owner { environment, run }, &mut |binding: &Binding<'_>, envelope: &[u8]| {
            self.envelope(Stream::Runs, record, binding, envelope)
        })
    }

    /// Opens an envelope and seals what is in it with the new data key of its environment.
    fn envelope(
        &self,
        stream: Stream,
        record: &Record,
        binding: &Binding<'_>,
        envelope: &[u8],
    ) -> Result<Arc<[u8]>, Error> {
        let corrupt = |what| Error::Corrupt { stream: stream.name(), revision: record.revision, what };
        let opened = self.former.open_sealed(binding, envelope).map_err(|_| corrupt("what is sealed does not open"))?;
        let sealed =
            self.renewed.seal(binding, opened.expose()).map_err(|_| corrupt("its environment has no data key"))?;
        Ok(sealed.into())
    }
}
