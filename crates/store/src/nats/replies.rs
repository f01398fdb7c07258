//! Answers to requests: one subscription for all of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::{
    fault::{Attempt, Fault},
    link::Link,
};

/// Who waits for which answers. What nobody waits for any more is dropped, so a request can be abandoned at
/// any time.
pub(super) struct Replies {
    inbox: String,
    next: AtomicU64,
    waiting: Arc<Waiting>,
}

type Waiting = Mutex<HashMap<u64, mpsc::UnboundedSender<Message>>>;

impl Replies {
    /// Subscribes, until the link is closed.
    pub(super) async fn start(client: &Client, link: watch::Receiver<Link>) -> Attempt<Replies> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await.map_err(|_| Fault::Disconnected)?;
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(hand_out(subscriber, link, waiting.clone()));
        Ok(Replies { inbox, next: AtomicU64::new(0), waiting })
    }

    /// A subject for the answers to one request.
    pub(super) fn expect(&self) -> Awaited {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::unbounded_channel();
        self.waiting.lock().insert(number, sender);
        Awaited { subject: format!("{}.{number}", self.inbox), number, answers, waiting: self.waiting.clone() }
    }
}

async fn hand_out(mut subscriber: Subscriber, mut link: watch::Receiver<Link>, waiting: Arc<Waiting>) {
    let mut closed = std::pin::pin!(link.wait_for(|link| link.is_closed));
    loop {
        let message = tokio::select! {
            message = subscriber.next() => message,
            _ = &mut closed => None,
        };
        let Some(message) = message else { break };
        let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
        let sender = number.and_then(|number: u64| waiting.lock().get(&number).cloned());
        if let Some(sender) = sender {
            let _gone = sender.send(message);
        }
    }
    waiting.lock().clear();
}

/// The answers to one request, as they come.
pub(super) struct Awaited {
    /// Where to send them.
    pub(super) subject: String,
    number: u64,
    answers: mpsc::UnboundedReceiver<Message>,
    waiting: Arc<Waiting>,
}

impl Awaited {
    /// The next one.
    pub(super) async fn next(&mut self) -> Attempt<Message> {
        self.answers.recv().await.ok_or(Fault::Closed)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}
