//! What goes to a worker.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use claviger_api::worker::{PROTOCOL, ToWorker};
use claviger_core::{FunctionId, Revision, run::RunId};
use claviger_engine::{
    Error,
    runtime::{Connection, HEARTBEAT_EVERY, LEASE, LookupId, Outgoing},
};
use futures_util::{SinkExt, stream::SplitSink};
use tokio::{
    sync::mpsc::{Receiver, UnboundedReceiver},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize;

use super::{
    encode,
    session::{Closing, Registered},
};

/// How long jobs have to end when the server stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// How often a stopping server looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the session itself answers.
#[derive(Debug)]
pub(super) enum Reply {
    /// The server is alive too.
    Heartbeat,
    /// The type of a frame is not known.
    UnknownFrame,
    /// The claim that a frame names cannot be one of ours.
    Lost { run: String, fence: String },
    /// A frame breaks a rule.
    Refused { run: RunId, fence: Revision, error: Error },
    /// A look-up asks for what cannot be.
    Unanswered { run: RunId, fence: Revision, id: LookupId, error: Error },
}

/// Why writing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nobody reads any more.
    Gone,
    /// The server stops, and the worker has finished or its time is over.
    Drained,
}

/// The writing half of a worker's connection. Whatever is waiting is written together, with one flush.
pub(super) struct Outbound {
    sink: SplitSink<WebSocket, Message>,
    replies: Receiver<Reply>,
    /// The first frame.
    opening: Option<String>,
}

impl Outbound {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>, replies: Receiver<Reply>) -> Outbound {
        Outbound { sink, replies, opening: None }
    }

    /// Sets the answer to `hello`, which is written before anything else.
    pub(super) fn open_with(&mut self, connection: &Connection, registered: &Registered) {
        self.opening = Some(encode::text(&ToWorker::Registered {
            protocol: PROTOCOL,
            session: connection.session(),
            environment: registered.environment.as_str(),
            functions: registered.functions.iter().map(FunctionId::as_str).collect(),
            heartbeat_every_ms: encode::millis(HEARTBEAT_EVERY),
            lease_ms: encode::millis(LEASE),
        }));
    }

    /// Writes until nobody reads, or the server stops and the jobs have ended.
    pub(super) async fn follow(
        &mut self,
        connection: &Connection,
        mut jobs: UnboundedReceiver<Outgoing>,
        stop: &CancellationToken,
    ) -> Stopped {
        if let Some(text) = self.opening.take()
            && self.write(text).await.is_err()
        {
            return Stopped::Gone;
        }
        let stopped = tokio::select! {
            gone = self.pump(&mut jobs) => gone,
            () = stop.cancelled() => Stopped::Drained,
        };
        match stopped {
            Stopped::Gone => Stopped::Gone,
            Stopped::Drained => {
                connection.drain();
                timeout(DRAIN_WITHIN, self.drain(connection, jobs)).await.unwrap_or(Stopped::Drained)
            }
        }
    }

    /// Tells the worker to finish, and goes on writing until it has.
    async fn drain(&mut self, connection: &Connection, mut jobs: UnboundedReceiver<Outgoing>) -> Stopped {
        if self.write(encode::text(&ToWorker::Drain)).await.is_err() {
            return Stopped::Gone;
        }
        let idle = async {
            while connection.jobs() > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let stopped = tokio::select! {
            gone = self.pump(&mut jobs) => gone,
            () = idle => Stopped::Drained,
        };
        // The last answers may still be waiting.
        if stopped == Stopped::Drained && self.flush_waiting(&mut jobs).await.is_err() {
            return Stopped::Gone;
        }
        stopped
    }

    /// Writes what comes, without end.
    async fn pump(&mut self, jobs: &mut UnboundedReceiver<Outgoing>) -> Stopped {
        loop {
            let fed = tokio::select! {
                outgoing = jobs.recv() => match outgoing {
                    Some(outgoing) => self.feed(encode::outgoing(&outgoing)).await,
                    // The engine lets go of the session only when it ends.
                    None => return Stopped::Gone,
                },
                Some(reply) = self.replies.recv() => self.feed(encode::reply(reply)).await,
            };
            if fed.is_err() || self.flush_waiting(jobs).await.is_err() {
                return Stopped::Gone;
            }
        }
    }

    async fn flush_waiting(&mut self, jobs: &mut UnboundedReceiver<Outgoing>) -> Result<(), axum::Error> {
        while let Ok(outgoing) = jobs.try_recv() {
            self.feed(encode::outgoing(&outgoing)).await?;
        }
        while let Ok(reply) = self.replies.try_recv() {
            self.feed(encode::reply(reply)).await?;
        }
        self.sink.flush().await
    }

    async fn write(&mut self, text: String) -> Result<(), axum::Error> {
        self.feed(text).await?;
        self.sink.flush().await
    }

    /// Hands a frame to the WebSocket, which copies it into its own buffer; ours is wiped then.
    async fn feed(&mut self, text: String) -> Result<(), axum::Error> {
        let text = Utf8Bytes::from(text);
        let ours: Bytes = text.clone().into();
        let fed = self.sink.feed(Message::Text(text)).await;
        if let Ok(mut owned) = ours.try_into_mut() {
            owned.zeroize();
        }
        fed
    }

    /// Says why, and closes. A peer that closed first is answered by the WebSocket itself: that answer only has to go out.
    pub(super) async fn close(&mut self, closing: Closing) {
        if closing.is_by_peer() {
            let _ = self.sink.flush().await;
            return;
        }
        while let Ok(reply) = self.replies.try_recv() {
            let _ = self.feed(encode::reply(reply)).await;
        }
        let reason = closing.error.as_ref().map_or("", |(code, _)| code);
        let close = Message::Close(Some(CloseFrame { code: closing.close_code, reason: reason.into() }));
        if let Some((code, detail)) = closing.error {
            let _ = self.feed(encode::text(&ToWorker::Error { code, detail, run: None, fence: None, id: None })).await;
        }
        let _ = self.sink.send(close).await;
    }
}
