//! Taking records out.

use claviger_core::Revision;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    notes,
    read::{self, Span},
    shared::Shared,
};
use crate::{Filter, Record, Result, Stream, Subject};

/// Most records that are being erased at the same time.
const AT_ONCE: usize = 64;

/// Overwrites one record.
pub(super) async fn erase(shared: &Shared, stream: Stream, revision: Revision) -> Result<()> {
    shared.check(stream)?;
    if revision == Revision::ZERO {
        return Ok(());
    }
    let outcome = shared.connection.overwrite(&shared.names(stream).stream, revision).await;
    shared.note_write(outcome.as_ref().err());
    outcome?;
    shared.feed(stream).erased(revision);
    Ok(())
}

/// Overwrites a subject's records, those that come meanwhile too.
pub(super) async fn purge(shared: &Shared, stream: Stream, subject: &Subject) -> Result<()> {
    let filter = Filter::Exact(subject.clone());
    loop {
        let page = read::read(shared, stream, &filter, Span::page(Revision::ZERO, Revision::ZERO)).await?;
        if page.records.is_empty() && page.is_all {
            return Ok(());
        }
        erase_all(shared, stream, &page.records).await?;
    }
}

/// Of each subject with too many records drops the oldest. What is too old is dropped by JetStream.
pub(super) async fn trim(shared: &Shared, stream: Stream) -> Result<()> {
    let Some(keep) = stream.retention().last_per_subject else { return Ok(()) };
    for (subject, count) in read::counts(shared, stream, &Filter::All).await? {
        if count > u64::from(keep) {
            trim_subject(shared, stream, subject, keep).await?;
        }
    }
    Ok(())
}

async fn trim_subject(shared: &Shared, stream: Stream, subject: Subject, keep: u32) -> Result<()> {
    let all = Span::records(Revision::ZERO, usize::MAX);
    let found = read::read(shared, stream, &Filter::Exact(subject), all).await?;
    let surplus = found.records.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    let drops = &found.records[..surplus];
    if let Some(largest) = drops.last() {
        notes::note_trimmed(shared, stream, largest.revision.next()).await?;
        erase_all(shared, stream, drops).await?;
    }
    Ok(())
}

async fn erase_all(shared: &Shared, stream: Stream, records: &[Record]) -> Result<()> {
    let revisions: Vec<Revision> = records.iter().map(|record| record.revision).collect();
    let erasing = revisions.into_iter().map(|revision| erase(shared, stream, revision));
    stream::iter(erasing).buffer_unordered(AT_ONCE).try_collect().await
}
