//! A ledger that seals what goes into another one.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use claviger_crypto::Keyring;
use claviger_store::{Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail};
use futures_util::{StreamExt, future::ready};

use super::names::{OVERHEAD, Sealer};

/// A ledger whose names only the holder of the keyring can read. Keeps every promise of the one that it is over; its records
/// may be a little shorter ([`Ledger::max_record_bytes`]).
///
/// A record that does not open, because it was changed or moved, is [`Error::Damaged`] where one subject is asked for.
/// Where many are, it must not hide those behind it: it is given as it is stored, and nobody's signature is on that. Its
/// subject is the one of the other records at the same place, as far as one of them opens.
#[derive(Clone)]
pub struct SealedLedger {
    inner: Arc<dyn Ledger>,
    sealer: Arc<Sealer>,
}

impl SealedLedger {
    /// Seals what goes into `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Ledger>, keyring: &Keyring) -> SealedLedger {
        SealedLedger { inner, sealer: Arc::new(Sealer::new(keyring)) }
    }

    /// The entry to store, if it can be.
    fn seal(&self, append: Append) -> Result<Append> {
        let (length, limit) = (append.bytes.len(), self.max_record_bytes());
        if length > limit { Err(Error::TooLarge { length, limit }) } else { Ok(self.sealer.append(append)) }
    }

    fn open(&self, stream: Stream, stored: &Record) -> Result<Record> {
        self.sealer.open(stream, stored).ok_or(Error::Damaged { what: "a sealed record does not open at its place" })
    }

    /// The record, or what is stored in its place.
    async fn open_or_show(&self, stream: Stream, stored: Record) -> Record {
        if let Some(record) = self.sealer.open(stream, &stored) {
            return record;
        }
        let subject = self.subject_at(stream, &stored.subject).await;
        tracing::error!(stream = stream.name(), revision = %stored.revision, "a sealed record does not open at its place");
        Record { subject: subject.unwrap_or(stored.subject), ..stored }
    }

    /// The subject that a sealed one stands for, as the records there tell.
    async fn subject_at(&self, stream: Stream, sealed: &Subject) -> Option<Subject> {
        let kept = self.inner.history(stream, sealed).await.ok()?;
        kept.iter().rev().find_map(|record| self.sealer.open(stream, record)).map(|record| record.subject)
    }
}

/// Whether a record passes. One that does not open has passed: what it should be cannot be told any better.
fn passes(filter: &Filter, stored: &Subject, record: &Record) -> bool {
    filter.matches(&record.subject) || *stored == record.subject
}

#[async_trait]
impl Ledger for SealedLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        let mut refused: Vec<Option<Error>> = Vec::with_capacity(batch.len());
        let mut sealed = Vec::with_capacity(batch.len());
        for append in batch {
            let is_orphan = append.follows && matches!(refused.last(), Some(Some(_)));
            match if is_orphan { Err(Error::Skipped) } else { self.seal(append) } {
                Ok(append) => {
                    sealed.push(append);
                    refused.push(None);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut answers = self.inner.append(sealed).await.into_iter();
        let unanswered = Error::Unavailable { source: None };
        let answer = |refused: Option<Error>| match refused {
            Some(error) => Err(error),
            None => answers.next().unwrap_or(Err(unanswered.clone())),
        };
        refused.into_iter().map(answer).collect()
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        let stored = self.inner.last(stream, &self.sealer.subject(stream, subject)).await?;
        stored.map(|stored| self.open(stream, &stored)).transpose()
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        let stored = self.inner.history(stream, &self.sealer.subject(stream, subject)).await?;
        stored.iter().map(|stored| self.open(stream, stored)).collect()
    }

    /// Reads a record of each subject.
    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        for sealed in self.inner.subjects(stream, &self.sealer.filter(stream, filter)).await? {
            // Gone meanwhile, if there is none.
            let Some(stored) = self.inner.last(stream, &sealed).await? else { continue };
            subjects.push(self.open(stream, &stored)?.subject);
        }
        subjects.retain(|subject| filter.matches(subject));
        subjects.sort_unstable();
        Ok(subjects)
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        let sealed = self.sealer.filter(stream, filter);
        let (mut records, mut after) = (Vec::new(), after);
        loop {
            let page = self.inner.read(stream, &sealed, after, limit - records.len()).await?;
            let Some(last) = page.last().map(|record| record.revision) else { return Ok(records) };
            let all = records.len() + page.len();
            for stored in page {
                let place = stored.subject.clone();
                let record = self.open_or_show(stream, stored).await;
                records.extend(Some(record).filter(|record| passes(filter, &place, record)));
            }
            if records.len() == all {
                return Ok(records);
            }
            after = last;
        }
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        let (ledger, filter) = (self.clone(), Arc::new(filter));
        let tail = self.inner.tail(stream, self.sealer.filter(stream, &filter), after);
        let opened = tail.then(move |item| {
            let ledger = ledger.clone();
            async move {
                let stored = item?;
                Ok((stored.subject.clone(), ledger.open_or_show(stream, stored).await))
            }
        });
        opened
            .filter_map(move |item: Result<(Subject, Record)>| {
                ready(match item {
                    Ok((place, record)) => passes(&filter, &place, &record).then_some(Ok(record)),
                    Err(error) => Some(Err(error)),
                })
            })
            .boxed()
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.inner.erase(stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.inner.purge(stream, &self.sealer.subject(stream, subject)).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        self.inner.barrier(stream).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.inner.bounds(stream).await
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        self.inner.trim(now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    fn max_record_bytes(&self) -> usize {
        self.inner.max_record_bytes() - OVERHEAD
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn trouble(&self) -> Option<Error> {
        self.inner.trouble()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl fmt::Debug for SealedLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedLedger")
    }
}
