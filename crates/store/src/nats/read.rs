//! Reading what is stored.

use std::collections::{BTreeSet, HashMap};

use async_nats::{HeaderMap, StatusCode};
use async_trait::async_trait;
use claviger_core::Revision;
use serde::{Deserialize, Serialize};

use super::{
    api::{Kept, Which, number},
    fault::{Attempt, Fault},
    leader::{Leader, newest_since, revision},
    pause::Patience,
    shared::Shared,
};
use crate::{
    Filter, Record, Result, Stream, Subject,
    tail::{PAGE_BYTES, PAGE_RECORDS},
};

/// Most records that one request asks for.
const BATCH: usize = 1024;

/// Most bytes of them: a replica sends them as fast as it can.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a read wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) after: Revision,
    /// Most records.
    pub(super) limit: usize,
    /// Bytes after which it ends, with the record that goes beyond.
    pub(super) bytes: usize,
    /// How far the stream is known to go: who answers for less is behind.
    known: Revision,
}

impl Span {
    /// At most so many records.
    pub(super) fn records(after: Revision, limit: usize) -> Span {
        Span { after, limit, bytes: usize::MAX, known: Revision::ZERO }
    }

    /// A page's worth of a stream that is known to go so far.
    pub(super) fn page(after: Revision, known: Revision) -> Span {
        Span { after, limit: PAGE_RECORDS, bytes: PAGE_BYTES, known }
    }
}

/// What a read found.
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// Whether that is all there was when the read began, and not only as much as was wanted.
    pub(super) is_all: bool,
}

/// The last record that passes.
pub(super) async fn last(shared: &Shared, stream: Stream, filter: &Filter) -> Result<Option<Record>> {
    let known = shared.feed(stream).known(filter);
    let kept = Asked { shared, stream, filter }.newest_since(known).await?;
    Ok(kept.and_then(|kept| shared.record(stream, kept)))
}

/// Who is asked for the last message that passes.
struct Asked<'a> {
    shared: &'a Shared,
    stream: Stream,
    filter: &'a Filter,
}

impl Asked<'_> {
    async fn newest_since(&self, known: Revision) -> Result<Option<Kept>> {
        // The only server that has a stream cannot be behind.
        let known = if self.shared.is_replicated(self.stream) { known } else { Revision::ZERO };
        newest_since(self, known).await
    }
}

#[async_trait]
impl Leader for Asked<'_> {
    async fn newest(&self) -> Result<Option<Kept>> {
        newest(self.shared, self.stream, self.filter).await
    }

    async fn end(&self) -> Result<Revision> {
        let connection = &self.shared.connection;
        let info = connection.info(&self.shared.names(self.stream).stream).await;
        Ok(Revision(info.map_err(|fault| connection.explain(fault))?.state.last_sequence))
    }
}

/// The last message that passes, as the stream's leader has it.
async fn newest(shared: &Shared, stream: Stream, filter: &Filter) -> Result<Option<Kept>> {
    shared.check(stream)?;
    let names = shared.names(stream);
    let subject = names.filter(filter);
    if shared.is_replicated(stream) {
        shared.connection.get(&names.stream, &Which::LastOf(subject)).await
    } else {
        direct_last(shared, &names.stream, &subject).await.map_err(|fault| shared.connection.explain(fault))
    }
}

/// The same from the only server that has the stream.
async fn direct_last(shared: &Shared, stream: &str, subject: &str) -> Attempt<Option<Kept>> {
    #[derive(Serialize)]
    struct Get<'a> {
        last_by_subj: &'a str,
    }
    let body = serde_json::to_vec(&Get { last_by_subj: subject }).map_err(|_| Fault::Unreadable)?;
    let request = format!("$JS.API.DIRECT.GET.{stream}");
    let mut patience = Patience::new();
    loop {
        let answer = shared.connection.request(&request, body.clone().into()).await.and_then(Kept::from_direct);
        match answer {
            Err(fault) if fault.is_passing() && patience.is_left().await => {}
            answer => return answer,
        }
    }
}

/// Kept records in revision order. The leader says how far they go, one that is not behind what is known here; any replica may give them, and one
/// that has not come so far is asked again.
pub(super) async fn read(shared: &Shared, stream: Stream, filter: &Filter, span: Span) -> Result<Found> {
    let known = span.known.max(shared.feed(stream).known(filter));
    let span = Span { known, ..span };
    let mut reader = Reader { shared, stream, filter, span, records: Vec::new(), bytes: 0, seen: span.after };
    let mut patience = Patience::new();
    let mut goal = reader.goal().await?;
    while !reader.is_full() {
        if reader.seen >= goal {
            return Ok(Found { records: reader.records, is_all: true });
        }
        match reader.fetch().await {
            Ok(End::More) => {}
            Ok(End::Nothing) => {
                // The last one was erased meanwhile, or the replica is behind.
                goal = reader.goal().await?;
                if reader.seen < goal && !patience.is_left().await {
                    return Err(shared.connection.explain(Fault::Silent));
                }
            }
            Err(fault) if fault.is_passing() && patience.is_left().await => {}
            Err(fault) => return Err(shared.connection.explain(fault)),
        }
    }
    Ok(Found { is_all: reader.seen >= goal, records: reader.records })
}

/// How a batch ended.
enum End {
    /// There is more behind it, or may be.
    More,
    /// The replica has no more.
    Nothing,
}

struct Reader<'a> {
    shared: &'a Shared,
    stream: Stream,
    filter: &'a Filter,
    span: Span,
    records: Vec<Record>,
    bytes: usize,
    seen: Revision,
}

impl Reader<'_> {
    fn is_full(&self) -> bool {
        self.records.len() >= self.span.limit || self.bytes >= self.span.bytes
    }

    /// The revision of the last record that passes.
    async fn goal(&self) -> Result<Revision> {
        let asked = Asked { shared: self.shared, stream: self.stream, filter: self.filter };
        Ok(revision(asked.newest_since(self.span.known).await?.as_ref()))
    }

    /// One batch of direct gets.
    async fn fetch(&mut self) -> Attempt<End> {
        #[derive(Serialize)]
        struct Batch {
            seq: u64,
            batch: usize,
            max_bytes: usize,
            next_by_subj: String,
        }
        let names = self.shared.names(self.stream);
        let body = Batch {
            seq: self.seen.0.saturating_add(1),
            batch: (self.span.limit - self.records.len()).min(BATCH),
            max_bytes: self.span.bytes.saturating_sub(self.bytes).clamp(1, BATCH_BYTES),
            next_by_subj: names.filter(self.filter),
        };
        let body = serde_json::to_vec(&body).map_err(|_| Fault::Unreadable)?;
        let request = format!("$JS.API.DIRECT.GET.{}", names.stream);
        let mut sent = self.shared.connection.send(&request, HeaderMap::new(), body.into()).await?;
        let mut before = 0;
        loop {
            let answer = sent.answer().await?;
            if answer.status == Some(StatusCode::from_u16(204).map_err(|_| Fault::Unreadable)?) {
                let headers = answer.headers.as_ref().ok_or(Fault::Unreadable)?;
                let is_whole = number(headers, "Nats-Last-Sequence").is_none_or(|last| last == before);
                let is_last = number(headers, "Nats-Num-Pending").is_none_or(|pending| pending == 0);
                return if !is_whole {
                    Err(Fault::Silent)
                } else if is_last {
                    Ok(End::Nothing)
                } else {
                    Ok(End::More)
                };
            }
            let previous = answer.headers.as_ref().and_then(|headers| number(headers, "Nats-Last-Sequence"));
            let Some(kept) = Kept::from_direct(answer)? else { return Ok(End::Nothing) };
            if previous.is_some_and(|previous| previous != before) {
                // One was lost on the way.
                return Err(Fault::Silent);
            }
            before = kept.revision.0;
            self.take(kept);
        }
    }

    fn take(&mut self, kept: Kept) {
        if self.is_full() {
            return;
        }
        self.seen = kept.revision;
        // A replica may not have heard yet that it was erased.
        if self.shared.feed(self.stream).is_erased(kept.revision) {
            return;
        }
        if let Some(record) = self.shared.record(self.stream, kept) {
            self.bytes += record.bytes.len();
            self.records.push(record);
        }
    }
}

/// How many records each subject that passes has.
pub(super) async fn counts(shared: &Shared, stream: Stream, filter: &Filter) -> Result<HashMap<Subject, u64>> {
    #[derive(Serialize)]
    struct Page {
        subjects_filter: String,
        offset: usize,
    }
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        total: usize,
        state: State,
    }
    #[derive(Deserialize)]
    struct State {
        #[serde(default)]
        subjects: Option<HashMap<String, u64>>,
    }
    shared.check(stream)?;
    let names = shared.names(stream);
    let (mut counts, mut offset) = (HashMap::new(), 0);
    loop {
        let page = Page { subjects_filter: names.filter(filter), offset };
        let answer = shared.connection.info_about::<Answer>(&names.stream, &page).await;
        let answer = answer.map_err(|fault| shared.connection.explain(fault))?;
        let subjects = answer.state.subjects.unwrap_or_default();
        offset += subjects.len();
        let is_last = subjects.is_empty() || offset >= answer.total;
        for (text, count) in subjects {
            counts.extend(names.parse(&text).map(|subject| (subject, count)));
        }
        if is_last {
            return Ok(counts);
        }
    }
}

/// Every subject that passes, sorted.
pub(super) async fn subjects(shared: &Shared, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
    let subjects: BTreeSet<Subject> = counts(shared, stream, filter).await?.into_keys().collect();
    Ok(subjects.into_iter().collect())
}
