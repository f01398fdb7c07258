//! From a `job` frame to a handler at work.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::context::{Context, Event, instant};
use crate::execution::{Answer, Running};
use crate::frame::{EndingMembers, Job, JobEvent, RunFrame};
use crate::handler_error::HandlerError;
use crate::journal::Journal;
use crate::lookup::Scope;
use crate::lookups::Lookups;
use crate::secrets::Secrets;
use crate::wake::HandlerWake;
use crate::worker::Known;

/// Prepares the execution of a job until it is over, and what it looks up meanwhile.
pub(crate) fn prepare(
    job: Job<'_>,
    known: &Known,
    answers: mpsc::UnboundedReceiver<Answer>,
    frames: mpsc::UnboundedSender<String>,
) -> (Arc<Lookups>, impl Future<Output = ()> + Send + use<>) {
    let wake = Arc::new(HandlerWake::new());
    let journal = Arc::new(Journal::new(job.steps, Arc::clone(&wake)));
    let (alive, watched) = watch::channel(());
    let function = Arc::clone(&known.definition);
    let scope = Scope { environment: job.event.environment.clone(), space: job.event.space.clone() };
    let lookups = Arc::new(Lookups::new(job.run.clone(), job.fence.clone(), scope.clone(), frames.clone()));
    let context = Context {
        secrets: Secrets::new(Arc::clone(&function), scope, job.secrets),
        function,
        run: job.run.clone(),
        attempt: job.attempt,
        environment: job.event.environment.clone(),
        event: job.event.into(),
        lookups: Arc::clone(&lookups),
        journal: Arc::clone(&journal),
        job: watched,
    };
    let running = Running { run: job.run, fence: job.fence, journal, wake, answers, frames };
    let execute = Arc::clone(&known.execute);
    let open = lookups.open();
    let driving = async move {
        // The handler is called in the job's task, so that it may panic there.
        let handling = async move {
            let _open = open;
            execute(context).await
        };
        running.drive(Box::pin(handling)).await;
        // Tells tasks that the handler has spawned that the job is over, as an abort of this task does.
        drop(alive);
    };
    (lookups, driving)
}

impl From<JobEvent> for Event {
    fn from(event: JobEvent) -> Self {
        let JobEvent { id, name, data, at, space, .. } = event;
        Self { id, name, data, at: instant(at), space }
    }
}

/// The answer to a job that cannot be executed here.
pub(crate) fn failed<'a>(run: &'a str, fence: &'a str, error: &HandlerError) -> RunFrame<'a> {
    let ending = EndingMembers::Fail { error: error.to_wire(), retryable: true, retry_after_ms: None };
    RunFrame { r#type: "fail", run, fence, outcomes: &[], ending: Some(ending) }
}
