//! Follows a stream for as long as the engine runs.

use std::{future::Future, ops::ControlFlow, time::Duration};

use claviger_core::Revision;
use claviger_store::{Filter, Record, Stream};
use futures_util::StreamExt;
use tokio::time::sleep;

use crate::shared::Shared;

/// Most records handed over at once.
const BATCH: usize = 256;

/// How long to wait before a tail that ended is started again.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// Hands over what is kept after `after`, then what comes, in batches and in order. A batch that could not be dealt with
/// is handed over again. Ends when the engine stops.
pub(crate) async fn follow<F, D>(shared: &Shared, stream: Stream, after: Revision, mut deal: F)
where
    F: FnMut(Vec<Record>) -> D,
    D: Future<Output = ControlFlow<()>>,
{
    let mut seen = after;
    while !shared.stop.is_cancelled() {
        let mut tail = shared.ledger.tail(stream, Filter::All, seen).ready_chunks(BATCH);
        while let Some(Some(chunk)) = shared.stop.run_until_cancelled(tail.next()).await {
            let records: Vec<Record> = chunk.into_iter().map_while(Result::ok).collect();
            let Some(last) = records.last().map(|record| record.revision) else { break };
            if deal(records).await.is_break() {
                break;
            }
            seen = last;
        }
        shared.stop.run_until_cancelled(sleep(RESTART_AFTER)).await;
    }
}
