//! The functions that are known, by environment.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use claviger_core::{Caller, EnvironmentName, EventPosition, FunctionId, Revision, Timestamp, subject_token};
use claviger_crypto::sha256;
use claviger_store::{Expected, Filter, Record, Stream, Subject};
use futures_util::StreamExt;

use super::{FunctionSpec, beginnings::Beginnings, condition::Candidate};
use crate::{
    Error,
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
    /// From where events count.
    beginnings: Beginnings,
    /// The revision of that registration.
    pub revision: Revision,
}

impl Function {
    fn is_started_by(&self, candidate: &Candidate<'_>) -> bool {
        let event = candidate.event;
        self.spec.covers(event.space.as_ref())
            && event.is_after(&self.beginnings.in_space(event.space.as_ref()))
            && self.spec.triggers.iter().zip(&self.beginnings.triggers).any(|(trigger, after)| {
                trigger.event.matches(event.name.as_str())
                    && event.is_after(after)
                    && candidate.meets(&trigger.conditions)
            })
    }
}

/// What came of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It stands.
    Done,
    /// The function is declared for spaces outside the caller's, and so not the caller's to change.
    Foreign,
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
            beginnings: stored.beginnings().ok_or_else(corrupt)?,
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

    /// Stores a declaration, unless it is the present one already, or the present one is not the caller's to replace.
    pub(crate) async fn register(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        spec: &FunctionSpec,
    ) -> Result<Registered, Error> {
        let subject = Subject::new(&["function", environment.as_str(), &subject_token(spec.id.as_str(), sha256)]);
        loop {
            let present = self.get(environment, &spec.id);
            if let Some(present) = &present {
                if !present.spec.is_within_reach_of(caller) {
                    return Ok(Registered::Foreign);
                }
                if present.spec == *spec {
                    return Ok(Registered::Done);
                }
            }
            let expected = present.as_ref().map_or(Expected::Absent, |function| Expected::At(function.revision));
            let now = self.shared.now();
            let beginnings = self.beginnings(present.as_deref(), spec).await?;
            let stored = StoredFunction::new(spec, caller.id.clone(), now, &beginnings);
            let append = self.shared.sign(Stream::Functions, subject.clone(), &stored, expected);
            let bytes: Arc<[u8]> = append.bytes.clone().into();
            match self.shared.append(append).await {
                Ok(revision) => {
                    self.fold(&Record { subject, revision, stored_at: now, bytes })?;
                    return Ok(Registered::Done);
                }
                Err(Error::Store(claviger_store::Error::Conflict { .. })) => self.read(&subject).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// From where events count for a declaration. What was declared before keeps its place: an event may be on its way.
    async fn beginnings(&self, present: Option<&Function>, spec: &FunctionSpec) -> Result<Beginnings, Error> {
        let present = present.map(|function| (&function.spec, &function.beginnings));
        let end = match Beginnings::are_due(present, spec) {
            true => self.end_of_events().await?,
            false => EventPosition::default(),
        };
        Ok(Beginnings::new(present, spec, end))
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
    pub(crate) fn triggered(&self, candidate: &Candidate<'_>) -> Vec<Arc<Function>> {
        let known = self.known.load();
        let Some(functions) = known.get(&candidate.event.environment) else { return Vec::new() };
        functions.values().filter(|function| function.is_started_by(candidate)).cloned().collect()
    }
}
