//! Batches: as much as possible is on its way at the same time.

use std::collections::{HashSet, VecDeque};

use claviger_core::Revision;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{
    connection::NatsConnection,
    shared::Shared,
    write::{KeptBefore, Write, caller_id},
};
use crate::{Append, Error, MAX_RECORD_BYTES, Result, Stream, Subject};

/// Most records of a batch that are on their way at the same time.
const IN_FLIGHT: usize = 512;

/// Most bytes of them, roughly.
const BYTES_IN_FLIGHT: usize = 8 * 1024 * 1024;

/// Appends a batch.
pub(super) async fn append(shared: &Shared, batch: Vec<Append>) -> Vec<Result<Revision>> {
    let mut work = Work::new(shared, batch);
    loop {
        while work.start_next().await {}
        let Some((at, result)) = work.in_flight.next().await else { break };
        work.finished(at, result);
    }
    work.results.into_iter().map(|result| result.unwrap_or(Err(Error::closed()))).collect()
}

/// A batch that is being appended. An entry begins when
/// - the entries of its stream before it have begun,
/// - those of its subject before it have ended, and
/// - the one that it follows has ended well.
struct Work<'a> {
    shared: &'a Shared,
    entries: Vec<Option<Append>>,
    results: Vec<Option<Result<Revision>>>,
    /// What has not begun, per stream.
    waiting: [VecDeque<usize>; Stream::ALL.len()],
    in_flight: FuturesUnordered<BoxFuture<'a, (usize, Result<Revision>)>>,
    /// What the entries in flight are about.
    busy: HashSet<(Stream, Subject)>,
    flying: Vec<Option<Flying>>,
    bytes: usize,
}

struct Flying {
    key: (Stream, Subject),
    bytes: usize,
}

impl<'a> Work<'a> {
    fn new(shared: &'a Shared, batch: Vec<Append>) -> Work<'a> {
        let mut waiting: [VecDeque<usize>; Stream::ALL.len()] = Default::default();
        for (at, append) in batch.iter().enumerate() {
            waiting[append.stream as usize].push_back(at);
        }
        Work {
            shared,
            results: batch.iter().map(|_| None).collect(),
            flying: batch.iter().map(|_| None).collect(),
            entries: batch.into_iter().map(Some).collect(),
            waiting,
            in_flight: FuturesUnordered::new(),
            busy: HashSet::new(),
            bytes: 0,
        }
    }

    /// Begins the first entry that can begin. False when none can.
    async fn start_next(&mut self) -> bool {
        if self.in_flight.len() >= IN_FLIGHT || self.bytes >= BYTES_IN_FLIGHT {
            return false;
        }
        let heads = self.waiting.iter().filter_map(|waiting| waiting.front().copied());
        let Some(at) = heads.filter(|&at| self.can_begin(at)).min() else { return false };
        let Some(append) = self.entries[at].take() else { return false };
        self.waiting[append.stream as usize].pop_front();
        match self.refusal(at, &append) {
            Some(refusal) => self.results[at] = Some(Err(refusal)),
            None => self.begin(at, append).await,
        }
        true
    }

    fn can_begin(&self, at: usize) -> bool {
        let Some(append) = &self.entries[at] else { return false };
        let follows_in_flight = append.follows && at > 0 && self.results[at - 1].is_none();
        !follows_in_flight && !self.busy.contains(&(append.stream, append.subject.clone()))
    }

    fn refusal(&self, at: usize, append: &Append) -> Option<Error> {
        if append.follows && at > 0 && matches!(self.results[at - 1], Some(Err(_))) {
            return Some(Error::Skipped);
        }
        if let Err(error) = self.shared.check(append.stream) {
            return Some(error);
        }
        let length = append.bytes.len();
        (length > MAX_RECORD_BYTES).then_some(Error::TooLarge { length, limit: MAX_RECORD_BYTES })
    }

    /// Puts it on its way; what was put there before is ahead of it.
    async fn begin(&mut self, at: usize, append: Append) {
        let key = (append.stream, append.subject.clone());
        let bytes = append.bytes.len();
        self.busy.insert(key.clone());
        self.bytes += bytes;
        self.flying[at] = Some(Flying { key, bytes });
        let connection: &'a NatsConnection = &self.shared.connection;
        let write = write(self.shared, append);
        let sent = write.send(connection).await;
        self.in_flight.push(Box::pin(async move { (at, write.finish(connection, sent).await) }));
    }

    fn finished(&mut self, at: usize, result: Result<Revision>) {
        if let Some(Flying { key, bytes }) = self.flying[at].take() {
            if let Ok(revision) = result {
                self.shared.feed(key.0).acknowledged(revision);
            }
            self.busy.remove(&key);
            self.bytes -= bytes;
        }
        self.shared.note_write(result.as_ref().err());
        self.results[at] = Some(result);
    }
}

fn write(shared: &Shared, append: Append) -> Write {
    let names = shared.names(append.stream);
    Write {
        stream: names.stream.clone(),
        subject: names.subject(&append.subject),
        bytes: append.bytes.into(),
        expected: append.expected,
        message_id: append.message_id.map_or_else(|| shared.connection.fresh_id(), |id| caller_id(&id)),
        kept: KeptBefore::Stay,
    }
}
