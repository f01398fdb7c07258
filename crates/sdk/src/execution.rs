//! One job, from its handler's first poll to its last frame.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use futures_util::FutureExt as _;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::frame::{EndingMembers, Refusal, RunFrame, StepRecord, encode_frame};
use crate::function::{Execution, milliseconds};
use crate::handler_error::{HandlerError, Policy};
use crate::journal::{Journal, Next};
use crate::wake::{HandlerWake, let_others_wake};

/// What the server says to a job's last frame. The channel closes when the job is cancelled.
pub(crate) enum Answer {
    Stored { ended: bool, steps: Vec<StepRecord> },
    Refused(Refusal),
}

/// A job that this worker holds. All its parts live in one task; dropping it drops the handler.
pub(crate) struct Running {
    pub(crate) run: String,
    pub(crate) fence: String,
    pub(crate) journal: Arc<Journal>,
    pub(crate) wake: Arc<HandlerWake>,
    pub(crate) answers: mpsc::UnboundedReceiver<Answer>,
    pub(crate) frames: mpsc::UnboundedSender<String>,
}

/// How a job ends.
enum Ending {
    Suspend,
    Complete(Box<RawValue>),
    Fail(HandlerError),
    /// The server took it away, or has said that it is over: there is nothing more to say.
    Over,
}

impl Running {
    /// Executes the handler and reports how it ended.
    pub(crate) async fn drive(mut self, handler: Execution) {
        let ending = self.execute(handler).await;
        self.report(ending).await;
    }

    async fn execute(&mut self, handler: Execution) -> Ending {
        // A panic of a handler is a failed attempt, not the end of the worker.
        let mut handler = std::pin::pin!(AssertUnwindSafe(handler).catch_unwind());
        let waker = Waker::from(Arc::clone(&self.wake));
        loop {
            let next = tokio::select! {
                biased;
                answer = self.answers.recv() => match self.take_answer(answer) {
                    Some(ending) => return ending,
                    // The handler is polled next, and may have more to send then.
                    None if self.wake.is_woken() => Next::Wait,
                    None => self.journal.next(),
                },
                polled = poll_when_woken(&self.journal, &self.wake, &waker, handler.as_mut()) => match polled {
                    Some(result) => return ending_of(result),
                    None => self.journal.next(),
                },
            };
            match next {
                Next::Wait => {}
                Next::Step => self.send("step", None),
                Next::Suspend => {
                    let_others_wake().await;
                    if !self.wake.is_woken() {
                        return Ending::Suspend;
                    }
                }
            }
            // A handler that always wakes itself must leave room for others.
            tokio::task::consume_budget().await;
        }
    }

    /// Sends the job's last frame, after the outcomes that do not fit into it, and waits until it is stored.
    async fn report(&mut self, mut ending: Ending) {
        let mut sent = false;
        if matches!(ending, Ending::Complete(_)) {
            self.journal.settle();
        }
        loop {
            if !self.journal.has_frame_in_flight() {
                sent = self.send_ending(&ending);
            }
            let answer = self.answers.recv().await;
            match self.take_answer(answer) {
                None => {}
                Some(Ending::Fail(refusal)) if sent && matches!(ending, Ending::Fail(_)) => {
                    tracing::warn!(run = self.run, code = refusal.name, "the server refused the failure of a run");
                    return;
                }
                Some(Ending::Fail(refusal)) => ending = Ending::Fail(refusal),
                Some(_) => return,
            }
        }
    }

    /// Sends the last frame, or a `step` if too much is left for it. Returns whether it was the last frame.
    fn send_ending(&self, ending: &Ending) -> bool {
        if !self.journal.pending_fit() {
            self.send("step", None);
            return false;
        }
        match ending {
            Ending::Suspend => self.send("suspend", None),
            Ending::Complete(result) => self.send("complete", Some(EndingMembers::Complete { result })),
            Ending::Fail(error) => self.send("fail", Some(failure(error))),
            Ending::Over => {}
        }
        true
    }

    fn send(&self, kind: &'static str, ending: Option<EndingMembers<'_>>) {
        let outcomes = self.journal.take_batch();
        let frame = RunFrame { r#type: kind, run: &self.run, fence: &self.fence, outcomes: &outcomes, ending };
        // If the connection has ended, this job is being aborted.
        let _ = self.frames.send(encode_frame(&frame));
    }

    /// Takes in an answer. Returns how the job ends, if that decides it.
    fn take_answer(&self, answer: Option<Answer>) -> Option<Ending> {
        match answer {
            None | Some(Answer::Stored { ended: true, .. }) => Some(Ending::Over),
            Some(Answer::Stored { ended: false, steps }) => {
                self.journal.acknowledge(steps);
                None
            }
            Some(Answer::Refused(refusal)) => {
                self.journal.discard();
                Some(Ending::Fail(error_of(refusal)))
            }
        }
    }
}

type Caught = Result<Result<Box<RawValue>, HandlerError>, Box<dyn Any + Send>>;

/// Polls the handler once, as soon as it wants to be polled. Returns its end, if that is reached.
async fn poll_when_woken(
    journal: &Journal,
    wake: &HandlerWake,
    waker: &Waker,
    mut handler: Pin<&mut impl Future<Output = Caught>>,
) -> Option<Caught> {
    poll_fn(|context| {
        if !wake.take(context) {
            return Poll::Pending;
        }
        journal.begin_poll();
        let polled = handler.as_mut().poll(&mut TaskContext::from_waker(waker));
        journal.end_poll();
        match polled {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

fn ending_of(result: Caught) -> Ending {
    match result {
        Ok(Ok(result)) => Ending::Complete(result),
        Ok(Err(error)) => Ending::Fail(error),
        Err(panic) => Ending::Fail(HandlerError::panicked(&*panic)),
    }
}

fn failure(error: &HandlerError) -> EndingMembers<'static> {
    EndingMembers::Fail {
        error: error.to_wire(),
        retryable: error.policy != Policy::Never,
        retry_after_ms: match error.policy {
            Policy::RetryAfter(delay) => Some(milliseconds(delay)),
            Policy::Retry | Policy::Never => None,
        },
    }
}

/// A refused frame fails the attempt. Another attempt would meet some refusals again.
fn error_of(refusal: Refusal) -> HandlerError {
    let error = HandlerError::new(refusal.detail).named(refusal.code);
    let is_final = matches!(
        error.name.as_str(),
        "step_result_too_large"
            | "event_too_large"
            | "reserved_event_name"
            | "invalid_name"
            | "invalid_pattern"
            | "invalid_request"
    );
    if is_final { HandlerError { policy: Policy::Never, ..error } } else { error }
}
