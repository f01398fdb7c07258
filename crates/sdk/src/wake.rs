//! Knowing whether a handler wants to be polled.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The waker that a handler sees: it notes that it was used and wakes the job's task.
///
/// A job is polled for other reasons too (an answer of the server), and must know whether its handler could go on
/// before it suspends the run.
#[derive(Debug)]
pub(crate) struct HandlerWake {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl HandlerWake {
    /// Woken at first, since a new handler wants to be polled.
    pub(crate) fn new() -> Self {
        Self::with(true)
    }

    fn with(woken: bool) -> Self {
        Self { woken: AtomicBool::new(woken), task: AtomicWaker::new() }
    }

    /// Whether the handler was woken since the last `take`; otherwise the task is woken when it is.
    pub(crate) fn take(&self, context: &mut Context<'_>) -> bool {
        self.task.register(context.waker());
        self.woken.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }
}

impl Wake for HandlerWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// Lets the runtime use the wakers it has put aside: that of a future that yields is used between two polls of a task.
///
/// Awaiting a yield is not enough, since it ends early when the task is woken for another reason.
pub(crate) async fn let_others_wake() {
    let wake = Arc::new(HandlerWake::with(false));
    let waker = Waker::from(Arc::clone(&wake));
    if pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker)).is_pending() {
        poll_fn(|context| if wake.take(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
