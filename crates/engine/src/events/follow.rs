//! Follows a stream: one tail and one decoding for all who want its events.

use std::{future::ready, ops::ControlFlow, sync::Arc};

use claviger_core::Revision;
use claviger_store::Stream;
use tokio::sync::watch;

use super::{
    decode::Decoder,
    ring::{Item, Ring},
};
use crate::{Error, follow::follow};

/// A stream that is being followed. Cheap to clone.
#[derive(Clone)]
pub(super) struct Followed {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) ring: Arc<Ring>,
    /// The last revision in the ring. Closed when the engine stops.
    pub(super) head: watch::Receiver<Revision>,
}

impl Followed {
    /// Follows a stream from its present end on, until the engine stops.
    pub(super) async fn start(decoder: Decoder, stream: Stream) -> Result<Followed, Error> {
        let last = decoder.shared.ledger.bounds(stream).await?.last;
        let ring = Arc::new(Ring::after(last));
        let (sender, head) = watch::channel(last);
        let followed = Followed { stream, decoder, ring, head };
        let (decoder, ring) = (followed.decoder.clone(), followed.ring.clone());
        let tasks = decoder.shared.tasks.clone();
        tasks.spawn(async move {
            follow(&decoder.shared, stream, last, |records| {
                let decode = |record| Item::decoded(&decoder, stream, record);
                ring.push(records.iter().map(decode).collect());
                sender.send_replace(records.last().map_or(last, |record| record.revision));
                ready(ControlFlow::Continue(()))
            })
            .await;
        });
        Ok(followed)
    }
}
