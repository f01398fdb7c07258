//! What streams drop by themselves, and what they never drop.

use std::{sync::Arc, time::Duration};

use claviger_core::{Revision, Timestamp};

use super::{fill, next, revisions};
use crate::{Filter, Ledger, Stream, Subject};

/// A hundred years from the epoch: everything is old by then.
const FAR_FUTURE: Timestamp = Timestamp(100 * 365 * 24 * 60 * 60 * 1000);

/// Of a subject with too many records the oldest go, and the bounds say so.
pub async fn surplus_is_dropped(ledger: Arc<dyn Ledger>) {
    let (crowded, quiet) = (Subject::new(&["crowded"]), Subject::new(&["quiet"]));
    let keep = usize::try_from(Stream::Access.retention().last_per_subject.unwrap()).unwrap();
    fill(&*ledger, Stream::Access, &quiet, 2).await;
    let appended = fill(&*ledger, Stream::Access, &crowded, keep + 10).await;
    ledger.trim(Timestamp(0)).await.unwrap();
    assert_eq!(revisions(&ledger.history(Stream::Access, &crowded).await.unwrap()), appended[10..]);
    assert_eq!(ledger.history(Stream::Access, &quiet).await.unwrap().len(), 2);
    let bounds = ledger.bounds(Stream::Access).await.unwrap();
    assert_eq!((bounds.first, bounds.last), (appended[10], appended[keep + 9]));
    let mut tail = ledger.tail(Stream::Access, Filter::All, Revision::ZERO);
    assert_eq!(revisions(&next(&mut tail, 3).await), [Revision(1), Revision(2), appended[10]]);
}

/// Journals and audit entries stay, however old and however many.
pub async fn the_rest_is_kept(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    for stream in [Stream::Runs, Stream::Audit] {
        fill(&*ledger, stream, &subject, 1500).await;
        ledger.trim(FAR_FUTURE).await.unwrap();
        assert_eq!(ledger.history(stream, &subject).await.unwrap().len(), 1500);
        assert_eq!(ledger.bounds(stream).await.unwrap().first, Revision(1));
    }
}

/// Records that are too old at `now` go, the last one of a subject too. Only for backends that do not
/// drop by a clock of their own.
pub async fn age_is_dropped(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let appended = fill(&*ledger, Stream::Events, &subject, 600).await;
    let stored_at = ledger.last(Stream::Events, &subject).await.unwrap().unwrap().stored_at;
    let max_age = Stream::Events.retention().max_age.unwrap();
    ledger.trim(stored_at.plus(max_age - Duration::from_secs(60))).await.unwrap();
    assert_eq!(revisions(&ledger.history(Stream::Events, &subject).await.unwrap()), appended);
    assert_eq!(ledger.bounds(Stream::Events).await.unwrap().first, Revision(1));
    ledger.trim(stored_at.plus(max_age + Duration::from_secs(1))).await.unwrap();
    assert!(ledger.history(Stream::Events, &subject).await.unwrap().is_empty());
    let bounds = ledger.bounds(Stream::Events).await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Revision(601), Revision(600)));
    assert_eq!(fill(&*ledger, Stream::Events, &subject, 1).await, [Revision(601)]);
}
