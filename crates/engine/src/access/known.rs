//! Every environment, API key and space, in memory and kept current, so that authentication asks no store and a revoked
//! key fails at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    sync::Arc,
};

use claviger_core::{Caller, EnvironmentName, Revision, SpaceName};
use claviger_crypto::Keyring;
use claviger_store::{Filter, Record, Stream};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::known_spaces::{KnownSpace, KnownSpaces, is_of_space};
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
    spaces: KnownSpaces,
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
    /// does not know who may do what does not start. Only a damaged space is a matter of its own.
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
                match self.deal_with(shared, record).await {
                    Err(error @ Error::Corrupt { .. }) if is_of_space(record) => self.distrust(record, &error),
                    outcome => outcome?,
                }
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
            AccessRecord::Space(stored) => state.spaces.apply(stored, revision),
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

    /// The space as it is, or as it was when it was deleted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its last record is damaged.
    pub(crate) fn space(
        &self,
        environment: &EnvironmentName,
        name: &SpaceName,
    ) -> Result<Option<Arc<KnownSpace>>, Error> {
        self.state.read().spaces.find(environment, name).map(|known| known.cloned())
    }

    /// The revision of the last record of a space, zero for none.
    pub(crate) fn last_of_space(&self, environment: &EnvironmentName, name: &SpaceName) -> Revision {
        self.state.read().spaces.last(environment, name)
    }

    /// Looks at all spaces. Nothing can change meanwhile.
    pub(crate) fn with_spaces<T>(&self, look: impl FnOnce(&KnownSpaces) -> T) -> T {
        look(&self.state.read().spaces)
    }

    async fn deal(&self, shared: &Shared, records: Vec<Record>) -> ControlFlow<()> {
        for record in &records {
            match self.deal_with(shared, record).await {
                Ok(()) => {}
                Err(error @ Error::Corrupt { .. }) => self.distrust(record, &error),
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
        if let AccessRecord::Environment(environment) = &read {
            // An environment is known only once its values can be sealed and opened here.
            load_data_key(shared, environment).await?;
        }
        self.check_order(&read, record)?;
        self.apply(read, record.revision);
        Ok(())
    }

    /// Applies the last record of an API key or a space that another server wrote.
    pub(crate) fn catch_up(&self, keyring: &Keyring, record: &Record) -> Result<(), Error> {
        let read = AccessRecord::read(keyring, record);
        match read.and_then(|read| self.check_order(&read, record).map(|()| read)) {
            Ok(read) => {
                self.apply(read, record.revision);
                Ok(())
            }
            Err(error) => {
                self.distrust(record, &error);
                Err(error)
            }
        }
    }

    /// The record of a key from before its revocation must not come back, nor that of a space from before its deletion.
    fn check_order(&self, read: &AccessRecord, record: &Record) -> Result<(), Error> {
        let known = match read {
            // Its first record counts.
            AccessRecord::Environment(_) => return Ok(()),
            AccessRecord::ApiKey(key) => self.api_key(&key.info.id).map_or(Revision::ZERO, |known| known.last),
            AccessRecord::Space(space) => self.last_of_space(&space.environment, &space.name),
        };
        if known >= record.revision {
            return Ok(());
        }
        order::check_follows(Stream::Access, record, known)
    }

    /// A damaged record may have been the key's revocation: the key is not accepted any more. Nobody knows what became of a
    /// space with a damaged record: it is not reached before a newer one tells.
    fn distrust(&self, record: &Record, error: &Error) {
        tracing::error!(%error, subject = %record.subject, "an access record is damaged");
        let mut state = self.state.write();
        let mut tokens = record.subject.tokens();
        match (tokens.next(), tokens.next()) {
            (Some("apikey"), Some(id)) => {
                state.api_keys.remove(id);
                state.distrusted.insert(id.into());
            }
            _ if is_of_space(record) => state.spaces.distrust(record),
            _ => return,
        }
        drop(state);
        self.changes.send_replace(());
    }
}

pub(super) async fn load_data_key(shared: &Shared, environment: &StoredEnvironment) -> Result<(), Error> {
    keys::load_data_key(&*shared.ledger, &shared.keyring, &environment.name, &environment.data_key).await
}
