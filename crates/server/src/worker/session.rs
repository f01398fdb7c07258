//! One worker's session, from its `hello` to its end.

use std::time::Duration;

use axum::extract::ws::WebSocket;
use claviger_core::{Caller, EnvironmentName, ErrorKind, FunctionId};
use claviger_engine::{
    Error,
    runtime::{Connection, HEARTBEAT_EVERY, Outgoing},
};
use futures_util::StreamExt;
use tokio::{
    sync::mpsc::{UnboundedReceiver, channel},
    time::timeout,
};

use super::{
    decode,
    inbound::Inbound,
    outbound::{Outbound, Stopped},
};
use crate::{app::App, caller::own_environment};

/// How long a worker may take to say `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of a connection may take.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
/// Answers of the session itself that may wait to be written.
const MOST_REPLIES: usize = 256;

/// Why the server ends a connection: a frame `error`, if there is something to say, and a close code.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) close_code: u16,
    pub(super) error: Option<(&'static str, String)>,
}

impl Closing {
    /// The peer closed, or is gone.
    pub(super) const GONE: Closing = Closing { close_code: 1000, error: None };
    /// The server stops.
    pub(super) const STOPPING: Closing = Closing { close_code: 1001, error: None };

    /// Whether there is nothing to say: the peer closed, or is gone.
    pub(super) fn is_by_peer(&self) -> bool {
        self.close_code == Closing::GONE.close_code && self.error.is_none()
    }

    /// The worker broke the protocol.
    pub(super) fn protocol(code: &'static str, detail: impl Into<String>) -> Closing {
        Closing { close_code: 4400, error: Some((code, detail.into())) }
    }
}

impl From<Error> for Closing {
    fn from(error: Error) -> Closing {
        let close_code = match error.kind() {
            ErrorKind::Unauthenticated => 4401,
            ErrorKind::Denied | ErrorKind::NotFound => 4403,
            ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::TimedOut => 1013,
            ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::NoKey => 1011,
            _ => 4400,
        };
        Closing { close_code, error: Some((error.code(), error.detail())) }
    }
}

/// What a worker is told of its registration.
pub(super) struct Registered {
    pub(super) environment: EnvironmentName,
    pub(super) functions: Vec<FunctionId>,
}

/// Serves one worker until either side ends the connection. Its jobs are given back then.
pub(crate) async fn run(socket: WebSocket, app: App, caller: Caller) {
    let (sink, stream) = socket.split();
    let mut inbound = Inbound::new(stream);
    let (sender, replies) = channel(MOST_REPLIES);
    let mut outbound = Outbound::new(sink, replies);
    let closing = match register(&mut inbound, &app, &caller).await {
        Ok((connection, jobs, registered)) => {
            tracing::info!(session = connection.session(), caller = %caller.id, "a worker connected");
            outbound.open_with(&connection, &registered);
            let closing = tokio::select! {
                closing = inbound.follow(&connection, &sender) => closing,
                stopped = outbound.follow(&connection, jobs, &app.stop) => match stopped {
                    Stopped::Gone => Closing::GONE,
                    Stopped::Drained => Closing::STOPPING,
                },
                () = app.engine.access().ended(&caller) => Closing::from(Error::UnknownApiKey),
            };
            tracing::info!(session = connection.session(), close_code = closing.close_code, "a worker disconnected");
            closing
        }
        Err(closing) => closing,
    };
    // The connection is dropped by now: its jobs are being given back while the peer is told.
    let _ = timeout(CLOSE_WITHIN, outbound.close(closing)).await;
}

/// Reads `hello` and registers what it declares.
async fn register(
    inbound: &mut Inbound,
    app: &App,
    caller: &Caller,
) -> Result<(Connection, UnboundedReceiver<Outgoing>, Registered), Closing> {
    let hello = tokio::select! {
        hello = timeout(HELLO_WITHIN, inbound.hello()) => hello,
        () = app.stop.cancelled() => return Err(Closing::STOPPING),
    };
    let hello = hello.map_err(|_| Closing::protocol("timeout", "there was no `hello` in time"))??;
    let name = hello.environment.as_deref().unwrap_or(own_environment(caller));
    let environment = app.engine.access().environment(caller, name).await?;
    let registration = decode::registration(*hello, environment)?;
    let registered = Registered {
        environment: registration.environment.clone(),
        functions: registration.functions.iter().map(|function| function.id.clone()).collect(),
    };
    let (connection, jobs) = app.engine.runtime().connect(caller.clone(), registration).await?;
    Ok((connection, jobs, registered))
}

/// Two and a half heartbeats: one may be lost, and the next be late.
pub(super) const SILENT_FOR: Duration = Duration::from_millis(HEARTBEAT_EVERY.as_millis() as u64 * 5 / 2);
