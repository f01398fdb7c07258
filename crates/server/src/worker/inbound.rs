//! What comes from a worker.

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use claviger_api::worker::{FrameError, FromWorker, Hello, PROTOCOL};
use claviger_engine::runtime::{Connection, Frame};
use futures_util::{StreamExt, stream::SplitStream};
use tokio::{sync::mpsc::Sender, time::timeout};

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

    /// Takes frames until the connection ends or has to. What the session answers by itself goes to the sender.
    pub(super) async fn follow(&mut self, connection: &Connection, replies: &Sender<Reply>) -> Closing {
        loop {
            let text = match timeout(SILENT_FOR, self.text()).await {
                Ok(Ok(text)) => text,
                Ok(Err(closing)) => return closing,
                Err(_) => return Closing::protocol("timeout", "nothing was heard of the worker for too long"),
            };
            let reply = match FromWorker::parse(&text) {
                Ok(frame) => take(frame, connection),
                Err(FrameError::UnknownType) => Ok(Some(Reply::UnknownFrame)),
                Err(error) => Err(Closing::protocol("invalid_request", error.to_string())),
            };
            match reply {
                Ok(None) => {}
                // A worker that does not read what it is answered is not listened to either.
                Ok(Some(reply)) => match timeout(SILENT_FOR, replies.send(reply)).await {
                    Ok(Ok(())) => {}
                    _ => return Closing::GONE,
                },
                Err(closing) => return closing,
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

fn take(frame: FromWorker, connection: &Connection) -> Result<Option<Reply>, Closing> {
    let reply = match frame {
        FromWorker::Hello(_) => return Err(Closing::protocol("invalid_request", "`hello` was said already")),
        FromWorker::Step(frame) => submit(decode::frame(Kind::Step, frame), connection)?,
        FromWorker::Suspend(frame) => submit(decode::frame(Kind::Suspend, frame), connection)?,
        FromWorker::Complete(frame) => submit(decode::frame(Kind::Complete, frame), connection)?,
        FromWorker::Fail(frame) => submit(decode::frame(Kind::Fail, frame), connection)?,
        FromWorker::Lookup(frame) => submit(decode::lookup(frame), connection)?,
        FromWorker::Heartbeat => {
            connection.heartbeat();
            Some(Reply::Heartbeat)
        }
        FromWorker::Drain => {
            connection.drain();
            None
        }
    };
    Ok(reply)
}

fn submit(frame: Result<Frame, Undecoded>, connection: &Connection) -> Result<Option<Reply>, Closing> {
    Ok(match frame {
        Ok(frame) => {
            connection.submit(frame)?;
            None
        }
        Err(Undecoded::Lost { run, fence }) => Some(Reply::Lost { run, fence }),
        Err(Undecoded::Refused { run, fence, error }) => Some(Reply::Refused { run, fence, error }),
        Err(Undecoded::Unanswered { run, fence, id, error }) => Some(Reply::Unanswered { run, fence, id, error }),
    })
}
