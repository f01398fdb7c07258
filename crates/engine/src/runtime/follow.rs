//! What has to be done about a run's new state. Everything here may be repeated.

use std::{collections::HashMap, collections::HashSet, sync::Arc, time::Duration};

use claviger_core::{
    EnvironmentName, SecretName,
    run::{Body, Command, Effect, End, Failure, Open, Phase, Release, Run, RunId, StepId, StepState, effects},
};
use claviger_store::{Filter, Stream, Subject};
use parking_lot::Mutex;

use super::{
    Condition, Function, Runtime,
    bodies::{Bodies, Part},
    frames::CancelReason,
    jobs::Start,
    journal::{Applied, Cell},
    pool::Topic,
    timers::Alarm,
    waits::Watch,
};
use crate::{Error, events::Event};

/// How long a hint may be worked on before it is handed out again.
const HINT_LEASE: Duration = Duration::from_secs(30);
/// The pause before something that the store refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The runs that wait for each secret.
type RunsBySecret = HashMap<(EnvironmentName, SecretName), HashSet<RunId>>;

/// Runs that wait for secrets.
#[derive(Clone, Default)]
pub(crate) struct Blocked {
    runs: Arc<Mutex<RunsBySecret>>,
}

impl Runtime {
    /// Follows up what was just applied to the run in the cell.
    pub(crate) fn perform(&self, applied: &Applied, cell: &Cell) {
        if let Some(run) = &cell.run {
            self.follow_up(applied.before.as_ref(), run);
        }
    }

    /// Does what the state after asks for and the state before did not. From no state: everything.
    pub(crate) fn follow_up(&self, before: Option<&Run>, after: &Run) {
        for effect in effects(before, after) {
            self.follow(effect, after);
        }
        if after.has_ended() {
            self.ended.send_modify(|count| *count += 1);
        }
    }

    fn follow(&self, effect: Effect, run: &Run) {
        let (environment, id) = (run.environment.clone(), run.id);
        match effect {
            Effect::Offer => self.spawn_offer(environment, run.function.clone(), id),
            Effect::WakeAt(at) if at.0 < i64::MAX => self.timers.set(at, Alarm::Run(environment, id)),
            Effect::WakeAt(_) => {}
            Effect::Watch(step) => {
                if let Some(watch) = watch_of(run, &step) {
                    self.again("watch for an event", move |runtime| {
                        let watch = watch.clone();
                        async move { runtime.watch(watch).await }
                    });
                }
            }
            Effect::Invoke(step, child) => {
                let run = Arc::new(run.clone());
                self.again("invoke a function", move |runtime| {
                    let (run, step) = (run.clone(), step.clone());
                    async move { runtime.invoke(&run, &step, child).await }
                });
            }
            Effect::AwaitSecrets => {
                let Phase::Blocked { missing } = run.phase.clone() else { return };
                self.again("await secrets", move |runtime| {
                    let (environment, missing) = (environment.clone(), missing.clone());
                    async move { runtime.await_secrets(environment, id, missing).await }
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
            while let Err(error) = work(runtime.clone()).await {
                tracing::warn!(code = error.code(), "could not {what}, trying again: {error}");
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = runtime.shared.stop.cancelled() => return,
                }
            }
        });
    }

    fn spawn_offer(&self, environment: EnvironmentName, function: claviger_core::FunctionId, id: RunId) {
        let topic = Topic { environment, function };
        self.again("offer a run", move |runtime| {
            let topic = topic.clone();
            async move {
                runtime.shared.queue.offer(&queue_topic(&topic), &id.to_string()).await?;
                runtime.pool.wait_for(topic);
                Ok(())
            }
        });
    }

    /// Hands waiting runs to slots as they become free.
    pub(crate) async fn pump(self) {
        loop {
            tokio::select! {
                () = self.pool.freed.notified() => {}
                () = self.shared.stop.cancelled() => return,
            }
            for topic in self.pool.waiting() {
                if let Err(error) = self.pump_topic(&topic).await {
                    tracing::warn!(code = error.code(), "waiting runs could not be taken: {error}");
                }
            }
        }
    }

    async fn pump_topic(&self, topic: &Topic) -> Result<(), Error> {
        let limit = self.registry.get(&topic.environment, &topic.function).and_then(|f| f.spec.concurrency);
        while let Some(slot) = self.pool.acquire(topic, limit) {
            // Cleared before looking, so that an offer made meanwhile is seen.
            self.pool.is_clear(topic);
            let name = queue_topic(topic);
            let Some(hint) = self.shared.queue.take(&name, 1, HINT_LEASE).await?.pop() else { return Ok(()) };
            self.pool.wait_for(topic.clone());
            self.shared.queue.done(&name, &hint).await?;
            let Ok(id) = hint.id.parse::<RunId>() else { continue };
            let (runtime, topic) = (self.clone(), topic.clone());
            self.shared.tasks.spawn(async move {
                if let Err(error) = runtime.claim_waiting(&topic, id, slot).await {
                    tracing::warn!(code = error.code(), run = %id, "a run could not be claimed: {error}");
                    let at = runtime.shared.now().plus(RETRY);
                    runtime.timers.set(at, Alarm::Run(topic.environment, id));
                }
            });
        }
        Ok(())
    }

    /// Looks at a run again because time may have made it ready.
    pub(crate) async fn wake(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        self.with_run(environment, id, async |runtime, cell| {
            let now = runtime.shared.now();
            let Some(run) = cell.run.clone() else { return Ok(()) };
            if let Some(claim) = run.claim.as_ref().filter(|_| cell.job.is_none()) {
                let is_ours = claim.holder.starts_with(&*runtime.process) || !runtime.shared.ledger.is_shared();
                if is_ours {
                    return runtime.give_back(cell, claim.fence, Release::Withheld).await;
                }
            }
            if run.is_ready(now) && cell.job.is_none() {
                runtime.spawn_offer(run.environment.clone(), run.function.clone(), id);
            } else if let Some(at) = run.due_at().filter(|at| *at > now && at.0 < i64::MAX) {
                runtime.timers.set(at, Alarm::Run(run.environment.clone(), id));
            }
            Ok(())
        })
        .await
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
            runtime.change(cell, Command::TimeOut { fence }).await?;
            runtime.stop_job(cell, id, CancelReason::Timeout);
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
        self.with_run(environment, id, async |runtime, cell| {
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
        })
        .await
    }

    async fn watch(&self, watch: Watch) -> Result<(), Error> {
        self.waits.add(watch.clone());
        // Events that came after the wait was recorded and before it was watched.
        let under = Filter::Under(Subject::new(&["event", watch.environment.as_str()]));
        let mut after = watch.after;
        loop {
            let records = self.shared.ledger.read(Stream::Events, &under, after, 100).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = last.revision;
            for record in &records {
                // One that cannot be read was reported by the feed; it answers nothing.
                let Ok(event) = self.events.open_event(record) else { continue };
                if watch.fits(&event) {
                    return self.answer(&watch, &event).await;
                }
            }
        }
    }

    /// Finishes a waiting step with the event it waited for.
    pub(crate) async fn answer(&self, watch: &Watch, event: &Event) -> Result<(), Error> {
        let data = event.data.get();
        let name = event.name.as_str();
        // Ids and names have no characters that JSON escapes but for ids, which are encoded.
        let id = serde_json::to_string(&*event.id).map_err(|_| Error::Bug { what: "an event id" })?;
        let json = format!(r#"{{"id":{id},"name":"{name}","data":{data},"at":{}}}"#, event.at);
        self.resolve(&watch.environment, (watch.run, &watch.step), async |runtime, run| {
            let body = runtime.seal_result(run, &watch.step, &json).await?;
            Ok(StepState::Finished(Some(body)))
        })
        .await?;
        self.waits.remove(watch);
        Ok(())
    }

    async fn seal_result(&self, run: &Run, step: &StepId, json: &str) -> Result<Body, Error> {
        let redactor = self.redactor_for(run, claviger_core::Redactor::default()).await;
        Bodies::new(&self.shared.keyring, &run.environment, run.id).seal(Part::Step(step), json, &redactor)
    }

    async fn invoke(&self, run: &Run, step: &StepId, child: RunId) -> Result<(), Error> {
        let Some(StepState::Open(Open::Invoke { function, input, .. })) = run.steps.get(step).map(|s| &s.state) else {
            return Ok(());
        };
        let environment = &run.environment;
        if let Some(known) = self.journal.load(environment, child).await? {
            // It exists: after a restart it may have ended already.
            if known.has_ended() {
                return self.tell_parent(&known, run.id, step).await;
            }
            return Ok(());
        }
        let Some(function) = self.registry.get(environment, function) else {
            let failed = async |_: &Runtime, _: &Run| Ok(StepState::Failed(Failure::NoFunction));
            return self.resolve(environment, (run.id, step), failed).await;
        };
        let bodies = Bodies::new(&self.shared.keyring, environment, child);
        let data: Arc<str> = match input {
            Some(input) => bodies.open(Part::Input, input)?.get().into(),
            None => "null".into(),
        };
        self.start(self.invocation(run, step, child, (function, data))).await
    }

    fn invocation(&self, run: &Run, step: &StepId, child: RunId, (function, data): (Arc<Function>, Arc<str>)) -> Start {
        Start {
            id: child,
            environment: run.environment.clone(),
            function,
            event_id: child.to_string().into(),
            event_name: "claviger.invoked".parse().unwrap_or_else(|_| run.cause.event_name.clone()),
            data,
            at: self.shared.now(),
            parent: Some((run.id, step.clone())),
        }
    }

    async fn tell_parent(&self, child: &Run, parent: RunId, step: &StepId) -> Result<(), Error> {
        let Phase::Ended(end) = &child.phase else { return Ok(()) };
        let bodies = Bodies::new(&self.shared.keyring, &child.environment, child.id);
        let opened = match end {
            End::Completed(Some(body)) => Some(bodies.open(Part::Output, body)?),
            End::Failed(Failure::Error(body)) => Some(bodies.open(Part::Error(child.attempt()), body)?),
            _ => None,
        };
        self.resolve(&child.environment, (parent, step), async |runtime, run| {
            let body = match &opened {
                Some(json) => Some(runtime.seal_result(run, step, json.get()).await?),
                None => None,
            };
            Ok(match (end, body) {
                (End::Completed(_), body) => StepState::Finished(body),
                (End::Failed(_), Some(body)) => StepState::Failed(Failure::Error(body)),
                (End::Failed(failure), None) => StepState::Failed(failure.clone()),
                (End::Cancelled { .. }, _) => StepState::Failed(Failure::Cancelled),
            })
        })
        .await
    }

    async fn await_secrets(
        &self,
        environment: EnvironmentName,
        id: RunId,
        missing: Vec<SecretName>,
    ) -> Result<(), Error> {
        {
            let mut runs = self.blocked.runs.lock();
            for name in &missing {
                runs.entry((environment.clone(), name.clone())).or_default().insert(id);
            }
        }
        // One may have been set before we listened.
        for name in &missing {
            if self.vault.is_set(&environment, name).await? {
                return self.unblock(&environment, id).await;
            }
        }
        Ok(())
    }

    /// Lets the runs go on that waited for this secret.
    pub(crate) async fn secret_set(&self, environment: &EnvironmentName, name: &SecretName) -> Result<(), Error> {
        let runs = self.blocked.runs.lock().remove(&(environment.clone(), name.clone())).unwrap_or_default();
        for id in runs {
            let environment = environment.clone();
            self.again("unblock a run", move |runtime| {
                let environment = environment.clone();
                async move { runtime.unblock(&environment, id).await }
            });
        }
        Ok(())
    }

    /// Looks at every blocked run again, after changes of secrets were missed.
    pub(crate) async fn recheck_blocked(&self) -> Result<(), Error> {
        let waiting: Vec<_> = self.blocked.runs.lock().keys().cloned().collect();
        for (environment, name) in waiting {
            if self.vault.is_set(&environment, &name).await? {
                self.secret_set(&environment, &name).await?;
            }
        }
        Ok(())
    }

    async fn unblock(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        self.with_run(environment, id, async |runtime, cell| match runtime.change(cell, Command::Unblock).await {
            Err(Error::RunEnded | Error::Lost | Error::RunNotFound) => Ok(()),
            done => done,
        })
        .await
    }

    /// Applies a command to the run in the cell and follows it up.
    pub(crate) async fn change(&self, cell: &mut Cell, command: Command) -> Result<(), Error> {
        if let Some(applied) = self.journal.transition(cell, command, None).await? {
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
        let result = async {
            let mut guard = cell.lock().await;
            if !self.journal.fill(&mut guard, environment, id).await? {
                return Err(Error::RunNotFound);
            }
            work(self, &mut guard).await
        }
        .await;
        self.journal.let_go(id, cell);
        result
    }
}

fn queue_topic(topic: &Topic) -> String {
    format!("run.{}.{}", topic.environment, topic.function)
}

fn watch_of(run: &Run, id: &StepId) -> Option<Watch> {
    let step = run.steps.get(id)?;
    let StepState::Open(Open::Wait { pattern, condition, after, .. }) = &step.state else { return None };
    let condition = match condition {
        Some(text) => Some(serde_json::from_str::<Condition>(text).ok()?),
        None => None,
    };
    Some(Watch {
        environment: run.environment.clone(),
        run: run.id,
        step: id.clone(),
        pattern: pattern.clone(),
        condition,
        after: *after,
        since: step.at,
    })
}

/// Whether an event came too early for a function: before its triggers were registered.
pub(crate) fn is_before(function: &Function, event: &Event) -> bool {
    event.at < function.since
}
