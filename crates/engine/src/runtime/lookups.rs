//! Secrets looked up by name while a worker has a job.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use claviger_core::{
    EnvironmentName, Permission, Redactor, Revision, Scope, SecretValue,
    run::{Command, Run},
    secret::SecretVersion,
};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    LookedUp, Lookup, LookupSpace, Outgoing, Runtime,
    journal::{Cell, HeldJob},
    limits::MAX_LOOKUPS,
    lookers::{Begun, Interest, JobKey},
    outgoing::CancelReason,
    pool::Session,
};
use crate::{
    Error, LiveHold,
    vault::{self, Delivered, Prepared},
};

/// A look-up, with the room that it takes until the worker has read the answer.
type Asked = (Lookup, OwnedSemaphorePermit);

/// The look-ups of a worker that are not answered.
#[derive(Default)]
pub(crate) struct Questions(Mutex<HashMap<JobKey, OfJob>>);

#[derive(Default)]
struct OfJob {
    unanswered: usize,
    /// Those that nobody works on yet.
    waiting: Vec<Asked>,
}

impl Questions {
    /// Notes a look-up. True when it is the first that waits: somebody has to see to them.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when the job has as many as it may.
    pub(crate) fn ask(&self, lookup: Lookup, room: OwnedSemaphorePermit) -> Result<bool, Error> {
        let mut jobs = self.0.lock();
        let of_job = jobs.entry((lookup.run, lookup.fence)).or_default();
        if of_job.unanswered == MAX_LOOKUPS {
            return Err(Error::TooManyRequests);
        }
        of_job.unanswered += 1;
        of_job.waiting.push((lookup, room));
        Ok(of_job.waiting.len() == 1)
    }

    /// Those that wait, to be answered now.
    fn take(&self, job: JobKey) -> Vec<Asked> {
        self.0.lock().get_mut(&job).map(|of_job| std::mem::take(&mut of_job.waiting)).unwrap_or_default()
    }

    /// Notes that so many are answered: the worker may ask as many again.
    fn answered(&self, job: JobKey, count: usize) {
        let mut jobs = self.0.lock();
        let Some(of_job) = jobs.get_mut(&job) else { return };
        of_job.unanswered -= count;
        if of_job.unanswered == 0 {
            jobs.remove(&job);
        }
    }
}

/// What a job looked up, which is masked as long as the job is held.
pub(crate) struct LookedUpValues {
    pub(crate) interest: Interest,
    held: HashMap<(EnvironmentName, SecretVersion), LiveHold>,
    redactor: Redactor,
}

impl LookedUpValues {
    /// Nothing yet.
    pub(crate) fn none(interest: Interest) -> LookedUpValues {
        LookedUpValues { interest, held: HashMap::new(), redactor: Redactor::default() }
    }

    fn add(&mut self, which: (EnvironmentName, SecretVersion), redactor: &Redactor, hold: LiveHold) {
        if self.held.insert(which, hold).is_some() {
            return;
        }
        self.redactor = Redactor::of_all([&self.redactor, redactor]);
        // Now and then, so that looking through a text stays fast.
        if self.held.len().is_power_of_two() {
            self.redactor = self.redactor.compact();
        }
    }
}

impl HeldJob {
    /// Masks the values that were ever handed to the run.
    pub(crate) fn redactor(&self) -> Redactor {
        match self.looked_up.held.is_empty() {
            true => self.redactor.clone(),
            false => Redactor::of_all([&self.redactor, &self.looked_up.redactor]),
        }
    }
}

/// What a look-up comes to: version and value, nothing, or that nobody can say.
type Found = Result<Option<(u64, Arc<SecretValue>)>, Arc<Error>>;

/// What a look-up comes to, and whether the job is told of changes to it.
struct Answer {
    begun: Option<Begun>,
    found: Found,
}

impl Runtime {
    /// Answers the look-ups of a job that wait, in one round.
    pub(crate) async fn answer_lookups(&self, session: Arc<Session>, job: JobKey) {
        let cell = self.journal.cell(job.0);
        let mut cell = cell.lock().await;
        let (lookups, room): (Vec<Lookup>, Vec<_>) = session.questions.take(job).into_iter().unzip();
        let outcome = match self.home(&mut cell, &session, job).await {
            Ok(home) => self.look_up(&mut cell, &session, (&home, &lookups)).await,
            Err(error) => Err(error),
        };
        // Before the worker hears it: it may ask again at once.
        session.questions.answered(job, lookups.len());
        answer(&mut cell, &session, (job, lookups.into_iter().zip(room)), outcome);
    }

    /// Where the job is, if the session holds it and may look secrets up.
    async fn home(&self, cell: &mut Cell, session: &Session, (run, fence): JobKey) -> Result<Scope, Error> {
        let held = held_by(cell, session, fence).ok_or(Error::Lost)?;
        let environment = held.slot.environment().clone();
        if !held.slot.spec.lookups {
            let function = held.slot.function();
            let bound = Some(format!("the function `{function}` does not declare that it looks secrets up"));
            return Err(self
                .access
                .refuse(&session.caller, Permission::SecretReceive, Some(&environment), bound)
                .await);
        }
        // The last append may have ended without an answer: the ledger knows.
        self.journal.fill(cell, &environment, run).await?;
        cell.run.as_ref().map(Run::scope).ok_or(Error::Lost)
    }

    /// What each look-up comes to. What is found is noted in the journal and audited before it is opened, and masked in what
    /// the job reports before anybody is told.
    ///
    /// # Errors
    /// The claim does not stand any more.
    async fn look_up(
        &self,
        cell: &mut Cell,
        session: &Session,
        (home, lookups): (&Scope, &[Lookup]),
    ) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(lookups.len());
        let mut there: BTreeMap<EnvironmentName, Vec<(usize, Prepared)>> = BTreeMap::new();
        for (at, lookup) in lookups.iter().enumerate() {
            let scope = scope_of(home, lookup);
            let begun = begin(cell, session, (&scope, lookup));
            let (begun, prepared) = match begun {
                Ok(begun) => (begun, self.prepare_lookup(cell, session, (home, &scope, lookup)).await),
                Err(error) => (None, Err(error)),
            };
            let found = match prepared {
                Ok(prepared) if prepared.delivered().is_empty() => Ok(None),
                Ok(prepared) => {
                    there.entry(scope.environment).or_default().push((at, prepared));
                    Err(Arc::new(Error::Bug { what: "a look-up that nobody saw to" }))
                }
                Err(error) => Err(Arc::new(error)),
            };
            answers.push(Answer { begun, found });
        }
        for (environment, prepared) in there {
            for (at, found) in self.hand_out(cell, &environment, prepared).await? {
                answers[at].found = found;
            }
        }
        Ok(answers)
    }

    async fn prepare_lookup(
        &self,
        cell: &Cell,
        session: &Session,
        (home, scope, lookup): (&Scope, &Scope, &Lookup),
    ) -> Result<Prepared, Error> {
        let function = cell.job.as_ref().ok_or(Error::Lost)?.slot.function();
        let Lookup { run, name, .. } = lookup;
        self.vault.prepare_lookup(&session.caller, vault::Lookup { scope, home, function, run: *run, name }).await
    }

    /// Notes, audits and opens what was found in an environment.
    async fn hand_out(
        &self,
        cell: &mut Cell,
        environment: &EnvironmentName,
        prepared: Vec<(usize, Prepared)>,
    ) -> Result<Vec<(usize, Found)>, Error> {
        match self.note_lookups(cell, environment, &prepared).await {
            Err(error) if is_lost(&error) => Err(error),
            Err(error) => {
                let error = Arc::new(error);
                Ok(prepared.into_iter().map(|(at, _)| (at, Err(error.clone()))).collect())
            }
            Ok(audited) => {
                let open = |((at, prepared), audited_at): ((usize, Prepared), Result<Revision, Error>)| {
                    let opened = audited_at.and_then(|at| self.open_lookup(cell, environment, (prepared, at)));
                    (at, opened.map_err(Arc::new))
                };
                Ok(prepared.into_iter().zip(audited).map(open).collect())
            }
        }
    }

    /// Notes in the journal what is about to be handed out, and audits it, in one round. Answers what became of each audit
    /// record.
    async fn note_lookups(
        &self,
        cell: &mut Cell,
        environment: &EnvironmentName,
        prepared: &[(usize, Prepared)],
    ) -> Result<Vec<Result<Revision, Error>>, Error> {
        let fence = cell.job.as_ref().ok_or(Error::Lost)?.fence;
        let secrets = prepared.iter().flat_map(|(_, prepared)| prepared.delivered().iter().cloned()).collect();
        let audits: Vec<_> = prepared.iter().map(|(_, prepared)| self.vault.delivery_audit(prepared)).collect();
        let command = Command::LookUp { fence, environment: environment.clone(), secrets };
        match self.transition(cell, command, audits.clone()).await? {
            Some(applied) => {
                self.perform(&applied, cell);
                Ok(applied.followed)
            }
            // It is noted already. Each hand-over is audited all the same.
            None => Ok(self.shared.ledger.append(audits).await.into_iter().map(|r| r.map_err(Error::from)).collect()),
        }
    }

    fn open_lookup(
        &self,
        cell: &mut Cell,
        environment: &EnvironmentName,
        (prepared, audited_at): (Prepared, Revision),
    ) -> Result<Option<(u64, Arc<SecretValue>)>, Error> {
        let which = prepared.delivered().first().cloned();
        let Delivered { mut values, redactor, hold } = self.vault.open(prepared, Some(audited_at))?;
        let held = cell.job.as_mut().ok_or(Error::Lost)?;
        Ok(values.pop().zip(which).map(|((_, version, value), which)| {
            held.looked_up.add((environment.clone(), which), &redactor, hold);
            (version, value)
        }))
    }
}

/// Has the job told of changes from now on, if it may know of what it asks for.
fn begin(cell: &mut Cell, session: &Session, (scope, lookup): (&Scope, &Lookup)) -> Result<Option<Begun>, Error> {
    let (caller, name) = (&session.caller, &lookup.name);
    let may_know =
        caller.reaches(&scope.environment) && caller.reaches_space(scope.space.as_ref()) && caller.may_receive(name);
    let held = cell.job.as_mut().ok_or(Error::Lost)?;
    may_know.then(|| held.looked_up.interest.begin(scope, name)).transpose()
}

/// Where a look-up of a job looks that is at home there.
fn scope_of(home: &Scope, lookup: &Lookup) -> Scope {
    let environment = lookup.environment.clone().unwrap_or_else(|| home.environment.clone());
    let space = match &lookup.space {
        LookupSpace::Named(space) => Some(space.clone()),
        LookupSpace::OfJob if environment == home.environment => home.space.clone(),
        LookupSpace::OfJob | LookupSpace::Environment => None,
    };
    Scope { environment, space }
}

/// The job that the session holds under this claim, if it does.
fn held_by<'c>(cell: &'c Cell, session: &Session, fence: Revision) -> Option<&'c HeldJob> {
    cell.job.as_ref().filter(|job| job.fence == fence && job.slot.session.id == session.id)
}

/// Whether the claim does not stand any more.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Lost | Error::RunEnded | Error::RunNotFound)
}

/// Tells the worker what its look-ups come to.
fn answer(
    cell: &mut Cell,
    session: &Session,
    ((run, fence), asked): (JobKey, impl Iterator<Item = Asked>),
    outcome: Result<Vec<Answer>, Error>,
) {
    match (outcome, &cell.job) {
        (Ok(answers), Some(held)) => {
            for (asked, Answer { begun, found }) in asked.zip(answers) {
                held.looked_up.interest.answer(begun, told(asked, found));
            }
        }
        (Err(error), _) if !is_lost(&error) => {
            let error = Arc::new(error);
            for asked in asked {
                // The worker may be gone.
                let _ = session.outbox.send(told(asked, Err(error.clone())));
            }
        }
        _ => {
            if held_by(cell, session, fence).is_some() {
                cell.job = None;
            }
            let _ = session.outbox.send(Outgoing::Cancel { run, fence, reason: CancelReason::Lost });
        }
    }
}

fn told((lookup, room): Asked, found: Found) -> Outgoing {
    let Lookup { run, fence, id, name, .. } = lookup;
    match found {
        Ok(found) => Outgoing::Secret(LookedUp { run, fence, id, name, found, _room: room }),
        Err(error) => Outgoing::Unanswered { run, fence, id, error },
    }
}
