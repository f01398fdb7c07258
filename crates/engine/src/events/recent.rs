//! Reading back what was emitted.

use std::sync::Arc;

use claviger_core::{Caller, EnvironmentName, Pattern, Permission, Revision};
use claviger_store::{Filter, Stream};

use super::{Events, decode::Decoder, event::Event};
use crate::{Error, page::checked};

/// Records read at once.
const WINDOW: u64 = 128;
/// Records looked at for one page, whatever is among them.
const MOST_LOOKED_AT: u64 = 4_096;

/// Where a page of events begins: with those before a revision. `None` stands for the end of the stream.
pub type Before = Option<Revision>;

/// Some of the events that were emitted, newest first.
#[derive(Clone, Debug)]
pub struct RecentEvents {
    /// The events, with secret values masked in their data.
    pub events: Vec<Arc<Event>>,
    /// Where the next page begins; `None` when there are no older ones. A page may have fewer events than asked for, even
    /// none, and others follow all the same: only so many records are looked at for each.
    pub next: Before,
}

impl Events {
    /// Events that callers and runs emitted in an environment and its spaces, newest first, as far as they are kept. A caller
    /// that is narrowed to spaces sees theirs. At most 1,000 at a time; the cost of a page does not grow with the stream.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::EnvironmentNotFound`], [`Error::Invalid`] for a limit outside 1 to 1,000, and what the
    /// store says.
    pub async fn recent(
        &self,
        caller: &Caller,
        environment: &EnvironmentName,
        before: Before,
        limit: usize,
    ) -> Result<RecentEvents, Error> {
        self.access.authorize(caller, Permission::EventSubscribe, environment).await?;
        let limit = checked(limit)?;
        let bounds = self.decoder.shared.ledger.bounds(Stream::Events).await?;
        let oldest = bounds.first.0.max(1);
        let mut before = before.map_or(bounds.last.0 + 1, |before| before.0.min(bounds.last.0 + 1));
        let (mut events, mut looked_at) = (Vec::new(), 0);
        while before > oldest && looked_at < MOST_LOOKED_AT {
            let window = (before.saturating_sub(WINDOW).max(oldest), before);
            looked_at += window.1 - window.0;
            for event in read(&self.decoder, environment, window).await? {
                if is_for(caller, &event) {
                    before = event.revision.0;
                    events.push(event);
                    if events.len() == limit {
                        return Ok(RecentEvents {
                            events,
                            next: Some(Revision(before)).filter(|next| next.0 > oldest),
                        });
                    }
                }
            }
            before = window.0;
        }
        Ok(RecentEvents { events, next: Some(Revision(before)).filter(|next| next.0 > oldest) })
    }
}

/// The events of an environment among the revisions from the first up to before the second, newest first.
async fn read(
    decoder: &Decoder,
    environment: &EnvironmentName,
    (first, end): (u64, u64),
) -> Result<Vec<Arc<Event>>, Error> {
    let limit = usize::try_from(end - first).unwrap_or_default();
    // All of them: only so is it known how many are looked at.
    let records = decoder.shared.ledger.read(Stream::Events, &Filter::All, Revision(first - 1), limit).await?;
    let is_here = |subject: &claviger_store::Subject| subject.tokens().nth(1) == Some(environment.as_str());
    let wanted = records.iter().rev().filter(|record| record.revision.0 < end && is_here(&record.subject));
    Ok(wanted
        .filter_map(|record| decoder.decode(Stream::Events, record))
        .map(|decoded| decoded.shown.clone())
        .collect())
}

/// Whether a caller may see an event of an environment that it reaches: with its bounds, as in a subscription.
fn is_for(caller: &Caller, event: &Event) -> bool {
    let exact: Result<Pattern, _> = event.name.as_str().parse();
    caller.reaches_space(event.space.as_ref()) && exact.is_ok_and(|exact| caller.may_subscribe(&exact))
}
