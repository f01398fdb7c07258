//! What people see of runs and functions: redacted views only.

use std::{collections::HashMap, sync::Arc, time::Duration};

use claviger_core::{
    Caller, EnvironmentName, FunctionId, Permission, Revision, Scope, SecretName, SpaceName, Timestamp,
    run::{Command, Delivery, End, Failure, Open, Phase, Run, RunId, StepKind, StepState},
};
use tokio::time::{timeout, timeout_at};

use super::{
    Function, FunctionError, Json, Runtime,
    bodies::{Bodies, Part},
    ends::Ended,
    fold::Listed,
    hand_over::plain_error,
    jobs::run_of,
    journal::Cell,
    outgoing::CancelReason,
    pool::Topic,
};
use crate::{Error, Page, page, record::summary::Status};

/// How often runs that somebody waits for are looked at without any news.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A run, as a list shows it.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its function.
    pub function: String,
    /// How it stands.
    pub status: Status,
    /// The present or last attempt.
    pub attempt: u32,
    /// The id of the event that started it.
    pub event_id: String,
    /// The event's name.
    pub event_name: String,
    /// The space it works in; `None` for the environment itself.
    pub space: Option<SpaceName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When time makes it go on: a sleep's end, the next attempt.
    pub due_at: Option<Timestamp>,
    /// Required secrets that are not set.
    pub missing: Vec<String>,
}

/// A run with its steps, in redacted views.
#[derive(Debug)]
pub struct RunDetail {
    /// What a list shows.
    pub info: RunSummary,
    /// Its result.
    pub result: Option<Json>,
    /// The error of the run, or of its latest attempt.
    pub error: Option<FunctionError>,
    /// Who cancelled it, and why.
    pub cancelled: Option<(String, Option<String>)>,
    /// The run and step that invoked it.
    pub parent: Option<(RunId, String)>,
    /// Its steps, in order.
    pub steps: Vec<StepDetail>,
    /// Which secrets were handed over, when.
    pub deliveries: Vec<Delivery>,
}

/// A step of a run.
#[derive(Debug)]
pub struct StepDetail {
    /// Its id.
    pub id: String,
    /// What made it.
    pub kind: StepKind,
    /// When it was last changed.
    pub at: Timestamp,
    /// How it stands.
    pub state: StepShown,
}

/// How a step stands.
#[derive(Debug)]
pub enum StepShown {
    /// Finished; `None` stands for `null`.
    Finished(Option<Json>),
    /// Failed.
    Failed(FunctionError),
    /// Open.
    Open {
        /// When time finishes it.
        until: Option<Timestamp>,
        /// The event it waits for.
        event: Option<String>,
        /// The function it invoked, and its run.
        invoked: Option<(FunctionId, RunId)>,
    },
}

/// A function and its workers.
#[derive(Clone, Debug)]
pub struct ServedFunction {
    /// What was registered.
    pub function: Arc<Function>,
    /// Workers connected to this server.
    pub workers: usize,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of one function.
    pub function: Option<String>,
    /// In one status.
    pub status: Option<Status>,
    /// Continue after this, as a page before said.
    pub after: Option<String>,
    /// At most so many, 1–1,000.
    pub limit: usize,
}

/// What an event started.
#[derive(Debug)]
pub struct EventRuns {
    /// Whether the event has been dispatched: no further run will come of it.
    pub dispatched: bool,
    /// The runs.
    pub runs: Vec<RunDetail>,
}

impl Runtime {
    /// The functions of an environment.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn functions(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Vec<ServedFunction>, Error> {
        self.access.authorize(caller, Permission::FunctionList, environment).await?;
        let info = |function: Arc<Function>| {
            let topic = Topic { environment: environment.clone(), function: function.spec.id.clone() };
            ServedFunction { workers: self.pool.workers(&topic), function }
        };
        Ok(self.registry.list(environment).into_iter().map(info).collect())
    }

    /// Runs, newest first. Sees every run created before the call, as far as this server has heard of it.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::InvalidCursor`].
    pub async fn runs(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        filter: RunFilter,
    ) -> Result<Page<RunSummary>, Error> {
        self.access.authorize(caller, Permission::RunList, environment).await?;
        self.index.catch_up().await?;
        let limit = page::checked(filter.limit)?;
        let prefix = format!("run/{environment}/");
        let after = match &filter.after {
            Some(cursor) if is_place(cursor) => format!("{prefix}{cursor}"),
            Some(_) => return Err(Error::InvalidCursor),
            None => String::new(),
        };
        let passes = |summary: &crate::record::summary::Summary| {
            filter.function.as_deref().is_none_or(|function| function == &*summary.function)
                && filter.status.is_none_or(|status| status == summary.status)
        };
        let mut listed = self.index.list(environment, &after, limit + 1, passes).await?;
        let has_more = listed.len() > limit;
        listed.truncate(limit);
        let next = listed.last().filter(|_| has_more).map(|last| last.key[prefix.len()..].to_owned());
        Ok(Page { items: listed.into_iter().map(|run| info(environment, run)).collect(), next })
    }

    /// One run, in its redacted views.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::Denied`].
    pub async fn run(&self, caller: &Caller, environment: &EnvironmentName, id: RunId) -> Result<RunDetail, Error> {
        self.access.authorize(caller, Permission::RunList, environment).await?;
        let run = self.journal.load(environment, id).await?.ok_or(Error::RunNotFound)?;
        self.detail(&run)
    }

    /// Ends a run, also while a step runs.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunEnded`], [`Error::Denied`].
    pub async fn cancel(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        id: RunId,
        reason: Option<String>,
    ) -> Result<RunDetail, Error> {
        self.access.authorize(caller, Permission::RunCancel, environment).await?;
        if reason.as_ref().is_some_and(|reason| reason.len() > 1_000) {
            return Err(Error::invalid("a reason has at most 1,000 bytes"));
        }
        let (runtime, environment, by) = (self.clone(), environment.clone(), caller.id.clone());
        // A task of its own: who asked may go away in the middle of it.
        let cancelled = self.shared.tasks.spawn(async move {
            let command = Command::Cancel { by, reason };
            let cancel = async |runtime: &Runtime, cell: &mut Cell| {
                runtime.change(cell, command).await?;
                runtime.stop_job(cell, CancelReason::Cancelled);
                runtime.detail(cell.run.as_ref().ok_or(Error::RunNotFound)?)
            };
            runtime.with_run(&environment, id, cancel).await
        });
        cancelled.await.map_err(|_| Error::Bug { what: "a run could not be cancelled" })?
    }

    /// The runs that an event of an environment or space started. Waits until all have ended, at most so long.
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub async fn event_runs(
        &self,
        caller: &Caller,
        scope: &Scope,
        (event_id, revision): (&str, Revision),
        patience: Duration,
    ) -> Result<EventRuns, Error> {
        let environment = &scope.environment;
        self.access.authorize(caller, Permission::RunList, environment).await?;
        let deadline = tokio::time::Instant::now() + patience;
        let wait = timeout_at(deadline, self.progress.reaches(revision));
        let is_dispatched = matches!(self.shared.stop.run_until_cancelled(wait).await, Some(Ok(())));
        // From here on there is none to come.
        let ids = self.ids_of(scope, event_id);
        let mut known = HashMap::new();
        if is_dispatched {
            let ends = timeout_at(deadline, self.await_ends(environment, &ids, &mut known));
            if let Some(Ok(Err(error))) = self.shared.stop.run_until_cancelled(ends).await {
                return Err(error);
            }
        }
        let mut runs = Vec::new();
        for id in ids {
            let run = match known.remove(&id) {
                Some(run) => run,
                // What is answered is how it stands now.
                None => self.journal.load(environment, id).await?.map(Arc::new),
            };
            runs.extend(run.map(|run| self.detail(&run)).transpose()?);
        }
        Ok(EventRuns { dispatched: is_dispatched, runs })
    }

    /// Waits until all that there are of some runs have ended, and notes each that has, or is not there.
    async fn await_ends(
        &self,
        environment: &EnvironmentName,
        runs: &[RunId],
        known: &mut HashMap<RunId, Option<Arc<Run>>>,
    ) -> Result<(), Error> {
        // Before the first look, so that no end is missed.
        let mut ends = self.ends.of(runs.to_vec());
        for id in runs {
            if !self.journal.is_in_hand(*id).await {
                self.note(environment, *id, known).await?;
            }
        }
        while runs.iter().any(|id| !known.contains_key(id)) {
            match timeout(LOOK_AGAIN, ends.next()).await {
                Ok(Ended::Here(run)) => drop(known.insert(run.id, Some(run))),
                Ok(Ended::Elsewhere(id)) => self.note(environment, id, known).await?,
                Err(_) => {
                    for id in runs {
                        self.note(environment, *id, known).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes a run that the ledger knows to have ended, or does not know, unless that is known already.
    async fn note(
        &self,
        environment: &EnvironmentName,
        id: RunId,
        known: &mut HashMap<RunId, Option<Arc<Run>>>,
    ) -> Result<(), Error> {
        if known.contains_key(&id) {
            return Ok(());
        }
        let run = self.journal.load(environment, id).await?;
        if run.as_ref().is_none_or(Run::has_ended) {
            known.insert(id, run.map(Arc::new));
        }
        Ok(())
    }

    /// The runs that an event may have started, one of each function.
    fn ids_of(&self, scope: &Scope, event_id: &str) -> Vec<RunId> {
        let functions = self.registry.list(&scope.environment);
        functions.iter().map(|function| run_of(scope, &function.spec.id, event_id)).collect()
    }

    fn detail(&self, run: &Run) -> Result<RunDetail, Error> {
        let bodies = Bodies::new(&self.shared.keyring, &run.environment, run.id);
        let (result, error, cancelled) = match &run.phase {
            Phase::Ended(End::Completed(Some(body))) => (Some(bodies.open_view(Part::Output, body)?), None, None),
            Phase::Ended(End::Failed(failure)) => (None, Some(run_error(&bodies, run, failure)?), None),
            Phase::Ended(End::Cancelled { by, reason }) => (None, None, Some((by.to_string(), reason.clone()))),
            Phase::Ended(End::Completed(None)) => (None, None, None),
            _ => (None, run.last_failure.as_ref().map(|f| run_error(&bodies, run, f)).transpose()?, None),
        };
        let mut steps: Vec<_> = run.steps.iter().collect();
        steps.sort_by_key(|(_, step)| step.order);
        let shown = |(id, step): (&claviger_core::run::StepId, &claviger_core::run::Step)| {
            let state = match &step.state {
                StepState::Finished(None) => StepShown::Finished(None),
                StepState::Finished(Some(body)) => StepShown::Finished(Some(bodies.open_view(Part::Step(id), body)?)),
                StepState::Failed(Failure::Error(body)) => {
                    StepShown::Failed(parse_error(&bodies.open_view(Part::Step(id), body)?))
                }
                StepState::Failed(failure) => StepShown::Failed(plain_error(failure)),
                StepState::Open(open) => show_open(open),
            };
            Ok(StepDetail { id: id.to_string(), kind: step.kind, at: step.at, state })
        };
        let steps = steps.into_iter().map(shown).collect::<Result<_, Error>>()?;
        let parent = run.cause.parent.as_ref().map(|(run, step)| (*run, step.to_string()));
        let deliveries = run.deliveries.clone();
        Ok(RunDetail { info: info_of(run), result, error, cancelled, parent, steps, deliveries })
    }
}

fn run_error(bodies: &Bodies<'_>, run: &Run, failure: &Failure) -> Result<FunctionError, Error> {
    match failure {
        // The body is bound to the attempt that failed, which is the last that did.
        Failure::Error(body) => Ok(parse_error(&bodies.open_view(Part::Error(run.failures.max(1)), body)?)),
        failure => Ok(plain_error(failure)),
    }
}

fn parse_error(json: &Json) -> FunctionError {
    serde_json::from_str(json.get()).unwrap_or_default()
}

/// Whether a text is what [`Runtime::runs`] gives out as `next`: an instant in 16 hex digits, and a run.
fn is_place(cursor: &str) -> bool {
    cursor.split_once('/').is_some_and(|(at, run)| {
        at.len() == 16 && at.bytes().all(|b| b.is_ascii_hexdigit()) && run.parse::<RunId>().is_ok()
    })
}

fn show_open(open: &Open) -> StepShown {
    let (event, invoked) = match open {
        Open::Sleep { .. } => (None, None),
        Open::Wait { pattern, .. } => (Some(pattern.to_string()), None),
        Open::Invoke { function, child, .. } => (None, Some((function.clone(), *child))),
    };
    StepShown::Open { until: open.due_at(), event, invoked }
}

fn info_of(run: &Run) -> RunSummary {
    let missing = match &run.phase {
        Phase::Blocked { missing } => missing.iter().map(SecretName::to_string).collect(),
        _ => Vec::new(),
    };
    RunSummary {
        id: run.id,
        environment: run.environment.clone(),
        function: run.function.to_string(),
        status: Status::of(run),
        attempt: run.attempt(),
        event_id: run.cause.event_id.to_string(),
        event_name: run.cause.event_name.to_string(),
        space: run.cause.space.clone(),
        created_at: run.created_at,
        started_at: run.started_at,
        ended_at: run.ended_at,
        due_at: run.due_at().filter(|at| at.0 < i64::MAX),
        missing,
    }
}

fn info(environment: &EnvironmentName, listed: Listed) -> RunSummary {
    let summary = listed.summary;
    RunSummary {
        id: listed.id,
        environment: environment.clone(),
        function: summary.function.to_string(),
        status: summary.status,
        attempt: summary.attempt,
        event_id: summary.event_id.to_string(),
        event_name: summary.event_name.to_string(),
        space: summary.space.as_deref().and_then(|space| space.parse().ok()),
        created_at: Timestamp(summary.created_at),
        started_at: summary.started_at.map(Timestamp),
        ended_at: summary.ended_at.map(Timestamp),
        due_at: summary.due_at.map(Timestamp),
        missing: summary.missing,
    }
}
