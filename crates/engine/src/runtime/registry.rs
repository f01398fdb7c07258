//! The functions that are known, by environment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use claviger_core::{Caller, EnvironmentName, EventPosition, FunctionId, Pattern, Revision, Timestamp, subject_token};
use claviger_crypto::sha256;
use claviger_store::{Expected, Filter, Record, Stream, Subject};
use futures_util::StreamExt;

use super::FunctionSpec;
use crate::{
    Error,
    events::Event,
    record::{function::StoredFunction, order},
    shared::Shared,
};

/// A function as registered last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its environment.
    pub environment: EnvironmentName,
    /// What it declares.
    pub spec: FunctionSpec,
    /// When it was last registered with a change.
    pub updated_at: Timestamp,
    /// How far events had come when each of its triggers was registered: those start nothing.
    pub after: Vec<EventPosition>,
    /// The revision of that registration.
    pub revision: Revision,
}

impl Function {
    fn after_of(&self, trigger: &Pattern) -> Option<EventPosition> {
        let at = self.spec.triggers.iter().position(|known| known == trigger)?;
        self.after.get(at).copied()
    }

    fn is_started_by(&self, event: &Event) -> bool {
        let mut triggers = self.spec.triggers.iter().zip(&self.after);
        triggers.any(|(trigger, after)| trigger.matches(event.name.as_str()) && event.is_after(after))
    }
}

type Known = HashMap<EnvironmentName, BTreeMap<FunctionId, Arc<Function>>>;

/// A fold of the functions stream, kept current by a tail. Reading takes no lock.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Shared,
    known: Arc<ArcSwap<Known>>,
}

impl Registry {
    /// Reads every declaration, then follows the stream.
    pub(crate) async fn open(shared: Shared) -> Result<Registry, Error> {
        let registry = Registry { shared, known: Arc::default() };
        let mut after = Revision::ZERO;
        loop {
            let records = registry.shared.ledger.read(Stream::Functions, &Filter::All, after, 1_000).await?;
            let Some(last) = records.last() else { break };
            after = last.revision;
            for record in &records {
                registry.fold(record)?;
            }
        }
        let follower = registry.clone();
        registry.shared.tasks.spawn(async move { follower.follow(after).await });
        Ok(registry)
    }

    async fn follow(&self, mut after: Revision) {
        while !self.shared.stop.is_cancelled() {
            let mut tail = self.shared.ledger.tail(Stream::Functions, Filter::All, after);
            loop {
                let next = tokio::select! {
                    next = tail.next() => next,
                    () = self.shared.stop.cancelled() => return,
                };
                let Some(Ok(record)) = next else { break };
                after = record.revision;
                if let Err(error) = self.fold(&record) {
                    tracing::error!(code = error.code(), "a function's declaration could not be read: {error}");
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    fn fold(&self, record: &Record) -> Result<(), Error> {
        let corrupt = || Error::Corrupt { stream: "functions", revision: record.revision, what: "it breaks a rule" };
        let stored: StoredFunction = self.shared.verify(Stream::Functions, record)?;
        let spec = stored.read().ok_or_else(corrupt)?;
        let environment: EnvironmentName =
            record.subject.tokens().nth(1).and_then(|name| name.parse().ok()).ok_or_else(corrupt)?;
        let known = self.get(&environment, &spec.id).map_or(Revision::ZERO, |function| function.revision);
        if known < record.revision {
            order::check_follows(Stream::Functions, record, known)?;
        }
        let function = Arc::new(Function {
            environment,
            spec,
            updated_at: Timestamp(stored.at),
            after: stored.after(),
            revision: record.revision,
        });
        self.known.rcu(|known| {
            let mut next = Known::clone(known);
            let functions = next.entry(function.environment.clone()).or_default();
            // The tail may come behind a registration that was folded when it was made.
            if functions.get(&function.spec.id).is_none_or(|present| present.revision < function.revision) {
                functions.insert(function.spec.id.clone(), function.clone());
            }
            next
        });
        Ok(())
    }

    /// Stores a declaration, unless it is the present one already.
    pub(crate) async fn register(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        spec: &FunctionSpec,
    ) -> Result<(), Error> {
        let subject = Subject::new(&["function", environment.as_str(), &subject_token(spec.id.as_str(), sha256)]);
        loop {
            let present = self.get(environment, &spec.id);
            if present.as_ref().is_some_and(|function| function.spec == *spec) {
                return Ok(());
            }
            let expected = present.as_ref().map_or(Expected::Absent, |function| Expected::At(function.revision));
            let now = self.shared.now();
            // A trigger that stays keeps its place: an event may be on its way.
            let known = |trigger| present.as_ref().and_then(|function| function.after_of(trigger));
            let end = match spec.triggers.iter().all(|trigger| known(trigger).is_some()) {
                true => EventPosition::default(),
                false => self.end_of_events().await?,
            };
            let after = spec.triggers.iter().map(|trigger| known(trigger).unwrap_or(end)).collect();
            let stored = StoredFunction::new(spec, caller.id.clone(), now, after);
            let append = self.shared.sign(Stream::Functions, subject.clone(), &stored, expected);
            let bytes: Arc<[u8]> = append.bytes.clone().into();
            match self.shared.append(append).await {
                Ok(revision) => return self.fold(&Record { subject, revision, stored_at: now, bytes }),
                Err(Error::Store(claviger_store::Error::Conflict { .. })) => self.read(&subject).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// How far events have come, whichever server stored them.
    async fn end_of_events(&self) -> Result<EventPosition, Error> {
        let ledger = &self.shared.ledger;
        Ok(EventPosition {
            events: ledger.barrier(Stream::Events).await?,
            secrets: ledger.barrier(Stream::Secrets).await?,
            access: ledger.barrier(Stream::Access).await?,
        })
    }

    /// Catches up with what another worker declared.
    async fn read(&self, subject: &Subject) -> Result<(), Error> {
        match self.shared.ledger.last(Stream::Functions, subject).await? {
            Some(record) => self.fold(&record),
            None => Err(Error::Bug { what: "a conflict with a record that is not there" }),
        }
    }

    pub(crate) fn get(&self, environment: &EnvironmentName, id: &FunctionId) -> Option<Arc<Function>> {
        self.known.load().get(environment)?.get(id).cloned()
    }

    /// Every function of an environment, by id.
    pub(crate) fn list(&self, environment: &EnvironmentName) -> Vec<Arc<Function>> {
        self.known.load().get(environment).map(|known| known.values().cloned().collect()).unwrap_or_default()
    }

    /// The functions that an event starts.
    pub(crate) fn triggered(&self, event: &Event) -> Vec<Arc<Function>> {
        let known = self.known.load();
        let Some(functions) = known.get(&event.environment) else { return Vec::new() };
        functions.values().filter(|function| function.is_started_by(event)).cloned().collect()
    }
}
