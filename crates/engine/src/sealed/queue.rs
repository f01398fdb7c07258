//! A queue that seals what goes into another one.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use claviger_crypto::{Keyring, NameKey};
use claviger_store::{Hint, Queue, Result};

use super::names::token;

/// A queue whose topics and hints only the holder of the keyring can read: a topic names a function, and an id of a run is
/// made from names, so that one could try guesses on it.
pub struct SealedQueue {
    inner: Arc<dyn Queue>,
    key: NameKey,
}

impl SealedQueue {
    /// Seals what goes into `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Queue>, keyring: &Keyring) -> SealedQueue {
        SealedQueue { inner, key: keyring.name_key() }
    }

    fn topic(&self, topic: &str) -> String {
        token(&self.key.hash("topic", topic))
    }

    /// The same for each offer of an id, so that it is not doubled.
    fn seal(&self, topic: &str, id: &str) -> String {
        token(&self.key.seal_hint(topic, id).expect("an id is shorter than 64 GiB"))
    }

    fn open(&self, topic: &str, sealed: &str) -> Option<String> {
        self.key.open_hint(topic, &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()
    }
}

#[async_trait]
impl Queue for SealedQueue {
    async fn offer(&self, topic: &str, id: &str) -> Result<()> {
        self.inner.offer(&self.topic(topic), &self.seal(topic, id)).await
    }

    async fn take(&self, topic: &str, limit: usize, lease: Duration) -> Result<Vec<Hint>> {
        let place = self.topic(topic);
        let mut hints = Vec::new();
        for taken in self.inner.take(&place, limit, lease).await? {
            match self.open(topic, &taken.id) {
                Some(id) => hints.push(Hint { id }),
                // Hints may be lost: what it was about is offered again.
                None => self.inner.done(&place, &taken).await?,
            }
        }
        Ok(hints)
    }

    async fn ready(&self, topic: &str) {
        self.inner.ready(&self.topic(topic)).await;
    }

    async fn extend(&self, topic: &str, hint: &Hint, lease: Duration) -> Result<()> {
        let sealed = Hint { id: self.seal(topic, &hint.id) };
        self.inner.extend(&self.topic(topic), &sealed, lease).await
    }

    async fn done(&self, topic: &str, hint: &Hint) -> Result<()> {
        let sealed = Hint { id: self.seal(topic, &hint.id) };
        self.inner.done(&self.topic(topic), &sealed).await
    }
}

impl fmt::Debug for SealedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedQueue")
    }
}
