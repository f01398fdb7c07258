//! Waiting for the thing itself, with a limit that only a hanging test reaches.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for anything: far longer than it takes on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What only another process can tell is asked for again after this.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The future's output. Panics when that takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {} s in vain: {what}", PATIENCE.as_secs()),
    }
}

/// Asks until there is an answer. For what cannot be waited for otherwise.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", PATIENCE.as_secs());
        sleep(ASK_EVERY).await;
    }
}
