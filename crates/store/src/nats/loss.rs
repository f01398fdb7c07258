//! Whether a stream still has what was seen of it.
//!
//! What was seen came from a server that had it stored by a majority, so it has to be there. But whoever is asked for it may
//! not know: a leader that was replaced and has not heard of it. So what looks like a loss is looked at for a while, and then
//! the stream itself has the last word: a barrier, which a majority stores, and whose place tells how far the stream goes.

use std::time::Duration;

use claviger_core::Revision;
use tokio::time::{Instant, sleep};

use super::{
    api::Which,
    fault::{Attempt, Fault, code},
    feed::Feed,
    notes,
    pause::jitter,
    shared::Shared,
};
use crate::Stream;

/// How long a stream may look as if it had lost something, and how often we look.
const LOOKED_FOR: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A stream, as this process knows it.
pub(super) struct Known<'a> {
    pub(super) shared: &'a Shared,
    pub(super) stream: Stream,
}

impl Known<'_> {
    fn feed(&self) -> &Feed {
        self.shared.feed(self.stream)
    }

    fn name(&self) -> &str {
        &self.shared.names(self.stream).stream
    }

    /// Looks whether everything is there. A stream that was said to have lost something has to prove that it has it again.
    ///
    /// # Errors
    /// [`Fault::Lost`] when it is not, and whatever keeps us from knowing.
    pub(super) async fn check(&self) -> Attempt<()> {
        let until = Instant::now() + LOOKED_FOR;
        while self.is_something_missing().await? {
            if self.feed().is_lost() {
                return Err(Fault::Lost);
            }
            if Instant::now() >= until {
                return self.judge().await;
            }
            sleep(jitter(LOOK_EVERY)).await;
        }
        Ok(())
    }

    async fn is_something_missing(&self) -> Attempt<bool> {
        let info = match self.shared.connection.info_once(self.name()).await {
            Err(fault) if fault.code() == Some(code::NO_STREAM) => return Ok(true),
            info => info?,
        };
        let passed = *self.feed().passed().borrow();
        Ok(Revision(info.state.last_sequence) < passed || self.is_something_else_there().await?)
    }

    /// Whether the record that was seen last is another one now.
    async fn is_something_else_there(&self) -> Attempt<bool> {
        let Some((revision, stored_at)) = self.feed().witness() else { return Ok(false) };
        let found = self.shared.connection.get_once(self.name(), &Which::At(revision.0)).await?;
        // That it is not there is no sign of a loss, since it may have been erased; nor is it one of a return.
        Ok(found.map_or(self.feed().is_lost(), |found| found.stored_at != stored_at))
    }

    /// Has the stream say how far it goes. One that is not there can say nothing.
    async fn judge(&self) -> Attempt<()> {
        match self.shared.connection.info_once(self.name()).await {
            Err(fault) if fault.code() == Some(code::NO_STREAM) => return Err(Fault::Lost),
            info => info?,
        };
        let passed = *self.feed().passed().borrow();
        let placed = notes::place_barrier(self.shared, self.stream).await.map_err(|_| Fault::Leaderless)?;
        let is_lost = placed <= passed || self.is_something_else_there().await?;
        if is_lost { Err(Fault::Lost) } else { Ok(()) }
    }
}
