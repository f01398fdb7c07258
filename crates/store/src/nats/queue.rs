//! A queue that the servers of a vault share.
//!
//! A hint that waits is a message in a stream in memory, alone on its subject: offering guards by that. It is taken by
//! deleting it, which one server does, whoever else has read it; from then on its lease is kept in the process that took it.
//! So there is no consumer whose state could differ from the stream's, or outlive its server. A server that dies takes its
//! hints along, and the sweep offers again what they were about.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use async_nats::{
    HeaderMap, Subscriber,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::stream::{Config, DiscardPolicy, Info, StorageType},
};
use async_trait::async_trait;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    connection::NatsConnection,
    fault::{Attempt, Fault, Refusal, code},
    pause::{Patience, jitter},
};
use crate::{Error, Hint, Queue, Result, memory::Topic};

/// How long a hint waits at most. What is still due by then is offered again by the sweep; what is not, nobody misses.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How often a topic is looked at without news: another server's may have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The pause before another look when NATS did not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Hints that are taken at the same time.
const AT_ONCE: usize = 64;

/// A queue on JetStream.
pub struct NatsQueue {
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    connection: NatsConnection,
    /// The JetStream stream.
    stream: String,
    /// What the subjects of hints begin with, dot included; the topic and the id follow.
    root: String,
    /// What the subjects of news begin with, dot included; the topic follows.
    news: String,
    /// By the topic's token.
    topics: Mutex<HashMap<String, Arc<Shelf>>>,
}

/// One topic, as far as it is known here.
#[derive(Default)]
struct Shelf {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// What was taken here, and what came back.
    taken: Topic,
    /// Counts the news.
    news: u64,
    /// After how many of them nothing waited in the stream.
    empty_after: Option<u64>,
}

impl State {
    /// Whether something may have come into the stream since it was last seen empty.
    fn may_have_more(&self) -> bool {
        self.empty_after != Some(self.news)
    }
}

impl Shelf {
    fn tell(&self) {
        self.state.lock().news += 1;
        self.changed.notify_waiters();
    }
}

/// What the stream still has for a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
    /// NATS did not say.
    Unknown,
}

/// A hint that waits.
struct Waiting {
    sequence: u64,
    id: String,
}

#[derive(Serialize)]
struct Next<'a> {
    seq: u64,
    next_by_subj: &'a str,
}

#[derive(Serialize)]
struct Delete {
    seq: u64,
    no_erase: bool,
}

#[derive(Deserialize)]
struct Found {
    message: FoundMessage,
}

#[derive(Deserialize)]
struct FoundMessage {
    seq: u64,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Published {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Deleted {}

impl NatsQueue {
    /// Makes the stream if it is not there, with as many copies as the ledger's streams have, and listens for news.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] when the stream is not as it has to be; [`Error::Unavailable`].
    pub async fn open(connection: &NatsConnection) -> Result<NatsQueue> {
        let name = connection.name();
        let shared = Arc::new(Shared {
            stream: format!("{name}_queue"),
            root: format!("{name}.queue."),
            news: format!("{name}.offered."),
            topics: Mutex::default(),
            connection: connection.clone(),
        });
        shared.settle().await?;
        let subscribed = connection.client().subscribe(format!("{}*", shared.news)).await;
        let subscriber = subscribed.map_err(|_| connection.explain(Fault::Disconnected))?;
        let listener = tokio::spawn(listen(Arc::downgrade(&shared), connection.clone(), subscriber));
        Ok(NatsQueue { shared, listener })
    }
}

impl Drop for NatsQueue {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Passes on the news of other servers. After the connection was lost, news may have been lost too.
async fn listen(shared: Weak<Shared>, connection: NatsConnection, mut subscriber: Subscriber) {
    let mut link = connection.link();
    let mut ups = link.borrow_and_update().ups;
    loop {
        tokio::select! {
            message = subscriber.next() => {
                let (Some(message), Some(shared)) = (message, shared.upgrade()) else { return };
                if message.payload != connection.node() {
                    shared.heard(message.subject.strip_prefix(&shared.news).unwrap_or_default());
                }
            }
            changed = link.changed() => {
                let (Ok(()), Some(shared)) = (changed, shared.upgrade()) else { return };
                let now = *link.borrow_and_update();
                if now.is_closed {
                    return;
                }
                if now.is_up && std::mem::replace(&mut ups, now.ups) != now.ups {
                    tokio::spawn(async move { shared.begin_anew().await });
                }
            }
        }
    }
}

fn token(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

impl Shared {
    /// Makes the stream, or finds it. In memory: a server that was alone comes back without it.
    async fn settle(&self) -> Result<()> {
        let config = Config {
            name: self.stream.clone(),
            description: Some("Claviger: hints about runs that may be ready".to_owned()),
            subjects: vec![format!("{}>", self.root)],
            storage: StorageType::Memory,
            discard: DiscardPolicy::New,
            num_replicas: self.connection.replicas(),
            max_age: KEPT_FOR,
            ..Config::default()
        };
        let made: Attempt<Info> = self.connection.ask(&format!("STREAM.CREATE.{}", self.stream), &config).await;
        let found = match made {
            Err(fault) if fault.code() == Some(code::STREAM_EXISTS) => self.connection.info(&self.stream).await,
            made => made,
        };
        let found = found.map_err(|fault| self.connection.explain(fault))?;
        if found.config.subjects != config.subjects {
            let what = format!("`subjects` of the stream `{}` has to be {}", self.stream, config.subjects[0]);
            return Err(Error::Unsuitable { what });
        }
        Ok(())
    }

    /// Makes up for what may have been lost with the connection.
    async fn begin_anew(&self) {
        if let Err(error) = self.settle().await {
            // The next offer tries again.
            tracing::warn!(%error, "the queue's stream could not be looked at");
        }
        let topics: Vec<_> = self.topics.lock().values().cloned().collect();
        topics.iter().for_each(|shelf| shelf.tell());
    }

    fn shelf(&self, token: &str) -> Arc<Shelf> {
        let mut topics = self.topics.lock();
        match topics.get(token) {
            Some(shelf) => shelf.clone(),
            None => topics.entry(token.to_owned()).or_default().clone(),
        }
    }

    fn heard(&self, token: &str) {
        // Nobody here asked for other topics yet, and whoever does looks first.
        let shelf = self.topics.lock().get(token).cloned();
        if let Some(shelf) = shelf {
            shelf.tell();
        }
    }

    /// Stores a hint, unless it waits already.
    async fn put(&self, subject: &str, id: &str) -> Attempt<()> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        let mut sent = self.connection.send(subject, headers, Bytes::copy_from_slice(id.as_bytes())).await?;
        let answer = sent.answer().await?;
        let published: Published = serde_json::from_slice(&answer.payload).map_err(|_| Fault::Unreadable)?;
        match published.error.map(Fault::from) {
            Some(fault) if fault.code().is_none_or(|code| !code::WRONG_LAST.contains(&code)) => Err(fault),
            _ => Ok(()),
        }
    }

    /// The oldest hint of a topic from a sequence on, as the stream's leader knows it.
    async fn next(&self, token: &str, from: u64) -> Result<Option<Waiting>> {
        let pattern = format!("{}{token}.*", self.root);
        let next = Next { seq: from, next_by_subj: &pattern };
        match self.connection.ask::<Found>(&format!("STREAM.MSG.GET.{}", self.stream), &next).await {
            Ok(Found { message }) => {
                let id = STANDARD.decode(&message.data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                // Nobody but us writes there; what cannot be an id is no run's.
                Ok(Some(Waiting { sequence: message.seq, id: id.unwrap_or_default() }))
            }
            Err(fault) if fault.code() == Some(code::NO_MESSAGE) => Ok(None),
            Err(fault) if fault.code() == Some(code::NO_STREAM) => self.settle().await.map(|()| None),
            Err(fault) => Err(self.connection.explain(fault)),
        }
    }

    /// Whether nobody else took it.
    async fn claim(&self, waiting: &Waiting) -> bool {
        let delete = Delete { seq: waiting.sequence, no_erase: true };
        // Once: asked again after it was done, the answer would be no.
        match self.connection.ask_once::<Deleted>(&format!("STREAM.MSG.DELETE.{}", self.stream), &delete).await {
            Ok(Deleted {}) => true,
            // If it was deleted, it was by us. If not, it is handed out twice, which is better than not at all.
            Err(fault) => fault.is_passing(),
        }
    }

    /// Takes up to `limit` hints out of the stream.
    async fn pull(&self, token: &str, limit: usize) -> Result<(Vec<String>, Left)> {
        let (mut ids, mut from, mut left) = (Vec::new(), 0, Left::Something);
        while ids.len() < limit && left == Left::Something {
            let mut found = Vec::new();
            while found.len() < (limit - ids.len()).min(AT_ONCE) && left == Left::Something {
                match self.next(token, from).await {
                    Ok(Some(waiting)) => {
                        from = waiting.sequence + 1;
                        found.push(waiting);
                    }
                    Ok(None) => left = Left::Nothing,
                    // What was found is still taken; the next call will say it again.
                    Err(error) if found.is_empty() && ids.is_empty() => return Err(error),
                    Err(_) => left = Left::Unknown,
                }
            }
            let claims = join_all(found.iter().map(|waiting| self.claim(waiting))).await;
            ids.extend(found.into_iter().zip(claims).filter(|(_, is_ours)| *is_ours).map(|(waiting, _)| waiting.id));
        }
        Ok((ids, left))
    }

    /// Looks into the stream, if something may have come; says whether there is a hint.
    async fn look(&self, token: &str, shelf: &Shelf) -> Result<bool> {
        let news = {
            let state = shelf.state.lock();
            if !state.may_have_more() {
                return Ok(false);
            }
            state.news
        };
        let found = self.next(token, 0).await?.is_some();
        if !found {
            shelf.state.lock().empty_after = Some(news);
        }
        Ok(found)
    }
}

#[async_trait]
impl Queue for NatsQueue {
    async fn offer(&self, topic: &str, id: &str) -> Result<()> {
        let (shared, topic) = (&self.shared, token(topic));
        let subject = format!("{}{topic}.{}", shared.root, token(id));
        let mut patience = Patience::new();
        loop {
            match shared.put(&subject, id).await {
                Ok(()) => break,
                Err(fault) if fault.is_passing() && patience.is_left().await => {
                    if fault == Fault::Leaderless {
                        shared.settle().await?;
                    }
                }
                Err(fault) => return Err(shared.connection.explain(fault)),
            }
        }
        shared.shelf(&topic).tell();
        let news = Bytes::copy_from_slice(shared.connection.node().as_bytes());
        // Lost news are made up for by looking from time to time.
        let _ = shared.connection.client().publish(format!("{}{topic}", shared.news), news).await;
        Ok(())
    }

    async fn take(&self, topic: &str, limit: usize, lease: Duration) -> Result<Vec<Hint>> {
        let topic = token(topic);
        let shelf = self.shared.shelf(&topic);
        let take = |limit: usize| {
            let now = Instant::now();
            shelf.state.lock().taken.take(limit, now, now + lease)
        };
        // What came back was offered before anything that waits.
        let mut ids = take(limit);
        let news = shelf.state.lock().news;
        let mut left = if shelf.state.lock().may_have_more() { Left::Something } else { Left::Nothing };
        while ids.len() < limit && left == Left::Something {
            let pulled;
            (pulled, left) = self.shared.pull(&topic, limit - ids.len()).await?;
            {
                let mut state = shelf.state.lock();
                if left == Left::Nothing {
                    state.empty_after = Some(news);
                }
                // One that is taken already waits again as soon as it is done.
                for id in &pulled {
                    state.taken.offer(id);
                }
            }
            ids.extend(take(limit - ids.len()));
        }
        Ok(ids.into_iter().map(|id| Hint { id }).collect())
    }

    async fn ready(&self, topic: &str) {
        let topic = token(topic);
        let shelf = self.shared.shelf(&topic);
        loop {
            let mut changed = std::pin::pin!(shelf.changed.notified());
            // Listening begins before the look, so that no news fall between them.
            changed.as_mut().enable();
            if shelf.state.lock().taken.is_ready(Instant::now()) {
                return;
            }
            let pause = match self.shared.look(&topic, &shelf).await {
                Ok(true) => return,
                Ok(false) => jitter(LOOK_EVERY),
                Err(_) => jitter(PAUSE),
            };
            let look_at = Instant::now() + pause;
            let next_return = shelf.state.lock().taken.next_return();
            tokio::select! {
                () = changed => {}
                () = sleep_until(next_return.map_or(look_at, |at| at.min(look_at))) => {
                    if Instant::now() >= look_at {
                        shelf.state.lock().empty_after = None;
                    }
                }
            }
        }
    }

    async fn extend(&self, topic: &str, hint: &Hint, lease: Duration) -> Result<()> {
        self.shared.shelf(&token(topic)).state.lock().taken.extend(&hint.id, Instant::now() + lease);
        Ok(())
    }

    async fn done(&self, topic: &str, hint: &Hint) -> Result<()> {
        let shelf = self.shared.shelf(&token(topic));
        let waits_again = shelf.state.lock().taken.done(&hint.id);
        if waits_again {
            shelf.changed.notify_waiters();
        }
        Ok(())
    }
}
