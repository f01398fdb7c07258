//! Whether there is a connection, and what is wrong when there is none.

use std::sync::Arc;

use async_nats::{ClientError, Event, ServerError};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fault::Fault;
use crate::Error;

/// The state of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Whether there is one.
    pub(super) is_up: bool,
    /// Whether it was closed for good.
    pub(super) is_closed: bool,
    /// How often there was a new one. What was sent through another one may never be answered.
    pub(super) ups: u64,
}

/// The link, kept up to date by the client's events.
#[derive(Debug, Default)]
pub(super) struct Watched {
    link: watch::Sender<Link>,
    /// Why nobody is let in.
    rejected: Mutex<Option<&'static str>>,
}

impl Watched {
    pub(super) fn subscribe(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    pub(super) fn now(&self) -> Link {
        *self.link.borrow()
    }

    /// No request is answered any more.
    pub(super) fn close(&self) {
        self.link.send_if_modified(|link| !std::mem::replace(&mut link.is_closed, true));
    }

    /// What is wrong, if something is.
    pub(super) fn trouble(&self) -> Option<Error> {
        let link = self.now();
        if let Some(what) = *self.rejected.lock() {
            return Some(Error::Credentials { what });
        }
        (!link.is_up && !link.is_closed).then(|| Fault::Disconnected.into())
    }

    /// The error of a request that was given up because of this fault.
    pub(super) fn explain(&self, fault: Fault) -> Error {
        match *self.rejected.lock() {
            Some(what) if matches!(fault, Fault::Disconnected | Fault::Silent) => {
                Error::Unavailable { source: Some(Arc::new(Error::Credentials { what })) }
            }
            _ => fault.into(),
        }
    }

    pub(super) fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                *self.rejected.lock() = None;
                self.link.send_modify(|link| *link = Link { is_up: true, ups: link.ups + 1, ..*link });
                if self.now().ups > 1 {
                    tracing::info!("the connection to NATS is back");
                }
            }
            Event::Disconnected | Event::Closed => {
                let was_up = self.link.send_if_modified(|link| std::mem::replace(&mut link.is_up, false));
                if was_up && !self.now().is_closed {
                    tracing::warn!("the connection to NATS is lost");
                }
            }
            Event::ServerError(ServerError::AuthorizationViolation) => self.reject("authorization violation"),
            Event::ServerError(ServerError::Other(text)) | Event::ClientError(ClientError::Other(text)) => {
                self.reject(text);
            }
            _ => {}
        }
        if !matches!(event, Event::Connected) {
            // Addresses and credentials are not in these.
            tracing::debug!(%event, "the connection to NATS");
        }
    }

    fn reject(&self, text: &str) {
        let Some(what) = rejection(text) else { return };
        let mut rejected = self.rejected.lock();
        // After they expired, every attempt to come back is rejected; the first is what helps.
        if rejected.is_none() {
            tracing::error!("the NATS server does not accept the credentials: {what}");
            *rejected = Some(what);
        }
    }
}

/// What a text of the server or the client says about the credentials, if it does.
pub(super) fn rejection(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    if text.contains("authentication expired") {
        Some("they have expired")
    } else if text.contains("authentication revoked") {
        Some("they were revoked")
    } else if text.contains("signing nonce") {
        Some("the credentials file cannot be used")
    } else if text.contains("authorization violation") || text.contains("authentication timeout") {
        Some("the server rejects them")
    } else {
        None
    }
}
