//! Emitting events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::endpoint::{Endpoint, Settings};
use crate::error::Error;
use crate::json;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Emits events. Cheap to keep and to share: it re-uses its connections.
///
/// ```no_run
/// # async fn example() -> Result<(), claviger::Error> {
/// use claviger::Client;
/// use serde_json::json;
///
/// Client::from_env()?.emit("payout.requested", json!({ "amount": 1200 })).await?;
/// # Ok(())
/// # }
/// ```
pub struct Client {
    endpoint: Arc<Endpoint>,
    http: reqwest::Client,
    space: Option<String>,
}

/// What the server says of an event that it has stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct StoredEvent {
    /// The event's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it was emitted.
    pub environment: String,
    /// Its space, if it was emitted in one.
    pub space: Option<String>,
    /// The revision of its record.
    pub revision: u64,
}

impl Client {
    /// A client for `CLAVIGER_URL`, with `CLAVIGER_API_KEY`, in `CLAVIGER_ENV`.
    ///
    /// # Errors
    ///
    /// [`Error::NoApiKey`], [`Error::MalformedApiKey`] or [`Error::InvalidUrl`].
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A client for which some of the three are given.
    pub fn builder() -> ClientBuilder {
        ClientBuilder { settings: Settings::default() }
    }

    /// A client that emits into this space of the environment. It shares the connections.
    ///
    /// ```no_run
    /// # async fn example(client: claviger::Client) -> Result<(), claviger::Error> {
    /// client.in_space("acme").emit("order:created", serde_json::json!({ "order": 7 })).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn in_space(&self, space: impl Into<String>) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint), http: self.http.clone(), space: Some(space.into()) }
    }

    /// Emits an event with a new id.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] or [`Error::Unreachable`]; [`Error::NotJson`] or [`Error::TooLarge`] for the data, which is
    /// at most 256 KiB of JSON. After `Unreachable` the event may have been stored.
    pub async fn emit<D: Serialize>(&self, name: &str, data: D) -> Result<StoredEvent, Error> {
        self.post(name, None, &data_of(name, &data)?).await
    }

    /// Emits an event that is stored at most once under this id, so that this call can be repeated.
    ///
    /// # Errors
    ///
    /// As [`Client::emit`].
    pub async fn emit_once<D: Serialize>(&self, id: &str, name: &str, data: D) -> Result<StoredEvent, Error> {
        self.post(name, Some(id), &data_of(name, &data)?).await
    }

    async fn post(&self, name: &str, id: Option<&str>, data: &RawValue) -> Result<StoredEvent, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a str,
            data: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            space: Option<&'a str>,
        }
        let body = Body { name, data, id, space: self.space.as_deref() };
        let environment = self.endpoint.environment.as_deref().unwrap_or("default");
        let url = self.endpoint.resource(&["v1", "environments", environment, "events"]);
        let request = self.http.post(url).bearer_auth(self.endpoint.api_key()).json(&body);
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| unreachable(&error))?;
        if !status.is_success() {
            return Err(self.endpoint.refusal(status.as_u16(), &body));
        }
        serde_json::from_slice(&body)
            .map_err(|_| Error::Mismatch { what: "the server's answer".to_owned(), expected: "a stored event" })
    }
}

fn data_of<D: Serialize>(name: &str, data: &D) -> Result<Box<RawValue>, Error> {
    json::encode(data, || format!("the data of event {name:?}"))
}

/// The innermost cause says most, and the outer ones name the URL, which the caller knows.
fn unreachable(error: &reqwest::Error) -> Error {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    Error::Unreachable { problem: causes.last().unwrap_or(error).to_string() }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Client");
        shown.field("endpoint", &self.endpoint).field("space", &self.space).finish_non_exhaustive()
    }
}

/// Settings of a [`Client`].
pub struct ClientBuilder {
    settings: Settings,
}

impl ClientBuilder {
    /// The server's address instead of `CLAVIGER_URL` or `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = Some(url.into());
        self
    }

    /// The API key instead of `CLAVIGER_API_KEY`. It may emit events.
    #[must_use]
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.settings.api_key = Some(Zeroizing::new(api_key.into()));
        self
    }

    /// The environment instead of `CLAVIGER_ENV` or `default`.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.settings.environment = Some(environment.into());
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`Error::NoApiKey`], [`Error::MalformedApiKey`] or [`Error::InvalidUrl`].
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = self.settings.resolve()?;
        // Events are not sent on to another place than the one that was named.
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(REQUEST_TIMEOUT);
        let http = http.build().map_err(|error| unreachable(&error))?;
        Ok(Client { endpoint: Arc::new(endpoint), http, space: None })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}
