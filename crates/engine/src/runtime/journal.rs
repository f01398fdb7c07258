//! Journals: loading, and appending guarded by the last revision.

use std::{collections::HashMap, sync::Arc};

use claviger_core::{
    EnvironmentName, ErrorKind, Redactor, Revision, Timestamp,
    run::{Command, Entry, Run, RunId, apply},
};
use claviger_store::{Append, Expected, Record, Stream, Subject};
use parking_lot::Mutex;

use super::pool::Slot;
use crate::{
    Error, LiveHold,
    record::{
        run::StoredEntry,
        summary::{Status, Summary},
    },
    shared::Shared,
};

/// A run as this process knows it. Whoever wants to change it holds its lock.
#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) run: Option<Run>,
    pub(crate) job: Option<HeldJob>,
}

/// What this process keeps for a job that one of its workers holds.
pub(crate) struct HeldJob {
    pub(crate) fence: Revision,
    pub(crate) slot: Slot,
    /// Masks the values that were ever handed to this run.
    pub(crate) redactor: Redactor,
    /// Keeps them masked in logs.
    pub(crate) _live: LiveHold,
}

pub(crate) type SharedCell = Arc<tokio::sync::Mutex<Cell>>;

/// The runs that something is happening to.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Shared,
    cells: Arc<Mutex<HashMap<RunId, SharedCell>>>,
}

/// A run before and after an entry was appended.
pub(crate) struct Applied {
    pub(crate) before: Option<Run>,
    pub(crate) revision: Revision,
    /// What became of the append that followed, if one did.
    pub(crate) followed: Option<Result<Revision, Error>>,
}

pub(crate) fn subject(environment: &EnvironmentName, run: RunId) -> Subject {
    Subject::new(&["run", environment.as_str(), &run.to_string()])
}

impl Journal {
    pub(crate) fn new(shared: Shared) -> Journal {
        Journal { shared, cells: Arc::default() }
    }

    /// The run's cell, to be locked. Pass it to [`Journal::let_go`] afterwards.
    pub(crate) fn cell(&self, run: RunId) -> SharedCell {
        self.cells.lock().entry(run).or_default().clone()
    }

    /// The run's cell, if something is happening to it.
    pub(crate) fn known_cell(&self, run: RunId) -> Option<SharedCell> {
        self.cells.lock().get(&run).cloned()
    }

    /// Forgets the cell when nobody else uses it and no worker holds the run.
    pub(crate) fn let_go(&self, run: RunId, cell: SharedCell) {
        let is_held = cell.try_lock().is_ok_and(|cell| cell.job.is_some());
        let mut cells = self.cells.lock();
        // Two: the map's and ours. With a third somebody waits for the lock and will let go later.
        if !is_held && Arc::strong_count(&cell) == 2 {
            cells.remove(&run);
        }
    }

    /// Reads the journal and folds it.
    pub(crate) async fn load(&self, environment: &EnvironmentName, id: RunId) -> Result<Option<Run>, Error> {
        let records = self.shared.ledger.history(Stream::Runs, &subject(environment, id)).await?;
        let mut run = None;
        for record in &records {
            let corrupt = |what| Error::Corrupt { stream: "runs", revision: record.revision, what };
            let (entry, at) = self.read(record)?;
            let next = Run::fold(run, id, &entry, record.revision, at);
            run = Some(next.ok_or(corrupt("it cannot follow the record before it"))?);
        }
        Ok(run)
    }

    /// The journal's records, read.
    pub(crate) fn read(&self, record: &Record) -> Result<(Entry, Timestamp), Error> {
        let stored: StoredEntry = self.shared.verify(Stream::Runs, record)?;
        let corrupt = || Error::Corrupt { stream: "runs", revision: record.revision, what: "it breaks a rule" };
        Ok((stored.entry.read().ok_or_else(corrupt)?, Timestamp(stored.at)))
    }

    /// Loads into the cell what is not there. False when there is no such run.
    pub(crate) async fn fill(&self, cell: &mut Cell, environment: &EnvironmentName, id: RunId) -> Result<bool, Error> {
        if cell.run.is_none() {
            cell.run = self.load(environment, id).await?;
        }
        Ok(cell.run.as_ref().is_some_and(|run| run.environment == *environment))
    }

    /// Creates a run, once. `None` when it exists already.
    pub(crate) async fn create(
        &self,
        cell: &mut Cell,
        id: RunId,
        entry: Entry,
        follow: Option<Append>,
    ) -> Result<Option<Applied>, Error> {
        let now = self.shared.now();
        match self.append(cell, None, (id, entry, now), follow).await {
            Ok(applied) => Ok(Some(applied)),
            Err(Error::Store(claviger_store::Error::Conflict { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies a command to the run in the cell, which must be filled. When another process changed the
    /// run meanwhile, it is read again and the command is judged anew.
    pub(crate) async fn transition(
        &self,
        cell: &mut Cell,
        command: Command,
        follow: Option<Append>,
    ) -> Result<Option<Applied>, Error> {
        loop {
            let run = cell.run.clone().ok_or(Error::RunNotFound)?;
            let now = self.shared.now();
            let Some(entry) = apply(&run, command.clone(), now)?.entry else { return Ok(None) };
            let (id, environment) = (run.id, run.environment.clone());
            match self.append(cell, Some(run), (id, entry, now), follow.clone()).await {
                Ok(applied) => return Ok(Some(applied)),
                Err(Error::Store(claviger_store::Error::Conflict { .. })) => {
                    cell.run = self.load(&environment, id).await?;
                }
                Err(error) => {
                    // Whether it was stored is unknown: the ledger knows.
                    cell.run = None;
                    return Err(error);
                }
            }
        }
    }

    async fn append(
        &self,
        cell: &mut Cell,
        before: Option<Run>,
        (id, entry, now): (RunId, Entry, Timestamp),
        follow: Option<Append>,
    ) -> Result<Applied, Error> {
        let bug = Error::Bug { what: "an entry that cannot follow the run's state" };
        let expected = before.as_ref().map_or(Expected::Absent, |run| Expected::At(run.last));
        // The summary does not depend on the revision, which is not known yet.
        let preview = Run::fold(before.clone(), id, &entry, Revision::ZERO, now).ok_or(bug)?;
        let place = subject(&preview.environment, id);
        let stored = StoredEntry { at: now.0, entry: (&entry).into(), summary: summary(&preview) };
        let mut batch = vec![self.shared.sign(Stream::Runs, place, &stored, expected)];
        batch.extend(follow.map(Append::following));
        let mut results = self.shared.ledger.append(batch).await.into_iter();
        let revision = results.next().ok_or(Error::Bug { what: "the ledger answered fewer results" })??;
        cell.run = Run::fold(before.clone(), id, &entry, revision, now);
        Ok(Applied { before, revision, followed: results.next().map(|result| result.map_err(Error::from)) })
    }
}

/// Whether the store may take it later, as it is.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Full | ErrorKind::Unavailable)
}

fn summary(run: &Run) -> Summary {
    let missing = match &run.phase {
        claviger_core::run::Phase::Blocked { missing } => missing.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    Summary {
        function: run.function.as_str().into(),
        status: Status::of(run),
        attempt: run.attempt(),
        event_id: run.cause.event_id.clone(),
        event_name: run.cause.event_name.as_str().into(),
        created_at: run.created_at.0,
        started_at: run.started_at.map(|at| at.0),
        ended_at: run.ended_at.map(|at| at.0),
        due_at: run.due_at().filter(|at| at.0 < i64::MAX).map(|at| at.0),
        missing,
    }
}
