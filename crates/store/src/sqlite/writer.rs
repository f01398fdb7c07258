//! The thread that writes.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    apply::{Change, Removal, Results, State, Task, Transaction},
    connect,
    ledger::Shared,
    lock::Lock,
};
use crate::{Error, Result, clock};

/// How long after an erasure the older images of its pages are wiped out, at most.
pub(super) const SCRUB_AFTER: Duration = Duration::from_millis(100);

/// How long a wiping checkpoint waits for reads of older images before it is put off.
const SCRUB_PATIENCE: Duration = Duration::from_millis(5);

/// Commits between looks at the log's size.
const LOOK_EVERY: u64 = 256;

/// How long the writer waits for reads so that a log which they kept from starting anew can do so.
const LOG_PATIENCE: Duration = Duration::from_millis(100);

/// Entries after which a transaction takes no further task.
const GROUP_ENTRIES: usize = 1024;

/// Bytes after which it takes none.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What the thread is told.
pub(super) enum Message {
    /// To do this, and to answer when it is durable. The outer error is that of the transaction.
    Do(Task, Reply),
    /// To do some work of its own between two transactions.
    Work(Work),
    /// To close, and to answer when the lock is free.
    Close(oneshot::Sender<()>),
}

/// Work that needs the writing connection.
pub(super) type Work = Box<dyn FnOnce(&mut Writer) + Send>;

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<Results>>;

/// Owns the writing connection and the lock. However it ends, the reads and tails end with it, then the
/// connection is closed, then the lock is free: the fields are dropped in their order.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) state: State,
    pub(super) shared: Arc<Shared>,
    /// Held, not read.
    pub(super) _lock: Lock,
    /// When to wipe what was erased; `None` when nothing was.
    pub(super) scrub_at: Option<Instant>,
    /// The write-ahead log.
    pub(super) log: PathBuf,
    pub(super) commits: u64,
}

/// What ends the thread.
enum End {
    Closed(oneshot::Sender<()>),
    Dropped,
}

impl Writer {
    /// Works until told to close or until nobody can tell it anything any more.
    pub(super) fn run(mut self, inbox: Receiver<Message>) {
        let end = loop {
            self.scrub_when_due();
            let first = match self.next(&inbox) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break End::Dropped,
            };
            let (group, other) = gather(first, &inbox);
            if !group.is_empty() {
                self.commit(group);
                self.bound_log();
            }
            match other {
                Some(Message::Close(answer)) => break End::Closed(answer),
                Some(Message::Work(work)) => work(&mut self),
                Some(Message::Do(..)) | None => {}
            }
        };
        // Whoever still waits in the inbox learns that it is closed.
        drop(inbox);
        drop(self);
        if let End::Closed(answer) = end {
            let _gone = answer.send(());
        }
    }

    fn next(&self, inbox: &Receiver<Message>) -> std::result::Result<Message, RecvTimeoutError> {
        match self.scrub_at {
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// One transaction for the whole group. Nobody is answered before it is durable.
    fn commit(&mut self, group: Vec<(Task, Reply)>) {
        let (tasks, replies): (Vec<Task>, Vec<Reply>) = group.into_iter().unzip();
        let erases = tasks.iter().any(|task| matches!(task, Task::Remove(_, Removal::Erase(_) | Removal::Purge(_))));
        match self.transact(tasks) {
            Ok((results, changes)) => {
                self.shared.trouble.lock().take();
                self.publish(changes);
                if erases {
                    self.scrub_at.get_or_insert_with(|| Instant::now() + SCRUB_AFTER);
                }
                for (reply, results) in replies.into_iter().zip(results) {
                    let _gone = reply.send(Ok(results));
                }
            }
            Err(error) => {
                *self.shared.trouble.lock() = Some(error.clone());
                for reply in replies {
                    let _gone = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn transact(&mut self, tasks: Vec<Task>) -> Result<(Vec<Results>, Vec<Change>)> {
        let bounds = self.state.bounds;
        let outcome = self.try_transact(tasks);
        if let Err(error) = &outcome {
            self.state.bounds = bounds;
            self.state.heads.clear();
            self.roll_back();
            if matches!(error, Error::Full) {
                // An emptied log may be all the room that is needed.
                let _best_effort = connect::truncate_log(&self.connection, SCRUB_PATIENCE);
            }
        }
        outcome
    }

    fn try_transact(&mut self, tasks: Vec<Task>) -> Result<(Vec<Results>, Vec<Change>)> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut transaction = Transaction {
            connection: &self.connection,
            state: &mut self.state,
            now: clock::now(),
            changes: Vec::with_capacity(tasks.len()),
        };
        let results = tasks.into_iter().map(|task| transaction.run(task)).collect::<Result<_>>()?;
        let changes = transaction.changes;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok((results, changes))
    }

    pub(super) fn roll_back(&self) {
        // SQLite has rolled back by itself after some errors. If this fails too, the next BEGIN does,
        // and it is tried again.
        if !self.connection.is_autocommit() {
            let _tried_again = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn publish(&self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Stored(stream, record) => self.shared.live(stream).push(record),
                Change::Removed(stream, revision) => self.shared.live(stream).remove(revision),
            }
        }
        for (live, &bounds) in self.shared.streams.iter().zip(&self.state.bounds) {
            live.advance(bounds);
        }
    }

    fn scrub_when_due(&mut self) {
        if self.scrub_at.is_some_and(|at| at <= Instant::now()) {
            let is_done = connect::truncate_log(&self.connection, SCRUB_PATIENCE).unwrap_or(false);
            self.scrub_at = (!is_done).then(|| Instant::now() + SCRUB_AFTER);
        }
    }

    /// SQLite starts the log anew by itself when no read is using it just then. Under reads without
    /// pause that may not happen for long, so now and then it is made to.
    fn bound_log(&mut self) {
        self.commits += 1;
        let is_long = |log: &Path| log.metadata().is_ok_and(|file| file.len() > u64::from(connect::LOG_BYTES));
        if self.commits.is_multiple_of(LOOK_EVERY) && is_long(&self.log) {
            let _tried_again = connect::truncate_log(&self.connection, LOG_PATIENCE);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close();
        let _best_effort = connect::truncate_log(&self.connection, SCRUB_PATIENCE);
    }
}

/// The first message and what waits behind it, up to the limits of a group or to one that is about
/// something else, which is the second of the answer.
fn gather(first: Message, inbox: &Receiver<Message>) -> (Vec<(Task, Reply)>, Option<Message>) {
    let mut group = Vec::new();
    let (mut entries, mut bytes) = (0, 0);
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Do(task, reply) => {
                entries += task.entries();
                bytes += task.bytes();
                group.push((task, reply));
            }
            other => return (group, Some(other)),
        }
        next = if entries < GROUP_ENTRIES && bytes < GROUP_BYTES { inbox.try_recv().ok() } else { None };
    }
    (group, None)
}
