//! The signals that stop a server: the first one gracefully, the second one at once.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::{Exit, Failure};

/// Counts the signals.
pub(super) struct Signals {
    count: watch::Receiver<u32>,
}

impl Signals {
    /// Takes SIGTERM and SIGINT over from the system.
    ///
    /// # Errors
    /// When the system does not permit that.
    pub(super) fn listen() -> Result<Signals, Failure> {
        let take = |kind| {
            signal(kind).map_err(|error| Failure::plain(Exit::Other, format!("signals cannot be received: {error}")))
        };
        let (terminate, interrupt) = (take(SignalKind::terminate())?, take(SignalKind::interrupt())?);
        let (counter, count) = watch::channel(0);
        tokio::spawn(forward(terminate, interrupt, counter));
        Ok(Signals { count })
    }

    /// Done when so many signals have arrived.
    pub(super) fn received(&self, wanted: u32) -> impl Future<Output = ()> + use<> {
        let mut count = self.count.clone();
        async move {
            if count.wait_for(|count| *count >= wanted).await.is_err() {
                // Nobody counts any more: no signal will come.
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn forward(mut terminate: Signal, mut interrupt: Signal, counter: watch::Sender<u32>) {
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        counter.send_modify(|count| *count += 1);
    }
}
