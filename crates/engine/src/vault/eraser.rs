//! Erases superfluous versions, behind the fold: nobody who waits for the fold waits for that.
//!
//! What is to be erased is noted in the index together with what the fold has passed, and struck off once it is gone. So a
//! server that dies in between goes on with it at its next start, and one that folds anew does it again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use claviger_core::Revision;
use claviger_store::{Op, Stream};
use futures_util::{StreamExt, stream};
use tokio::{sync::Notify, time::sleep};

use super::fold::NAME;
use crate::{Error, shared::Shared};

/// What the keys of the notes begin with. No environment's name begins so.
const PREFIX: &str = "\0erase\0";

/// Notes read at once.
const PAGE: usize = 256;

/// Records that are erased at the same time.
const AT_ONCE: usize = 16;

/// The pause before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The note that a record is to be erased.
pub(super) fn note(revision: Revision) -> Op {
    Op::Put { key: key(revision), value: Vec::new() }
}

fn key(revision: Revision) -> String {
    // In the order of their bytes the keys are in the order of their numbers.
    format!("{PREFIX}{:020}", revision.0)
}

/// Erases what is noted, now and whenever it is told that there is more.
pub(super) fn start(shared: &Shared) -> Arc<Notify> {
    let (more, shared) = (Arc::new(Notify::new()), shared.clone());
    let (told, tasks) = (more.clone(), shared.tasks.clone());
    tasks.spawn(async move {
        loop {
            let pause = match erase_noted(&shared).await {
                Ok(()) => shared.stop.run_until_cancelled(told.notified()).await,
                Err(error) => {
                    tracing::warn!(%error, "superfluous versions could not be erased, it will be tried again");
                    shared.stop.run_until_cancelled(sleep(RETRY)).await
                }
            };
            if pause.is_none() {
                return;
            }
        }
    });
    more
}

async fn erase_noted(shared: &Shared) -> Result<(), Error> {
    loop {
        let noted = shared.index.scan(NAME, PREFIX, "", PAGE).await?;
        if noted.is_empty() {
            return Ok(());
        }
        let erased: Vec<Result<Op, Error>> = stream::iter(noted)
            .map(|entry| async move {
                if let Ok(revision) = entry.key[PREFIX.len()..].parse() {
                    shared.ledger.erase(Stream::Secrets, Revision(revision)).await?;
                }
                Ok(Op::Delete { key: entry.key })
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let (mut ops, mut failure) = (Vec::with_capacity(erased.len()), None);
        for outcome in erased {
            match outcome {
                Ok(op) => ops.push(op),
                Err(error) => failure = Some(error),
            }
        }
        shared.index.write(NAME, ops, BTreeMap::new()).await?;
        if let Some(error) = failure {
            return Err(error);
        }
    }
}
