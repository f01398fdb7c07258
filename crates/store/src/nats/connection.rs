//! The connection that a ledger and a queue share.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, HeaderMap, Message, ServerAddr, StatusCode};
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    credentials,
    fault::{Attempt, Fault},
    link::{self, Link, Watched},
    login,
    options::NatsOptions,
    pause::jitter,
    replies::{Awaited, Replies},
};
use crate::{Error, MAX_RECORD_BYTES, Result};

/// How long one server may take to let us in.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How often a silent server is asked whether it is there. After two questions without answer it is not.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Longest pause between two attempts to come back.
const RECONNECT_WITHIN: Duration = Duration::from_secs(1);

/// How long one attempt of a request waits for its answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Room for headers in a message besides a record of the largest size.
const HEADER_BYTES: usize = 4096;

/// A connection to NATS. Cheap to clone; all clones are the same connection.
#[derive(Clone)]
pub struct NatsConnection {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    replies: Replies,
    name: String,
    /// Different for every connection, and in every message id that it makes.
    node: String,
    ids: AtomicU64,
    replicas: OnceLock<usize>,
    link: Arc<Watched>,
}

impl NatsConnection {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] for options or servers that will not do, [`Error::Credentials`], and
    /// [`Error::Unavailable`] when there is no server.
    pub(super) async fn open(options: &NatsOptions) -> Result<NatsConnection> {
        let (addresses, login) = login::take(checked(options)?)?;
        let link = Arc::new(Watched::default());
        let connect = connect_options(options, link.clone());
        let connect = login.into_iter().fold(connect, |connect, login| login.apply(connect));
        let client = connect.connect(addresses).await.map_err(|error| refused(&error))?;
        check_server(&client)?;
        let replies = Replies::start(&client, link.subscribe()).await?;
        let node = client.new_inbox().rsplit('.').next().unwrap_or_default().to_owned();
        let (ids, replicas) = (AtomicU64::new(0), OnceLock::new());
        let shared = Shared { client, replies, name: options.name.clone(), node, ids, replicas, link };
        Ok(NatsConnection { shared: Arc::new(shared) })
    }

    pub(super) fn client(&self) -> &Client {
        &self.shared.client
    }

    /// What the names of streams and subjects begin with.
    pub(super) fn name(&self) -> &str {
        &self.shared.name
    }

    /// A word that no other connection has.
    pub(super) fn node(&self) -> &str {
        &self.shared.node
    }

    /// How many copies the keyring's stream has: others are made with as many.
    pub(super) fn replicas(&self) -> usize {
        self.shared.replicas.get().copied().unwrap_or(1)
    }

    pub(super) fn found_replicas(&self, replicas: usize) {
        let _first_counts = self.shared.replicas.set(replicas);
    }

    /// A word that nothing else in the stream's duplicate window has.
    pub(super) fn fresh_id(&self) -> String {
        format!("{}-{}", self.shared.node, self.shared.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.link.now().is_closed
    }

    /// Completes when the connection is closed for good.
    pub(super) async fn closed(&self) {
        let mut link = self.link();
        let _dropped_is_closed_too = link.wait_for(|link| link.is_closed).await;
    }

    /// What is wrong with the connection, if something is.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.shared.link.trouble()
    }

    /// The error for a request that was given up.
    pub(super) fn explain(&self, fault: Fault) -> Error {
        self.shared.link.explain(fault)
    }

    /// From now on every request says that it is closed.
    pub(super) fn begin_to_close(&self) {
        self.shared.link.close();
    }

    /// Sends a request. Those that are sent one after the other arrive in this order, if nothing is lost
    /// between them.
    pub(super) async fn send(&self, subject: &str, headers: HeaderMap, payload: Bytes) -> Attempt<Sent> {
        let mut link = self.link();
        let Link { is_up, is_closed, ups } = *link.borrow_and_update();
        if is_closed {
            return Err(Fault::Closed);
        }
        if !is_up {
            // The client would keep it, and send it at a time when nobody waits for it any more.
            return Err(Fault::Disconnected);
        }
        self.check_length(&headers, &payload)?;
        let awaited = self.shared.replies.expect();
        let reply = awaited.subject.clone();
        let by = Instant::now() + ANSWER_WITHIN;
        let sending = self.shared.client.publish_with_reply_and_headers(subject.to_owned(), reply, headers, payload);
        match timeout_at(by, sending).await {
            Ok(Ok(())) => Ok(Sent { awaited, link, ups, by }),
            Ok(Err(_)) | Err(_) => Err(Fault::Disconnected),
        }
    }

    /// Sends a request and waits for its only answer.
    pub(super) async fn request(&self, subject: &str, payload: Bytes) -> Attempt<Message> {
        self.send(subject, HeaderMap::new(), payload).await?.answer().await
    }

    fn check_length(&self, headers: &HeaderMap, payload: &Bytes) -> Attempt<()> {
        let headers: usize = headers
            .iter()
            .map(|(name, values)| {
                values.iter().map(|value| AsRef::<str>::as_ref(name).len() + value.as_str().len() + 4).sum::<usize>()
            })
            .sum();
        let (length, limit) = (headers + payload.len(), self.shared.client.max_payload());
        if length + 16 > limit { Err(Fault::TooLarge { length, limit }) } else { Ok(()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What still listens holds the client, and the client the connection.
        self.link.close();
    }
}

/// A request on its way.
pub(super) struct Sent {
    awaited: Awaited,
    link: watch::Receiver<Link>,
    ups: u64,
    by: Instant,
}

impl Sent {
    /// The next answer.
    pub(super) async fn answer(&mut self) -> Attempt<Message> {
        let ups = self.ups;
        let message = tokio::select! {
            biased;
            message = self.awaited.next() => message?,
            link = self.link.wait_for(|link| link.is_closed || !link.is_up || link.ups != ups) => {
                let is_closed = link.map_or(true, |link| link.is_closed);
                return Err(if is_closed { Fault::Closed } else { Fault::Disconnected });
            }
            () = tokio::time::sleep_until(self.by) => return Err(Fault::Silent),
        };
        if message.status == Some(StatusCode::NO_RESPONDERS) { Err(Fault::Leaderless) } else { Ok(message) }
    }
}

fn checked(options: &NatsOptions) -> Result<Vec<ServerAddr>> {
    let unsuitable = |what: &str| Error::Unsuitable { what: what.to_owned() };
    if !options.has_good_name() {
        return Err(unsuitable("the name of streams is 1 to 32 letters, digits and hyphens"));
    }
    if options.replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
        return Err(unsuitable("a stream has 1 to 5 replicas"));
    }
    if options.servers.is_empty() {
        return Err(unsuitable("no NATS server is named"));
    }
    // An address can hold a password, so it is not repeated.
    let address = |text: &String| text.parse::<ServerAddr>();
    let addresses: std::io::Result<Vec<ServerAddr>> = options.servers.iter().map(address).collect();
    addresses.map_err(|_| unsuitable("the address of a NATS server is like `nats://host:4222` or `tls://host:4222`"))
}

fn connect_options(options: &NatsOptions, link: Arc<Watched>) -> ConnectOptions {
    let mut connect = match options.credentials.clone().map(Arc::new) {
        Some(path) => ConnectOptions::with_auth_callback(move |nonce| credentials::answer(path.clone(), nonce)),
        None => ConnectOptions::new(),
    };
    if let Some(ca) = &options.ca {
        connect = connect.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.client_certificate {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    connect
        .name("claviger")
        .connection_timeout(CONNECT_WITHIN)
        .ping_interval(PING_EVERY)
        .reconnect_delay_callback(reconnect_after)
        .event_callback(move |event| {
            link.note(&event);
            std::future::ready(())
        })
}

/// At once the first time, then after random pauses that grow.
fn reconnect_after(attempts: usize) -> Duration {
    let exponent = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(6);
    if attempts <= 1 {
        Duration::ZERO
    } else {
        jitter(RECONNECT_WITHIN.min(Duration::from_millis(20) * 2_u32.pow(exponent)))
    }
}

fn refused(error: &ConnectError) -> Error {
    match link::rejection(&error.kind().to_string()) {
        Some(what) => Error::Credentials { what },
        None if error.kind() == ConnectErrorKind::Tls => Error::Unsuitable {
            what: "the NATS server and this one do not agree on TLS or its certificates".to_owned(),
        },
        None => Fault::Disconnected.into(),
    }
}

fn check_server(client: &Client) -> Result<()> {
    let limit = client.max_payload();
    if limit < MAX_RECORD_BYTES + HEADER_BYTES {
        let needed = MAX_RECORD_BYTES + HEADER_BYTES;
        return Err(Error::Unsuitable {
            what: format!("`max_payload` of the NATS server is {limit}, and at least {needed} is needed"),
        });
    }
    if !client.is_server_compatible(2, 12, 0) {
        return Err(Error::Unsuitable { what: "the NATS server is older than 2.12".to_owned() });
    }
    Ok(())
}
