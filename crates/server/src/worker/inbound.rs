//! What comes from a worker.

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use claviger_api::worker::{FrameError, FromWorker, Hello, PROTOCOL, RunFrame};
use claviger_engine::runtime::Connection;
use futures_util::{StreamExt, stream::SplitStream};
use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use super::{
    decode::{self, Kind, Undecoded},
    outbound::Reply,
    session::{Closing, SILENT_FOR},
};

/// The reading half of a worker's connection.
pub(super) struct Inbound(SplitStream<WebSocket>);

impl Inbound {
    pub(super) fn new(stream: SplitStream<WebSocket>) -> Inbound {
        Inbound(stream)
    }

    /// The first frame, which has to be `hello` in a version that is spoken here.
    pub(super) async fn hello(&mut self) -> Result<Box<Hello>, Closing> {
        match FromWorker::parse(&self.text().await?) {
            Ok(FromWorker::Hello(hello)) if hello.protocol == PROTOCOL => Ok(hello),
            Ok(FromWorker::Hello(hello)) => {
                let detail = format!("protocol {} is not spoken here, {PROTOCOL} is", hello.protocol);
                Err(Closing::protocol("unsupported_protocol", detail))
            }
            Err(error @ FrameError::Malformed { .. }) => Err(Closing::protocol("invalid_request", error.to_string())),
            _ => Err(Closing::protocol("invalid_request", "the first frame has to be `hello`")),
        }
    }

    /// Takes frames until the connection ends or has to.
    pub(super) async fn follow(&mut self, connection: &Connection, replies: &UnboundedSender<Reply>) -> Closing {
        loop {
            let text = match timeout(SILENT_FOR, self.text()).await {
                Ok(Ok(text)) => text,
                Ok(Err(closing)) => return closing,
                Err(_) => return Closing::protocol("timeout", "nothing was heard of the worker for too long"),
            };
            match FromWorker::parse(&text) {
                Ok(frame) => {
                    if let Err(closing) = take(frame, connection, replies) {
                        return closing;
                    }
                }
                Err(FrameError::UnknownType) => reply(replies, Reply::UnknownFrame),
                Err(error) => return Closing::protocol("invalid_request", error.to_string()),
            }
        }
    }

    /// The next message that is a frame. Pings are answered by the WebSocket itself.
    async fn text(&mut self) -> Result<Utf8Bytes, Closing> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Binary(_))) => {
                    return Err(Closing::protocol("invalid_request", "frames are text messages"));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Closing::GONE),
                // Too large, not UTF-8, or the connection broke: in the last case nobody hears it.
                Some(Err(_)) => return Err(Closing::protocol("invalid_request", "the message could not be read")),
            }
        }
    }
}

fn take(frame: FromWorker, connection: &Connection, replies: &UnboundedSender<Reply>) -> Result<(), Closing> {
    match frame {
        FromWorker::Hello(_) => return Err(Closing::protocol("invalid_request", "`hello` was said already")),
        FromWorker::Step(frame) => submit(Kind::Step, frame, connection, replies),
        FromWorker::Suspend(frame) => submit(Kind::Suspend, frame, connection, replies),
        FromWorker::Complete(frame) => submit(Kind::Complete, frame, connection, replies),
        FromWorker::Fail(frame) => submit(Kind::Fail, frame, connection, replies),
        FromWorker::Heartbeat => {
            connection.heartbeat();
            reply(replies, Reply::Heartbeat);
        }
        FromWorker::Drain => connection.drain(),
    }
    Ok(())
}

fn submit(kind: Kind, frame: RunFrame, connection: &Connection, replies: &UnboundedSender<Reply>) {
    match decode::frame(kind, frame) {
        Ok(frame) => connection.submit(frame),
        Err(Undecoded::Lost { run, fence }) => reply(replies, Reply::Lost { run, fence }),
        Err(Undecoded::Refused { run, error }) => reply(replies, Reply::Refused { run, error }),
    }
}

/// The receiver lives as long as the session.
fn reply(replies: &UnboundedSender<Reply>, what: Reply) {
    let _ = replies.send(what);
}
