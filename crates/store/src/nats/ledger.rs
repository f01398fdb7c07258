//! The ledger.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::{Incarnation, Revision, Timestamp};
use futures_util::future::{join_all, try_join_all};
use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::timeout};

use super::{
    append,
    connection::{ANSWER_WITHIN, NatsConnection},
    consumer, erase,
    feed::Feed,
    incarnation, life,
    names::Names,
    notes,
    options::NatsOptions,
    placement::{self, Placement},
    read::{self, Span},
    shared::{Shared, Shelf, Source},
    streams,
    survey::survey,
    turns::Turns,
};
use crate::{Append, Bounds, Error, Filter, Ledger, Record, Result, Stream, Subject, Tail, tail::follow};

/// A ledger in NATS JetStream, shared by any number of servers.
///
/// **Names.** With the prefix `claviger`, the stream of runs is `claviger_runs`, and a record's subject there is
/// `claviger.runs.` and the subject. The secrets are the key-value bucket `claviger_secrets`, that is the stream
/// `KV_claviger_secrets`. Beside its records a stream has a few *control records* under `claviger.control.`, which the
/// ledger writes for itself. They use sequences of the stream, and no read, tail or bound shows them.
///
/// **Durability** is that of the streams: how many servers have a copy, and when these sync their files (see
/// [`placements`](NatsLedger::placements)). An append is acknowledged when the stream's leader and a majority of the copies
/// have it. An append whose answer does not come is sent again with the same message id, which stores it once, for up to
/// ten seconds; then the answer is [`Error::Unavailable`], and whether it was stored is unknown.
///
/// **Lost records.** When a stream ends before what this process has seen of it, has something else there, or is gone, its calls
/// say [`Error::Lost`] and its tails nothing, since whatever was folded from it is wrong, until it has been restored and has
/// again what was seen last.
///
/// **Erasing.** When `erase` or `purge` returns, the leader has overwritten the record in its block file, no read or tail of
/// this process returns it, and the other copies follow. What is out of reach: the logs by which the servers of a cluster
/// replicate a stream hold everything that was appended until they compact them, after two or three minutes as a rule and
/// only while the stream is written to, and what goes then goes without being overwritten; what the file system below keeps;
/// snapshots and backups. Records that retention drops are overwritten too, but not those that are dropped for their age.
///
/// **A full store.** What does not fit in the limits of the stream, the account or the server is refused with [`Error::Full`].
/// It goes on when there is room again.
///
/// Dropping it ends it without waiting; [`close`](Ledger::close) also takes its consumers out of the streams.
pub struct NatsLedger {
    incarnation: Incarnation,
    shared: Arc<Shared>,
    consumers: Mutex<Vec<JoinHandle<()>>>,
}

impl NatsLedger {
    /// Connects, makes the streams of a new store, and checks those of one that was there.
    ///
    /// # Errors
    /// [`Error::Gone`] when a stream of a store is absent that was there before, or the store is not
    /// [the known one](NatsOptions::known): then nothing is made. [`Error::Unsuitable`] names what has to be set up differently, [`Error::Credentials`] says that we are not
    /// let in, and [`Error::Unavailable`] that no server, or no leader of a stream, was found within some seconds.
    pub async fn connect(options: NatsOptions) -> Result<NatsLedger> {
        let connection = NatsConnection::open(&options).await?;
        let is_new = life::check(&connection, options.known).await?.is_none();
        let absent = if is_new { Absent::Made(options.replicas) } else { Absent::Lost };
        // The keyring's first, alone: of servers that start together, one makes it.
        let keyring = open_shelf(&connection, Stream::Keyring, absent).await?;
        let others = Stream::ALL.into_iter().filter(|&stream| stream != Stream::Keyring);
        let absent = match absent {
            Absent::Made(replicas) => Absent::Made(replicas.or(Some(connection.replicas()))),
            Absent::Lost => Absent::Lost,
        };
        let others = others.map(|stream| open_shelf(&connection, stream, absent));
        let mut shelves = vec![keyring];
        shelves.extend(try_join_all(others).await?);
        let shelves = shelves.try_into().unwrap_or_else(|_| unreachable!("a shelf for each stream"));
        let incarnation = incarnation::find_or_draw(&connection).await?;
        let shared = Arc::new(Shared::new(connection, shelves));
        let run = |stream| tokio::spawn(consumer::run(shared.clone(), stream));
        let consumers = Mutex::new(Stream::ALL.into_iter().map(run).collect());
        Ok(NatsLedger { incarnation, shared, consumers })
    }

    /// The connection, for a queue beside the ledger. It ends with the ledger.
    #[must_use]
    pub fn connection(&self) -> &NatsConnection {
        &self.shared.connection
    }

    /// How and where each stream is kept at the moment, as its leader says.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn placements(&self) -> Result<Vec<Placement>> {
        placement::placements(&self.shared).await
    }
}

/// What a stream is that is not there.
#[derive(Clone, Copy)]
enum Absent {
    /// To be made, with so many copies.
    Made(Option<usize>),
    /// Lost.
    Lost,
}

async fn open_shelf(connection: &NatsConnection, stream: Stream, absent: Absent) -> Result<Shelf> {
    let names = Names::of(connection.name(), stream);
    let info = match absent {
        Absent::Made(replicas) => streams::find_or_make(connection, stream, &names, replicas).await?,
        Absent::Lost => life::find(connection, &names).await?,
    };
    streams::check(stream, &names, &info.config)?;
    if stream == Stream::Keyring {
        connection.found_replicas(info.config.num_replicas);
    }
    let feed = Feed::new(survey(connection, stream, &names).await?);
    Ok(Shelf { names, feed, barriers: Turns::default(), is_replicated: info.config.num_replicas > 1 })
}

impl Drop for NatsLedger {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[async_trait]
impl Ledger for NatsLedger {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Revision>> {
        append::append(&self.shared, batch).await
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Record>> {
        read::last(&self.shared, stream, &Filter::Exact(subject.clone())).await
    }

    async fn history(&self, stream: Stream, subject: &Subject) -> Result<Vec<Record>> {
        let all = Span::records(Revision::ZERO, usize::MAX);
        Ok(read::read(&self.shared, stream, &Filter::Exact(subject.clone()), all).await?.records)
    }

    async fn subjects(&self, stream: Stream, filter: &Filter) -> Result<Vec<Subject>> {
        read::subjects(&self.shared, stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &Filter, after: Revision, limit: usize) -> Result<Vec<Record>> {
        Ok(read::read(&self.shared, stream, filter, Span::records(after, limit)).await?.records)
    }

    fn tail(&self, stream: Stream, filter: Filter, after: Revision) -> Tail {
        follow(Arc::new(Source(self.shared.clone())), stream, filter, after)
    }

    async fn erase(&self, stream: Stream, revision: Revision) -> Result<()> {
        erase::erase(&self.shared, stream, revision).await
    }

    async fn purge(&self, stream: Stream, subject: &Subject) -> Result<()> {
        erase::purge(&self.shared, stream, subject).await
    }

    async fn barrier(&self, stream: Stream) -> Result<Revision> {
        let barriers = &self.shared.shelf(stream).barriers;
        barriers.share(notes::barrier(&self.shared, stream)).await
    }

    async fn bounds(&self, stream: Stream) -> Result<Bounds> {
        self.shared.check(stream)?;
        let known = self.shared.feed(stream).bounds();
        let ages = stream.retention().max_age.is_some();
        if self.shared.feed(stream).is_fresh() && !ages {
            return Ok(known);
        }
        let (connection, names) = (&self.shared.connection, self.shared.names(stream));
        let found = survey(connection, stream, names).await?.bounds;
        Ok(Bounds { first: found.first.max(known.first), last: found.last.max(known.last) })
    }

    async fn trim(&self, _now: Timestamp) -> Result<()> {
        for stream in Stream::ALL {
            self.shared.check(stream)?;
            erase::trim(&self.shared, stream).await?;
        }
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn trouble(&self) -> Option<Error> {
        self.shared.trouble()
    }

    async fn close(&self) {
        self.shared.close();
        let consumers = std::mem::take(&mut *self.consumers.lock());
        join_all(consumers).await;
        let _ended_by_the_server_later = timeout(ANSWER_WITHIN, self.shared.connection.client().drain()).await;
    }
}
