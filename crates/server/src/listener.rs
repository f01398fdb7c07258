//! Accepts connections and sees them end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{app::App, caller::Peer};

/// Connections at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a request's head may take to arrive, and an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long connections have to come to an end when the server stops.
const CLOSE_WITHIN: Duration = Duration::from_millis(2_500);
/// How long to wait when no connection can be accepted, as when there are too many open files.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

const HTTP2_STREAMS: u32 = 256;
const HTTP2_PING_EVERY: Duration = Duration::from_secs(20);

pub(crate) async fn serve(listener: TcpListener, app: App, router: Router, shutdown: impl Future<Output = ()>) {
    let serving = Serving {
        builder: builder(),
        router,
        graceful: GracefulShutdown::new(),
        abort: app.abort.clone(),
        connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
    tokio::select! {
        () = serving.accept(&listener) => {}
        () = shutdown => {}
    }
    drop(listener);
    app.stop.cancel();
    app.workers.close();
    let ended = async {
        tokio::join!(serving.graceful.shutdown(), app.workers.wait());
    };
    if timeout(CLOSE_WITHIN, ended).await.is_err() {
        tracing::warn!("connections did not end in time and are cut off");
    }
    app.abort.cancel();
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .keep_alive_interval(HTTP2_PING_EVERY)
        .keep_alive_timeout(HTTP2_PING_EVERY);
    builder
}

struct Serving {
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    graceful: GracefulShutdown,
    abort: CancellationToken,
    connections: Arc<Semaphore>,
}

impl Serving {
    async fn accept(&self, listener: &TcpListener) {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = self.connections.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => self.start(stream, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        // Without it answers still arrive, only later.
        let _ = stream.set_nodelay(true);
        let (router, spoke) = (self.router.clone(), Arc::new(AtomicBool::new(false)));
        let has_spoken = spoke.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            spoke.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(peer.ip()));
            router.clone().call(request)
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let (connection, abort) = (self.graceful.watch(connection), self.abort.clone());
        tokio::spawn(async move {
            tokio::select! {
                // A connection that breaks off is the peer's business.
                _ = connection => {}
                () = silence(&has_spoken) => {}
                () = abort.cancelled() => {}
            }
            drop(permit);
        });
    }
}

/// Is over when nothing was asked for so long: which protocol it is to be is read without a time limit of its own.
async fn silence(has_spoken: &AtomicBool) {
    sleep(HEAD_WITHIN).await;
    if has_spoken.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
