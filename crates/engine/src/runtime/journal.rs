//! Journals: loading, and appending guarded by the last revision.

use std::{collections::HashMap, sync::Arc};

use claviger_core::{
    EnvironmentName, ErrorKind, Redactor, Revision, Timestamp,
    run::{Command, Entry, Run, RunId, apply},
};
use claviger_store::{Append, Expected, Record, Stream, Subject};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{deadline::Deadline, lookups::LookedUpValues, pool::Slot};
use crate::{
    Error, LiveHold,
    record::{
        order,
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
    /// The journal may have gone on without us: an append was not answered, or another process was faster.
    pub(crate) is_doubtful: bool,
}

/// What this process keeps for a job that one of its workers holds.
pub(crate) struct HeldJob {
    pub(crate) run: RunId,
    pub(crate) fence: Revision,
    /// When the claim was made or renewed. Not by the wall clock, which may jump.
    pub(crate) renewed_at: Instant,
    pub(crate) slot: Slot,
    /// Masks the values that were handed to this run before, and with the claim.
    pub(crate) redactor: Redactor,
    /// Keeps them masked in logs.
    pub(crate) _live: LiveHold,
    /// What it looked up.
    pub(crate) looked_up: LookedUpValues,
    /// When the job has taken too long.
    pub(crate) _deadline: Option<Deadline>,
}

impl Drop for HeldJob {
    fn drop(&mut self) {
        self.slot.session.no_longer_holds(self.run);
    }
}

type Cells = Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<Cell>>>>;

/// The runs that something is happening to.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Shared,
    cells: Arc<Cells>,
}

/// The use of a run's cell. With the last use of a run that no worker holds, the cell is forgotten.
pub(crate) struct InUse {
    cells: Arc<Cells>,
    run: RunId,
    cell: Option<Arc<tokio::sync::Mutex<Cell>>>,
}

impl InUse {
    /// Locks the cell.
    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, Cell> {
        self.cell.as_ref().expect("the cell is there until the use ends").lock().await
    }

    /// Locks the cell if nobody has.
    pub(crate) fn try_lock(&self) -> Option<tokio::sync::MutexGuard<'_, Cell>> {
        self.cell.as_ref().and_then(|cell| cell.try_lock().ok())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // Uses begin and end under the map's lock only: with two references, the map's and ours, nobody else can look.
        let mut cells = self.cells.lock();
        let Some(cell) = self.cell.take() else { return };
        if Arc::strong_count(&cell) == 2 && cell.try_lock().is_ok_and(|cell| cell.job.is_none()) {
            cells.remove(&self.run);
            drop(cells);
        } else {
            drop(cell);
        }
    }
}

/// A run before and after an entry was appended.
pub(crate) struct Applied {
    pub(crate) before: Option<Run>,
    pub(crate) revision: Revision,
    /// What became of each append that followed.
    pub(crate) followed: Vec<Result<Revision, Error>>,
}

pub(crate) fn subject(environment: &EnvironmentName, run: RunId) -> Subject {
    Subject::new(&["run", environment.as_str(), &run.to_string()])
}

impl Journal {
    pub(crate) fn new(shared: Shared) -> Journal {
        Journal { shared, cells: Arc::default() }
    }

    /// The run's cell, to be locked.
    pub(crate) fn cell(&self, run: RunId) -> InUse {
        let cell = self.cells.lock().entry(run).or_default().clone();
        InUse { cells: self.cells.clone(), run, cell: Some(cell) }
    }

    /// The run's cell, if something is happening to it.
    pub(crate) fn known_cell(&self, run: RunId) -> Option<InUse> {
        let cell = self.cells.lock().get(&run).cloned()?;
        Some(InUse { cells: self.cells.clone(), run, cell: Some(cell) })
    }

    /// Whether a worker here has the run in hand: what ends it is then told here, once nobody changes it.
    pub(crate) async fn is_in_hand(&self, run: RunId) -> bool {
        let Some(cell) = self.known_cell(run) else { return false };
        let cell = cell.lock().await;
        cell.job.is_some() && !cell.is_doubtful && cell.run.as_ref().is_some_and(|run| !run.has_ended())
    }

    /// Whether there is such a run.
    pub(crate) async fn has(&self, environment: &EnvironmentName, id: RunId) -> Result<bool, Error> {
        Ok(self.shared.ledger.last(Stream::Runs, &subject(environment, id)).await?.is_some())
    }

    /// Reads the journal and folds it.
    pub(crate) async fn load(&self, environment: &EnvironmentName, id: RunId) -> Result<Option<Run>, Error> {
        let records = self.shared.ledger.history(Stream::Runs, &subject(environment, id)).await?;
        let mut run = None;
        for record in &records {
            let corrupt = |what| Error::Corrupt { stream: "runs", revision: record.revision, what };
            let (entry, at) = self.read(record)?;
            let last = run.as_ref().map_or(Revision::ZERO, |run: &Run| run.last);
            // None of a journal's records is ever erased alone.
            let next = match order::before(record) {
                Some(before) if before == last => Run::fold(run, id, &entry, record.revision, at),
                _ => None,
            };
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
        if cell.run.is_none() || cell.is_doubtful {
            cell.run = self.load(environment, id).await?;
            cell.is_doubtful = false;
        }
        Ok(cell.run.as_ref().is_some_and(|run| run.environment == *environment))
    }

    /// Creates a run, once. `None` when it exists already.
    pub(crate) async fn create(
        &self,
        cell: &mut Cell,
        id: RunId,
        entry: Entry,
        follow: Vec<Append>,
    ) -> Result<Option<Applied>, Error> {
        let now = self.shared.now();
        match self.append(cell, None, (id, entry, now), follow).await {
            Ok(applied) => Ok(Some(applied)),
            Err(Error::Store(claviger_store::Error::Conflict { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies a command to the run in the cell, which must be filled. When another process changed the
    /// run meanwhile, it is read again and the command is judged anew. After an error the cell may be in doubt.
    pub(crate) async fn transition(
        &self,
        cell: &mut Cell,
        command: Command,
        follow: Vec<Append>,
    ) -> Result<Option<Applied>, Error> {
        loop {
            let run = cell.run.clone().ok_or(Error::RunNotFound)?;
            let (id, environment) = (run.id, run.environment.clone());
            if cell.is_doubtful {
                // A purged run leaves nothing to be in doubt about.
                self.fill(cell, &environment, id).await?;
                continue;
            }
            let now = self.shared.now();
            let Some(entry) = apply(&run, command.clone(), now)?.entry else { return Ok(None) };
            match self.append(cell, Some(run), (id, entry, now), follow.clone()).await {
                Err(Error::Store(claviger_store::Error::Conflict { .. })) => {}
                applied => return applied.map(Some),
            }
        }
    }

    async fn append(
        &self,
        cell: &mut Cell,
        before: Option<Run>,
        (id, entry, now): (RunId, Entry, Timestamp),
        follow: Vec<Append>,
    ) -> Result<Applied, Error> {
        let bug = Error::Bug { what: "an entry that cannot follow the run's state" };
        let expected = before.as_ref().map_or(Expected::Absent, |run| Expected::At(run.last));
        // The summary does not depend on the revision, which is not known yet.
        let preview = Run::fold(before.clone(), id, &entry, Revision::ZERO, now).ok_or(bug)?;
        let place = subject(&preview.environment, id);
        let stored = StoredEntry { at: now.0, entry: (&entry).into(), summary: summary(&preview) };
        let mut batch = vec![self.shared.sign(Stream::Runs, place, &stored, expected)];
        batch.extend(follow.into_iter().map(Append::following));
        // Until there is an answer, and if it is an error: the ledger knows.
        cell.is_doubtful = true;
        let mut results = self.shared.ledger.append(batch).await.into_iter();
        let revision = results.next().ok_or(Error::Bug { what: "the ledger answered fewer results" })??;
        cell.run = Run::fold(cell.run.take(), id, &entry, revision, now);
        cell.is_doubtful = false;
        Ok(Applied { before, revision, followed: results.map(|result| result.map_err(Error::from)).collect() })
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
        space: run.cause.space.as_ref().map(|space| space.as_str().into()),
        created_at: run.created_at.0,
        started_at: run.started_at.map(|at| at.0),
        ended_at: run.ended_at.map(|at| at.0),
        due_at: run.due_at().filter(|at| at.0 < i64::MAX).map(|at| at.0),
        missing,
    }
}
