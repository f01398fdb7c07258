//! Every event there is, for the engine's own dispatcher.

use std::{collections::VecDeque, sync::Arc};

use claviger_core::Revision;

use super::{
    event::Event,
    lanes::{Batch, Lanes},
    ring::Item,
};

/// Every event of every environment, with its true data: in revision order within a stream, the streams in turns. Each
/// is handed out once per feed.
pub(crate) struct Feed {
    lanes: Lanes,
    /// What was taken and not yet handed out.
    batch: VecDeque<Item>,
}

impl Feed {
    pub(super) fn new(lanes: Lanes) -> Feed {
        Feed { lanes, batch: VecDeque::new() }
    }

    /// The next event. Waits for it; nothing is lost when the future is dropped. `None` when the engine stops.
    pub(crate) async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            while let Some(item) = self.batch.pop_front() {
                if let Some(decoded) = item.event {
                    return Some(decoded.event.clone());
                }
            }
            let (lane, batch) = self.lanes.next().await?;
            match batch {
                Batch::Items(items) => {
                    if let Some(last) = items.back() {
                        self.lanes.advance(lane, last.revision);
                    }
                    self.batch = items;
                }
                Batch::Nothing { through } => self.lanes.advance(lane, through),
                Batch::Hole { first } => {
                    let (stream, asked) = (self.lanes.stream_name(lane), self.lanes.position(lane));
                    tracing::info!(stream, %asked, %first, "records before the first are no longer kept");
                    self.lanes.advance(lane, Revision(first.0 - 1));
                }
            }
        }
    }
}
