//! The one consumer that this process has of a stream, and all its tails with it.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use claviger_core::{Revision, Timestamp};
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::{
    api::{Anything, header, number},
    connection::NatsConnection,
    fault::{Attempt, Fault, code},
    feed::{Feed, Health},
    link::Link,
    loss::Known,
    names::{Control, Names},
    notes::Note,
    pause::jitter,
    shared::Shared,
};
use crate::{Record, Stream};

/// How often a consumer with nothing to say says so.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// After so long without a word it is taken for dead: within the second by which what is known here may be behind.
const SILENCE: Duration = Duration::from_millis(900);

/// How long it may bring nothing while the stream has something for it.
const BEHIND_FOR: Duration = Duration::from_secs(2);

/// How long the server keeps a consumer to which nobody listens.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// How long the new consumer waits for the end of an old one, whose server may be the one that died.
const DELETED_WITHIN: Duration = Duration::from_millis(200);

/// Longest pause before a new consumer is made.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Feeds the tails of a stream until the connection is closed for good.
pub(super) async fn run(shared: Arc<Shared>, stream: Stream) {
    let mut consumers = Consumers::new(&shared, stream);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let fault = tokio::select! {
            fault = consumers.follow(&mut pause) => fault,
            () = shared.connection.closed() => break,
        };
        if fault == Fault::Closed {
            break;
        }
        if fault == Fault::Lost && !consumers.feed.is_lost() {
            tracing::error!(%stream, "the stream has lost records that were acknowledged");
        }
        consumers.feed.set_health(Health::Failed(fault.clone()));
        tracing::debug!(%stream, %fault, "the consumer of a stream is made anew");
        tokio::select! {
            () = sleep(jitter(pause)) => {}
            () = shared.connection.closed() => break,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    consumers.let_go().await;
}

/// The consumer, and those that were given up but may still be there.
struct Consumers<'a> {
    known: Known<'a>,
    connection: &'a NatsConnection,
    names: &'a Names,
    feed: &'a Feed,
    made: u64,
    stale: Vec<String>,
}

#[derive(Serialize)]
struct Create<'a> {
    stream_name: &'a str,
    config: Config<'a>,
    action: &'static str,
}

/// A consumer that nobody acknowledges to, in the memory of one server.
#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    deliver_subject: &'a str,
    deliver_policy: &'static str,
    opt_start_seq: u64,
    ack_policy: &'static str,
    replay_policy: &'static str,
    max_deliver: i64,
    flow_control: bool,
    idle_heartbeat: u128,
    inactive_threshold: u128,
    num_replicas: usize,
    mem_storage: bool,
}

impl<'a> Consumers<'a> {
    fn new(shared: &'a Shared, stream: Stream) -> Consumers<'a> {
        Consumers {
            known: Known { shared, stream },
            connection: &shared.connection,
            names: shared.names(stream),
            feed: shared.feed(stream),
            made: 0,
            stale: Vec::new(),
        }
    }

    /// Makes a consumer behind what was seen and listens to it until it fails.
    async fn follow(&mut self, pause: &mut Duration) -> Fault {
        match self.try_follow(pause).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn try_follow(&mut self, pause: &mut Duration) -> Attempt<std::convert::Infallible> {
        let link = *self.connection.link().borrow();
        self.delete_stale().await;
        if self.feed.is_lost() {
            self.known.check().await?;
        }
        let inbox = self.connection.client().new_inbox();
        let mut subscriber = self.connection.client().subscribe(inbox.clone()).await.map_err(|_| Fault::Closed)?;
        match self.create(&inbox).await {
            // That there is no stream is looked at below.
            Err(fault) if fault.code() == Some(code::NO_STREAM) => {}
            created => created?,
        }
        // Afterwards: a stream that is made anew between the two takes the consumer along.
        self.known.check().await?;
        if self.feed.is_lost() {
            tracing::warn!(stream = %self.known.stream, "the stream has again what it had lost");
        }
        self.feed.set_health(Health::Fresh);
        let mut heard = Heard { consumer_sequence: 0, behind_since: None };
        loop {
            let message = self.next(&mut subscriber, link).await?;
            heard.take(self, message).await?;
            *pause = SHORTEST_PAUSE;
        }
    }

    /// The next word of the consumer. Through another connection than the one it was made on, some may have
    /// been lost.
    async fn next(&self, subscriber: &mut Subscriber, made_on: Link) -> Attempt<Message> {
        let mut link = self.connection.link();
        tokio::select! {
            biased;
            message = subscriber.next() => message.ok_or(Fault::Closed),
            _ = link.wait_for(|link| link.ups != made_on.ups || !link.is_up) => Err(Fault::Disconnected),
            () = sleep(SILENCE) => Err(Fault::Silent),
        }
    }

    async fn create(&mut self, inbox: &str) -> Attempt<()> {
        self.made += 1;
        let name = format!("tail-{}-{}", self.connection.node(), self.made);
        let create = Create {
            stream_name: &self.names.stream,
            config: Config {
                name: &name,
                deliver_subject: inbox,
                deliver_policy: "by_start_sequence",
                opt_start_seq: self.feed.passed().borrow().next().0,
                ack_policy: "none",
                replay_policy: "instant",
                max_deliver: 1,
                flow_control: true,
                idle_heartbeat: HEARTBEAT.as_nanos(),
                inactive_threshold: KEPT_FOR.as_nanos(),
                num_replicas: 1,
                mem_storage: true,
            },
            action: "create",
        };
        // Even without an answer it may have been made.
        self.stale.push(name.clone());
        let request = format!("CONSUMER.CREATE.{}.{name}", self.names.stream);
        self.connection.ask_once::<Anything>(&request, &create).await.map(drop)
    }

    /// Deletes the consumers that were given up, as far as possible now. The server deletes the others when
    /// nobody has listened to them for a while.
    async fn delete_stale(&mut self) {
        for name in std::mem::take(&mut self.stale) {
            let request = format!("CONSUMER.DELETE.{}.{name}", self.names.stream);
            match timeout(DELETED_WITHIN, self.connection.ask_once::<Anything>(&request, &())).await {
                Ok(Ok(_)) => {}
                Ok(Err(fault)) if fault.code() == Some(code::NO_CONSUMER) => {}
                Ok(Err(_)) | Err(_) => self.stale.push(name),
            }
        }
    }
}

impl Consumers<'_> {
    /// Has the consumers deleted without waiting for the answers: requests are not answered any more.
    async fn let_go(&self) {
        let client = self.connection.client();
        for name in &self.stale {
            let request = format!("$JS.API.CONSUMER.DELETE.{}.{name}", self.names.stream);
            let _forgotten_by_the_server_later =
                client.publish_with_reply(request, client.new_inbox(), Vec::new().into()).await;
        }
    }
}

/// What came from the consumer so far.
struct Heard {
    consumer_sequence: u64,
    /// Since when it has said nothing but that it is there, although there is something to bring.
    behind_since: Option<Instant>,
}

impl Heard {
    async fn take(&mut self, consumers: &Consumers<'_>, message: Message) -> Attempt<()> {
        match message.status {
            None => self.take_record(consumers, message),
            Some(status) if status.as_u16() == 100 => self.take_word(consumers, message).await,
            // The consumer was deleted, or its server shuts down.
            Some(_) => Err(Fault::Leaderless),
        }
    }

    /// A heartbeat, or a question whether we keep up.
    async fn take_word(&mut self, consumers: &Consumers<'_>, message: Message) -> Attempt<()> {
        let stalled = message.headers.as_ref().and_then(|headers| header(headers, "Nats-Consumer-Stalled"));
        if let Some(subject) = message.reply.as_deref().or(stalled) {
            let answered = consumers.connection.client().publish(subject.to_owned(), Vec::new().into()).await;
            answered.map_err(|_| Fault::Disconnected)?;
        }
        let last = message.headers.as_ref().and_then(|headers| number(headers, "Nats-Last-Consumer"));
        let is_idle = last.is_none_or(|last| last == self.consumer_sequence);
        if is_idle && self.brings_what_there_is(consumers.feed) { Ok(()) } else { Err(Fault::Silent) }
    }

    /// One that is alive and brings nothing may sit on a server that does not follow the stream any more.
    fn brings_what_there_is(&mut self, feed: &Feed) -> bool {
        if !feed.is_behind() {
            self.behind_since = None;
            return true;
        }
        self.behind_since.get_or_insert_with(Instant::now).elapsed() < BEHIND_FOR
    }

    fn take_record(&mut self, consumers: &Consumers<'_>, message: Message) -> Attempt<()> {
        self.behind_since = None;
        let place = message.reply.as_deref().and_then(Place::parse).ok_or(Fault::Unreadable)?;
        if place.consumer_sequence != self.consumer_sequence + 1 {
            return Err(Fault::Silent);
        }
        self.consumer_sequence += 1;
        let (feed, names) = (consumers.feed, consumers.names);
        if let Some(subject) = names.parse(&message.subject) {
            let Place { revision, stored_at, .. } = place;
            feed.push(Record { subject, revision, stored_at, bytes: message.payload[..].into() });
            return Ok(());
        }
        if *message.subject == *names.control(Control::Trimmed)
            && let Some(note) = Note::read(&message.payload)
        {
            feed.trimmed(note.first);
        }
        feed.pass(place.revision);
        Ok(())
    }
}

/// What the reply subject of a delivered message says.
struct Place {
    revision: Revision,
    consumer_sequence: u64,
    stored_at: Timestamp,
}

impl Place {
    /// Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<nanoseconds>.<pending>`, or the longer
    /// form with domain and account before the stream.
    fn parse(reply: &str) -> Option<Place> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let from = if tokens.len() >= 9 { 5 } else { 3 };
        let number = |at: usize| tokens.get(at)?.parse::<u64>().ok();
        Some(Place {
            revision: Revision(number(from)?),
            consumer_sequence: number(from + 1)?,
            stored_at: Timestamp((number(from + 2)? / 1_000_000).try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_place_are_read() {
        for reply in ["$JS.ACK.s.c.1.42.7.1790230470084404000.3", "$JS.ACK._.hash.s.c.1.42.7.1790230470084404000.3"] {
            let place = Place::parse(reply).unwrap();
            assert_eq!((place.revision, place.consumer_sequence), (Revision(42), 7));
            assert_eq!(place.stored_at, Timestamp(1_790_230_470_084));
        }
        assert!(Place::parse("$JS.FC.s.c.1").is_none());
    }
}
