//! What has to be done about a run's new state. Everything here may be repeated.

use std::{sync::Arc, time::Duration};

use claviger_core::{
    EnvironmentName,
    run::{Body, Command, Effect, Open, Phase, Release, Run, RunId, StepId, StepState, effects},
};
use claviger_store::{Append, Filter};

use super::{
    Condition, Runtime,
    bodies::{Bodies, Part},
    journal::{Applied, Cell},
    outgoing::CancelReason,
    timers::Look,
    waits::Watch,
};
use crate::{Error, events::Event};

/// The pause before something that the store refused is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// The longest such pause, after many tries.
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

impl Runtime {
    /// Follows up what was just applied to the run in the cell.
    pub(crate) fn perform(&self, applied: &Applied, cell: &Cell) {
        if let Some(run) = &cell.run {
            self.follow_up(applied.before.as_ref(), run);
        }
    }

    /// Does what the state after asks for and the state before did not. From no state: everything.
    pub(crate) fn follow_up(&self, before: Option<&Run>, after: &Run) {
        if let Some(Phase::Blocked { missing }) = before.map(|run| &run.phase).filter(|phase| **phase != after.phase) {
            self.blocked.remove(&after.scope(), missing, after.id);
        }
        if before.is_none_or(|run| run.open_steps().next().is_some()) {
            self.waits.keep_open(after);
        }
        for effect in effects(before, after) {
            self.follow(effect, after);
        }
        if after.has_ended() {
            self.timers.forget(after.id);
            self.pool.take_back(after);
            self.ends.tell(after);
        }
    }

    fn follow(&self, effect: Effect, run: &Run) {
        let (environment, id) = (run.environment.clone(), run.id);
        match effect {
            Effect::Offer => self.spawn_offer(environment, run.function.clone(), id),
            Effect::WakeAt(at) if at.0 < i64::MAX => self.timers.look_at(at, environment, id, Look::Due),
            Effect::WakeAt(_) => {}
            Effect::Watch(step) => match self.watch_of(run, &step) {
                Ok(watch) => watch.into_iter().for_each(|watch| self.waits.add(watch)),
                Err(error) => tracing::error!(run = %id, %error, "what a step waits for cannot be read"),
            },
            Effect::Invoke(step, child) => {
                let run = Arc::new(run.clone());
                self.again("invoke a function", move |runtime| {
                    let (run, step) = (run.clone(), step.clone());
                    async move { runtime.invoke(&run, &step, child).await }
                });
            }
            Effect::AwaitSecrets => {
                let Phase::Blocked { missing } = run.phase.clone() else { return };
                let scope = run.scope();
                self.blocked.add(&scope, &missing, id);
                self.again("await secrets", move |runtime| {
                    let (scope, missing) = (scope.clone(), missing.clone());
                    async move { runtime.look_at_secrets(&scope, id, &missing).await }
                });
            }
            Effect::TellParent(parent, step) => {
                let run = Arc::new(run.clone());
                self.again("tell the run that invoked", move |runtime| {
                    let (run, step) = (run.clone(), step.clone());
                    async move { runtime.tell_parent(&run, parent, &step).await }
                });
            }
        }
    }

    /// Does something in the background until it succeeds or the engine stops.
    pub(crate) fn again<F, W>(&self, what: &'static str, work: F)
    where
        F: Fn(Runtime) -> W + Send + 'static,
        W: Future<Output = Result<(), Error>> + Send,
    {
        let runtime = self.clone();
        self.shared.tasks.spawn(async move {
            let mut pause = RETRY;
            while let Err(error) = work(runtime.clone()).await {
                tracing::warn!(code = error.code(), "could not {what}, trying again: {error}");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = runtime.shared.stop.cancelled() => return,
                }
                pause = (pause * 2).min(RETRY_AT_MOST);
            }
        });
    }

    /// Looks at a run again because time may have made it ready.
    pub(crate) async fn wake(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        self.with_run(environment, id, async |runtime, cell| runtime.look(cell).await).await
    }

    /// Does everything that a run's state asks for: after a restart, or when it is not known what was done.
    pub(crate) async fn take_up(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        let taken_up = self.with_run(environment, id, async |runtime, cell| {
            if let Some(run) = cell.run.clone() {
                runtime.follow_up(None, &run);
            }
            runtime.look(cell).await?;
            cell.run.iter().for_each(|run| runtime.others.leave_to_us(run));
            Ok(())
        });
        match taken_up.await {
            // It was purged.
            Err(Error::RunNotFound) => Ok(()),
            done => done,
        }
    }

    async fn look(&self, cell: &mut Cell) -> Result<(), Error> {
        self.settle(cell);
        cell.run.iter().for_each(|run| self.pool.take_back(run));
        let Some(run) = cell.run.as_ref().filter(|_| cell.job.is_none()) else { return Ok(()) };
        if let Some(claim) = &run.claim {
            let is_ours = claim.holder.starts_with(&*self.process) || !self.shared.ledger.is_shared();
            let reason = match is_ours {
                true => Some(Release::Withheld),
                // Not by the instant in the claim: another server's clock may be wrong, or ours.
                false => self.others.have_left(run.id).then_some(Release::Lost),
            };
            let fence = claim.fence;
            return match reason {
                Some(reason) => self.give_back(cell, fence, reason).await,
                // The sweep looks again.
                None => Ok(()),
            };
        }
        if run.is_ready(self.shared.now()) {
            self.spawn_offer(run.environment.clone(), run.function.clone(), run.id);
        }
        self.look_when_due(cell);
        Ok(())
    }

    /// Has the run looked at when time makes it ready, if it is not.
    pub(crate) fn look_when_due(&self, cell: &Cell) {
        let Some(run) = &cell.run else { return };
        if let Some(at) = run.due_at().filter(|at| *at > self.shared.now() && at.0 < i64::MAX) {
            self.timers.look_at(at, run.environment.clone(), run.id, Look::Due);
        }
    }

    /// Fails the attempt of a job that took too long.
    pub(crate) async fn time_out(
        &self,
        environment: &EnvironmentName,
        id: RunId,
        fence: claviger_core::Revision,
    ) -> Result<(), Error> {
        self.with_run(environment, id, async |runtime, cell| {
            if cell.job.as_ref().is_none_or(|job| job.fence != fence) {
                return Ok(());
            }
            match runtime.change(cell, Command::TimeOut { fence }).await {
                Ok(()) => runtime.stop_job(cell, CancelReason::Timeout),
                Err(Error::Lost | Error::RunEnded) => runtime.settle(cell),
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .await
    }

    /// Finishes an open step. Harmless when it is finished already.
    pub(crate) async fn resolve(
        &self,
        environment: &EnvironmentName,
        (id, step): (RunId, &StepId),
        make: impl AsyncFnOnce(&Runtime, &Run) -> Result<StepState, Error>,
    ) -> Result<(), Error> {
        let resolved = self.with_run(environment, id, async |runtime, cell| {
            let is_open = |step: &claviger_core::run::Step| matches!(step.state, StepState::Open(_));
            let Some(run) =
                cell.run.as_ref().filter(|run| !run.has_ended() && run.steps.get(step).is_some_and(is_open))
            else {
                return Ok(());
            };
            let state = make(runtime, run).await?;
            match runtime.change(cell, Command::Resolve { step: step.clone(), state }).await {
                Err(Error::RunEnded | Error::Lost | Error::Invalid { .. }) => Ok(()),
                done => done,
            }
        });
        match resolved.await {
            // It ended long ago.
            Err(Error::RunNotFound) => Ok(()),
            done => done,
        }
    }

    /// Looks in the ledger for the events that new waits missed, for all of them in one reading.
    pub(crate) async fn seek_waits(self) {
        loop {
            tokio::select! {
                () = self.waits.added.notified() => {}
                () = self.shared.stop.cancelled() => return,
            }
            while let Err(error) = self.seek_once().await {
                tracing::warn!(
                    code = error.code(),
                    "waits could not be looked for in the events, trying again: {error}"
                );
                if self.shared.stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                    return;
                }
            }
        }
    }

    async fn seek_once(&self) -> Result<(), Error> {
        let mut after = self.waits.seek();
        while !after.is_empty() {
            for (stream, after) in &mut after {
                let last = self.shared.ledger.bounds(*stream).await?.last;
                while *after < last {
                    let records = self.shared.ledger.read(*stream, &Filter::All, *after, 100).await?;
                    *after = records.last().map_or(last, |record| record.revision);
                    for event in records.iter().filter_map(|record| self.events.event_of(*stream, record)) {
                        self.answer_sought(&event);
                    }
                }
            }
            if self.waits.have_sought(&after) || self.shared.stop.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer_sought(&self, event: &Arc<Event>) {
        for watch in self.waits.take_sought(event) {
            let event = event.clone();
            self.again("answer a wait", move |runtime| {
                let (watch, event) = (watch.clone(), event.clone());
                async move { runtime.answer(&watch, &event).await }
            });
        }
    }

    /// Finishes a waiting step with the event it waited for.
    pub(crate) async fn answer(&self, watch: &Watch, event: &Event) -> Result<(), Error> {
        let data = event.data.get();
        let name = event.name.as_str();
        // Ids and names have no characters that JSON escapes but for ids, which are encoded.
        let id = serde_json::to_string(&*event.id).map_err(|_| Error::Bug { what: "an event id" })?;
        let space = match &event.space {
            Some(space) => format!(r#","space":{}"#, serde_json::Value::from(space.as_str())),
            None => String::new(),
        };
        let json = format!(r#"{{"id":{id},"name":"{name}"{space},"data":{data},"at":{}}}"#, event.at);
        self.resolve(&watch.environment, (watch.run, &watch.step), async |runtime, run| {
            let body = runtime.seal_result(run, &watch.step, &json).await?;
            Ok(StepState::Finished(Some(body)))
        })
        .await
    }

    fn watch_of(&self, run: &Run, id: &StepId) -> Result<Option<Watch>, Error> {
        let state = run.steps.get(id).map(|step| &step.state);
        let Some(StepState::Open(Open::Wait { pattern, condition, after, .. })) = state else {
            return Ok(None);
        };
        let bodies = Bodies::new(&self.shared.keyring, &run.environment, run.id);
        let read = |body: &Body| {
            let json = bodies.open(Part::Condition(id), body)?;
            serde_json::from_str::<Condition>(json.get()).map_err(|_| Error::Bug { what: "a condition" })
        };
        Ok(Some(Watch {
            environment: run.environment.clone(),
            space: run.cause.space.clone(),
            run: run.id,
            step: id.clone(),
            pattern: pattern.clone(),
            condition: condition.as_ref().map(read).transpose()?,
            after: *after,
            known: run.last,
        }))
    }

    pub(crate) async fn seal_result(&self, run: &Run, step: &StepId, json: &str) -> Result<Body, Error> {
        let redactor = self.redactor_for(run, claviger_core::Redactor::default()).await;
        Bodies::new(&self.shared.keyring, &run.environment, run.id).seal(Part::Step(step), json, &redactor)
    }

    /// Applies a command to the run in the cell. If the store does not answer, the run is looked at again later: what
    /// it says then is done.
    pub(crate) async fn transition(
        &self,
        cell: &mut Cell,
        command: Command,
        follow: Vec<Append>,
    ) -> Result<Option<Applied>, Error> {
        let result = self.journal.transition(cell, command, follow).await;
        if let Some(run) = cell.run.as_ref().filter(|_| result.is_err() && cell.is_doubtful) {
            let at = self.shared.now().plus(RETRY);
            self.timers.look_at(at, run.environment.clone(), run.id, Look::Anew);
        }
        result
    }

    /// Applies a command to the run in the cell and follows it up.
    pub(crate) async fn change(&self, cell: &mut Cell, command: Command) -> Result<(), Error> {
        if let Some(applied) = self.transition(cell, command, Vec::new()).await? {
            self.perform(&applied, cell);
        }
        Ok(())
    }

    /// Locks and loads a run, does something with it, and lets it go.
    pub(crate) async fn with_run<T>(
        &self,
        environment: &EnvironmentName,
        id: RunId,
        work: impl AsyncFnOnce(&Runtime, &mut Cell) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let cell = self.journal.cell(id);
        let mut cell = cell.lock().await;
        if !self.journal.fill(&mut cell, environment, id).await? {
            return Err(Error::RunNotFound);
        }
        work(self, &mut cell).await
    }
}
