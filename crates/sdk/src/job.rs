//! From a `job` frame to a handler at work.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::context::{Context, Event, instant};
use crate::execution::{Answer, Running};
use crate::frame::{EndingMembers, Job, RunFrame};
use crate::handler_error::HandlerError;
use crate::journal::Journal;
use crate::secrets::Secrets;
use crate::wake::HandlerWake;
use crate::worker::Known;

/// Executes a job until it is over.
pub(crate) fn drive(
    job: Job<'_>,
    known: &Known,
    answers: mpsc::UnboundedReceiver<Answer>,
    frames: mpsc::UnboundedSender<String>,
) -> impl Future<Output = ()> + Send + use<> {
    let wake = Arc::new(HandlerWake::new());
    let journal = Arc::new(Journal::new(job.steps, Arc::clone(&wake)));
    let (alive, watched) = watch::channel(());
    let function = Arc::clone(&known.definition);
    let environment = job.event.environment;
    let context = Context {
        secrets: Secrets::new(Arc::clone(&function), environment.clone(), job.secrets),
        function,
        run: job.run.clone(),
        attempt: job.attempt,
        event: Event { id: job.event.id, name: job.event.name, data: job.event.data, at: instant(job.event.at) },
        environment,
        journal: Arc::clone(&journal),
        job: watched,
    };
    let running = Running { run: job.run, fence: job.fence, journal, wake, answers, frames };
    let execute = Arc::clone(&known.execute);
    async move {
        // The handler is called in the job's task, so that it may panic there.
        running.drive(Box::pin(async move { execute(context).await })).await;
        // Tells tasks that the handler has spawned that the job is over, as an abort of this task does.
        drop(alive);
    }
}

/// The answer to a job that cannot be executed here.
pub(crate) fn failed<'a>(run: &'a str, fence: &'a str, error: &HandlerError) -> RunFrame<'a> {
    let ending = EndingMembers::Fail { error: error.to_wire(), retryable: true, retry_after_ms: None };
    RunFrame { r#type: "fail", run, fence, outcomes: &[], ending: Some(ending) }
}
