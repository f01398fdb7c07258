//! The ledger.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{
    apply::{Removal, Results, State, Task},
    connect,
    heads::Heads,
    lock::{Lock, beside, private_file},
    options::SqliteOptions,
    pool::Pool,
    read::{self, Span},
    schema,
    sql::{BOUNDS, Sql, from_sql},
    trim,
    writer::{Message, Work, Writer},
};
use crate::{
    Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail,
    live::Live,
    tail::{Page, Pages, Position, follow},
};

/// Connections for reads of few records, which run on the caller's thread: some microseconds each.
const QUICK_READERS: usize = 2;

/// A history with fewer records is read on the caller's thread.
const SHORT_HISTORY: usize = 16;

/// Connections for the other reads, which run on threads that may block.
const LONG_READERS: usize = 3;

/// A ledger in one SQLite file.
///
/// **Erasing.** When `erase` or `purge` returns, the removal is durable, no read or tail returns the
/// record, and the newest images of its pages have zeros in its place. Older images are in the
/// database file and its write-ahead log until the next truncating checkpoint, which begins a tenth of
/// a second later, is tried again as long as a read holds an older snapshot, and is part of `close`.
/// What retention drops is overwritten too, but waits for an ordinary checkpoint. What the file system
/// or the disk below keep of overwritten blocks is out of reach.
///
/// **A full disk.** What does not fit is refused with [`Error::Full`] and nothing of it is stored; that
/// can hold for erasing too, which needs room in the log. It goes on when there is room again. Room
/// that erased records leave is used for new ones; the file does not shrink.
///
/// Dropping it closes it too, and waits until that is done; [`close`](Ledger::close) waits without
/// blocking the thread.
pub struct SqliteLedger {
    incarnation: Incarnation,
    shared: Arc<Shared>,
    /// Taken by drop.
    outbox: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

/// What the ledger, its writer and its tails share.
pub(super) struct Shared {
    pub(super) streams: [Live; Stream::ALL.len()],
    quick: Pool,
    long: Pool,
    /// Why the last transaction failed, if it did.
    pub(super) trouble: Mutex<Option<Error>>,
}

impl SqliteLedger {
    /// Opens the file, or makes it. Blocks on the disk for some milliseconds.
    ///
    /// # Errors
    /// [`Error::InUse`] while another server has it, [`Error::ReadOnly`], [`Error::Full`], and
    /// [`Error::Damaged`] for a file that is no ledger or one of a newer version.
    pub fn open(options: SqliteOptions) -> Result<SqliteLedger> {
        let lock = Lock::take(&options.path)?;
        drop(private_file(&options.path)?);
        let mut connection = connect::writer(&options)?;
        schema::migrate(&mut connection)?;
        let incarnation: i64 = connection.query_row("SELECT incarnation FROM life", [], |row| row.get(0))?;
        let bounds = load_bounds(&connection)?;
        let (path, vfs) = (&options.path, options.vfs.as_deref());
        let shared = Arc::new(Shared {
            streams: bounds.map(Live::new),
            quick: Pool::open(path, vfs, QUICK_READERS)?,
            long: Pool::open(path, vfs, LONG_READERS)?,
            trouble: Mutex::default(),
        });
        let state = State { heads: Heads::default(), bounds };
        let writer = Writer {
            connection,
            state,
            shared: shared.clone(),
            _lock: lock,
            scrub_at: None,
            log: beside(path, "-wal"),
            commits: 0,
        };
        let (outbox, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("ledger-writer".to_owned()).spawn(|| writer.run(inbox))?;
        let incarnation = Incarnation(incarnation.cast_unsigned());
        Ok(SqliteLedger { incarnation, shared, outbox: Some(outbox), thread: Some(thread) })
    }

    /// Has the writer do something and waits until it is durable.
    async fn ask(&self, task: Task) -> Result<Results> {
        let (reply, answer) = oneshot::channel();
        let outbox = self.outbox.as_ref().ok_or_else(Error::closed)?;
        outbox.send(Message::Do(task, reply)).map_err(|_| Error::closed())?;
        answer.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// Has the writer do some work between two transactions and waits for the outcome.
    pub(super) async fn with_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let outbox = self.outbox.as_ref().ok_or_else(Error::closed)?;
        let work: Work = Box::new(move |writer| {
            let _gone = reply.send(work(writer));
        });
        outbox.send(Message::Work(work)).map_err(|_| Error::closed())?;
        answer.await.map_err(|_| Error::closed())
    }

    /// Takes records out.
    pub(super) async fn remove(&self, stream: Stream, removal: Removal) -> Result<()> {
        self.ask(Task::Remove(stream, removal)).await.map(drop)
    }

    /// Reads on a thread that may block.
    pub(super) async fn read_long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.shared.clone().read_long(read).await
    }
}

impl Shared {
    pub(super) fn live(&self, stream: Stream) -> &Live {
        &self.streams[stream as usize]
    }

    /// Ends the tails and the reads.
    pub(super) fn close(&self) {
        self.streams.iter().for_each(Live::close);
        self.quick.close();
        self.long.close();
    }

    async fn read_long<T: Send + 'static>(
        self: Arc<Shared>,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::task::spawn_blocking(move || self.long.read(read)).await {
            Ok(result) => result,
            Err(error) => Err(Error::Unavailable { source: Some(Arc::new(error)) }),
        }
    }
}

fn load_bounds(connection: &Connection) -> Result<[Bounds; Stream::ALL.len()]> {
    let mut all = [Bounds { first: Revision(1), last: Revision::ZERO }; Stream::ALL.len()];
    for (stream, bounds) in Stream::ALL.into_iter().zip(&mut all) {
        let (first, persisted) =
            connection.query_row(BOUNDS, [stream.name()], |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))?;
        let largest = connection.query_row(&Sql::of(stream).largest_revision, [], |row| row.get(0))?;
        *bounds = Bounds { first, last: persisted.max(from_sql(largest)) };
    }
    Ok(all)
}

/// The shared part, as the tails hold it: dropping the ledger ends them.
struct Source(Arc<Shared>);

#[async_trait]
impl Pages for Source {
    fn position(&self, stream: Stream) -> watch::Receiver<Position> {
        self.0.live(stream).subscribe()
    }

    async fn page(&self, stream: Stream, filter: &Filter, after: Revision) -> Result<Page> {
        let live = self.0.live(stream);
        if let Some(page) = live.page(filter, after) {
            return Ok(page);
        }
        let last = live.position().bounds.last;
        let filter = filter.clone();
        self.0
            .clone()
            .read_long(move |connection| read::page(connection, stream, &filter, Span::page(after), last))
            .await
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        let entries = batch.len();
        self.ask(Task::Append(batch)).await.unwrap_or_else(|error| vec![Err(error); entries])
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        self.shared.quick.read(|connection| read::last(connection, stream, subject))
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        // Most are short. To hand these to another thread would take longer than to read them.
        let start = Span { after: Revision::ZERO, limit: SHORT_HISTORY };
        let filter = Filter::Exact(subject.clone());
        let records = self.shared.quick.read(|connection| read::read(connection, stream, &filter, start))?;
        if records.len() < SHORT_HISTORY {
            return Ok(records);
        }
        let subject = subject.clone();
        self.read_long(move |connection| read::history(connection, stream, &subject)).await
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        let filter = filter.clone();
        self.read_long(move |connection| read::subjects(connection, stream, &filter)).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        let filter = filter.clone();
        self.read_long(move |connection| read::read(connection, stream, &filter, Span { after, limit })).await
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        follow(Arc::new(Source(self.shared.clone())), stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        self.remove(stream, Removal::Erase(revision)).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        self.remove(stream, Removal::Purge(subject.clone())).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        // Nobody else writes.
        Ok(self.bounds(stream).await?.last)
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        let position = self.shared.live(stream).position();
        if position.is_closed { Err(Error::closed()) } else { Ok(position.bounds) }
    }

    async fn trim(&self, now: Timestamp) -> Result<()> {
        trim::trim(self, now).await
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<Error> {
        self.shared.trouble.lock().clone()
    }

    async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if let Some(outbox) = &self.outbox
            && outbox.send(Message::Close(answer)).is_ok()
        {
            let _already_closed = closed.await;
        }
    }
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        drop(self.outbox.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
