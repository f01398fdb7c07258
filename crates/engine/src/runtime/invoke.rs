//! Runs that start runs, and hear of their ends.

use std::sync::Arc;

use claviger_core::{
    EnvironmentName,
    run::{End, Failure, Open, Phase, Run, RunId, StepId, StepState},
};

use super::{
    Function, Runtime,
    bodies::{Bodies, Part},
    jobs::Start,
};
use crate::Error;

impl Runtime {
    /// Starts the run that an open step invokes.
    pub(crate) async fn invoke(&self, run: &Run, step: &StepId, child: RunId) -> Result<(), Error> {
        let Some(StepState::Open(Open::Invoke { function, input, .. })) = run.steps.get(step).map(|s| &s.state) else {
            return Ok(());
        };
        let environment = &run.environment;
        if let Some(known) = self.journal.load(environment, child).await? {
            // It exists. After a restart it may have ended already, or nobody may have taken it up yet.
            if known.has_ended() {
                return self.tell_parent(&known, run.id, step).await;
            }
            return self.take_up(environment, child).await;
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

    /// Finishes the steps of a run whose invoked runs have ended. Harmless when they are finished already.
    pub(crate) async fn tell_of_ends(&self, environment: &EnvironmentName, id: RunId) -> Result<(), Error> {
        let Some(run) = self.journal.load(environment, id).await? else { return Ok(()) };
        for (step, child) in invocations(&run) {
            if let Some(child) = self.journal.load(environment, child).await? {
                self.tell_parent(&child, id, step).await?;
            }
        }
        Ok(())
    }

    fn invocation(&self, run: &Run, step: &StepId, child: RunId, (function, data): (Arc<Function>, Arc<str>)) -> Start {
        Start {
            id: child,
            scope: run.scope(),
            function,
            event_id: child.to_string().into(),
            event_name: "system.run.invoked".parse().unwrap_or_else(|_| run.cause.event_name.clone()),
            data,
            at: self.shared.now(),
            parent: Some((run.id, step.clone())),
        }
    }

    /// Finishes the step that invoked a run that has ended.
    pub(crate) async fn tell_parent(&self, child: &Run, parent: RunId, step: &StepId) -> Result<(), Error> {
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
}

/// The steps of a run that wait for another run's end, and those runs.
pub(crate) fn invocations(run: &Run) -> impl Iterator<Item = (&StepId, RunId)> {
    run.open_steps().filter_map(|(step, open)| match open {
        Open::Invoke { child, .. } => Some((step, *child)),
        Open::Sleep { .. } | Open::Wait { .. } => None,
    })
}
