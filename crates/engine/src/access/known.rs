//! Every environment and API key, in memory and kept current, so that authentication asks no store and a revoked key
//! fails at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use claviger_core::{Caller, EnvironmentName, Revision};
use claviger_crypto::Keyring;
use claviger_store::{Filter, Record, Stream};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::{
    Error,
    folded::Folded,
    follow::follow,
    keys,
    record::{
        access::{AccessRecord, StoredApiKey, StoredEnvironment},
        order,
    },
    shared::Shared,
};

/// Records read at once.
const PAGE: usize = 1_000;

/// The fold's name in the index, which notes only how far it has come.
const FOLD: &str = "access";

pub(crate) struct Known {
    state: RwLock<State>,
    folded: Arc<Folded>,
    /// Tells of every change of what is known.
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    environments: BTreeMap<EnvironmentName, StoredEnvironment>,
    api_keys: HashMap<Arc<str>, Arc<KnownApiKey>>,
    /// API keys with a damaged record: not accepted any more, whatever is stored of them later.
    distrusted: HashSet<Box<str>>,
}

/// An API key, with the caller it makes.
pub(crate) struct KnownApiKey {
    /// The revision of its last record.
    pub(crate) last: Revision,
    pub(crate) stored: StoredApiKey,
    pub(crate) caller: Caller,
}

impl Known {
    /// Reads the whole stream. A damaged record is an error, and so are records that were there and are gone: a server that
    /// does not know who may do what does not start.
    pub(crate) async fn open(shared: &Shared) -> Result<Known, Error> {
        // What was known before is only to be compared with: everything is read again.
        Folded::resume(shared, FOLD, Stream::Access).await?;
        let folded = Folded::new(Stream::Access, Revision::ZERO);
        let known = Known { state: RwLock::default(), folded, changes: watch::Sender::new(()) };
        known.read_all(shared).await?;
        Ok(known)
    }

    /// Applies what was appended since this was done last.
    pub(crate) async fn read_all(&self, shared: &Shared) -> Result<(), Error> {
        loop {
            let records = shared.ledger.read(Stream::Access, &Filter::All, self.folded.at(), PAGE).await?;
            let Some(last) = records.last() else { return Ok(()) };
            for record in &records {
                self.deal_with(shared, record).await?;
            }
            self.note(shared, last).await;
        }
    }

    /// Applies what is appended from now on, by this server and by others.
    pub(crate) fn start_following(self: Arc<Self>, shared: Shared) {
        self.folded.watch_over(&shared);
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            let after = self.folded.at();
            follow(&shared, Stream::Access, after, |records| self.deal(&shared, records)).await;
        });
    }

    /// How far the stream has been applied.
    pub(crate) fn folded(&self) -> &Arc<Folded> {
        &self.folded
    }

    /// Hears of every change of what is known.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Notes how far the stream has been applied: here, and in the index for the next start.
    async fn note(&self, shared: &Shared, last: &Record) {
        let reflected = BTreeMap::from([(Stream::Access, last.revision)]);
        if let Err(error) = shared.index.write(FOLD, Vec::new(), reflected).await {
            tracing::warn!(%error, "how far the access stream goes could not be noted");
        }
        self.folded.note(last);
    }

    /// Applies a record. An older one than the last applied of its subject changes nothing.
    pub(crate) fn apply(&self, record: AccessRecord, revision: Revision) {
        let mut state = self.state.write();
        match record {
            AccessRecord::Environment(environment) => {
                state.environments.entry(environment.name.clone()).or_insert(environment);
            }
            AccessRecord::ApiKey(stored) => {
                let present = state.api_keys.get(&stored.info.id);
                let is_newer = present.is_none_or(|known| known.last < revision);
                if is_newer && !state.distrusted.contains(&*stored.info.id) {
                    let caller = stored.info.caller();
                    let known = KnownApiKey { last: revision, stored, caller };
                    state.api_keys.insert(known.caller.id.clone(), Arc::new(known));
                }
            }
        }
        drop(state);
        self.changes.send_replace(());
    }

    pub(crate) fn has_environment(&self, name: &EnvironmentName) -> bool {
        self.state.read().environments.contains_key(name)
    }

    /// Sorted by name.
    pub(crate) fn environments(&self) -> Vec<StoredEnvironment> {
        self.state.read().environments.values().cloned().collect()
    }

    pub(crate) fn api_key(&self, id: &str) -> Option<Arc<KnownApiKey>> {
        self.state.read().api_keys.get(id).cloned()
    }

    /// Whether a record of this API key is damaged.
    pub(crate) fn is_distrusted(&self, id: &str) -> bool {
        self.state.read().distrusted.contains(id)
    }

    pub(crate) fn api_keys(&self) -> Vec<Arc<KnownApiKey>> {
        self.state.read().api_keys.values().cloned().collect()
    }

    async fn deal(&self, shared: &Shared, records: Vec<Record>) -> ControlFlow<()> {
        for record in &records {
            match self.deal_with(shared, record).await {
                Ok(()) => {}
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(%error, subject = %record.subject, "an access record is damaged");
                    self.distrust(record);
                }
                Err(error) => {
                    tracing::warn!(%error, "an access record could not be applied, it will be tried again");
                    return ControlFlow::Break(());
                }
            }
        }
        if let Some(last) = records.last() {
            self.note(shared, last).await;
        }
        ControlFlow::Continue(())
    }

    async fn deal_with(&self, shared: &Shared, record: &Record) -> Result<(), Error> {
        let read = AccessRecord::read(&shared.keyring, record)?;
        match &read {
            // An environment is known only once its values can be sealed and opened here. Its first record counts.
            AccessRecord::Environment(environment) => load_data_key(shared, environment).await?,
            AccessRecord::ApiKey(key) => self.check_order(record, &key.info.id)?,
        }
        self.apply(read, record.revision);
        Ok(())
    }

    /// Applies the last record of an API key that another server wrote.
    pub(crate) fn catch_up(&self, keyring: &Keyring, record: &Record) -> Result<(), Error> {
        let read = AccessRecord::read(keyring, record)?;
        if let AccessRecord::ApiKey(key) = &read {
            self.check_order(record, &key.info.id)?;
        }
        self.apply(read, record.revision);
        Ok(())
    }

    /// The record of a key from before its revocation must not come back.
    fn check_order(&self, record: &Record, id: &str) -> Result<(), Error> {
        let known = self.api_key(id).map_or(Revision::ZERO, |known| known.last);
        if known >= record.revision {
            return Ok(());
        }
        order::check_follows(Stream::Access, record, known)
    }

    /// A damaged record may have been the key's revocation: the key is not accepted any more.
    fn distrust(&self, record: &Record) {
        let mut tokens = record.subject.tokens();
        if let (Some("apikey"), Some(id)) = (tokens.next(), tokens.next()) {
            let mut state = self.state.write();
            state.api_keys.remove(id);
            state.distrusted.insert(id.into());
            drop(state);
            self.changes.send_replace(());
        }
    }
}

pub(super) async fn load_data_key(shared: &Shared, environment: &StoredEnvironment) -> Result<(), Error> {
    keys::load_data_key(&*shared.ledger, &shared.keyring, &environment.name, &environment.data_key).await
}
