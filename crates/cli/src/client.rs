//! Talks to a server over HTTP, like everybody else.

mod answer;
mod api_key;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use claviger_api::Ready;
use claviger_core::SpaceName;
use claviger_crypto::ALL_ENVIRONMENTS;
use reqwest::{
    Method, Request, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH},
    redirect,
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use self::api_key::Key;
pub(crate) use self::stream::{Frame, Frames};
use crate::{
    args::Connection,
    failure::{Exit, Failure},
};

/// The environment when nothing says which.
const DEFAULT_ENVIRONMENT: &str = "default";

const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take; longer than the server gives itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(70);

/// A connection to a server under an API key.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<Key>,
    environment: String,
}

/// A request that can be sent.
pub(crate) struct Call<'c> {
    client: &'c Client,
    request: Request,
}

impl Client {
    /// Finds the API key and the environment. Sends nothing yet.
    ///
    /// # Errors
    /// `invalid_request` for an address that is none, `invalid_api_key` for a key that is none, `data_directory_mode` when
    /// others can read the key's file.
    pub(crate) fn new(connection: &Connection) -> Result<Client, Failure> {
        let base = base(&connection.url)?;
        let key = api_key::find(&connection.data_dir, is_loopback(&base))?;
        let of_key = key.as_ref().map(|key| key.environment()).filter(|name| *name != ALL_ENVIRONMENTS);
        let environment = connection.env.as_deref().or(of_key).unwrap_or(DEFAULT_ENVIRONMENT).to_owned();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("claviger/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .redirect(redirect::Policy::none());
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|_| Failure::plain(Exit::Other, "the system's certificates cannot be read"))?;
        Ok(Client { http, base, key, environment })
    }

    /// The environment of this command.
    pub(crate) fn environment(&self) -> &str {
        &self.environment
    }

    /// A request to a path under `/v1`. Each segment is percent-encoded.
    pub(crate) fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let call = self.request(method, &[&["v1"], segments].concat());
        match &self.key {
            Some(key) => call.header(AUTHORIZATION, key.header()),
            None => call,
        }
    }

    /// Whether the server says that it has a development key only.
    pub(crate) async fn has_development_key(&self) -> bool {
        let response = self.request(Method::GET, &["readyz"]).within(CONNECT_WITHIN).open().await;
        let Ok(response) = response else { return false };
        answer::read::<Ready>(response).await.is_ok_and(|ready| ready.master_key == "development")
    }

    fn request(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Call { client: self, request: Request::new(method, url) }
    }

    /// A request to a path in the environment.
    pub(crate) fn call_in(&self, method: Method, segments: &[&str]) -> Call<'_> {
        self.call(method, &[&["environments", self.environment.as_str()], segments].concat())
    }

    /// A request to a path in a space of the environment.
    pub(crate) fn call_in_space(&self, method: Method, space: &SpaceName, segments: &[&str]) -> Call<'_> {
        self.call_in(method, &[&["spaces", space.as_str()], segments].concat())
    }

    /// A request to a path in the environment or, if one is given, in a space of it.
    pub(crate) fn call_at(&self, method: Method, space: Option<&SpaceName>, segments: &[&str]) -> Call<'_> {
        match space {
            Some(space) => self.call_in_space(method, space, segments),
            None => self.call_in(method, segments),
        }
    }
}

impl Call<'_> {
    /// Adds a parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.request.url_mut().query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().insert(name, value);
        self
    }

    /// Has it done only if what is to change is still at this revision, if one is given.
    pub(crate) fn expecting(self, revision: Option<u64>) -> Self {
        let tag = revision.and_then(|revision| HeaderValue::from_str(&format!("\"{revision}\"")).ok());
        match tag {
            Some(tag) => self.header(IF_MATCH, tag),
            None => self,
        }
    }

    /// Adds a body. Its buffer is wiped when it was sent.
    pub(crate) fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        // Our own types can be written.
        let bytes = Zeroizing::new(serde_json::to_vec(body).unwrap_or_default());
        *self.request.body_mut() = Some(Bytes::from_owner(bytes).into());
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// What the server says, or that it is not there.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let client = self.client;
        let response = self.within(ANSWER_WITHIN).open().await?;
        answer::read(response).await.map_err(|failure| client.advised(failure))
    }

    /// Sends the request and answers when the response begins.
    pub(crate) async fn open(self) -> Result<Response, Failure> {
        let client = self.client;
        let response =
            client.http.execute(self.request).await.map_err(|error| answer::unreachable(&client.base, &error))?;
        answer::check(response).await.map_err(|failure| client.advised(failure))
    }

    fn within(mut self, limit: Duration) -> Self {
        *self.request.timeout_mut() = Some(limit);
        self
    }
}

impl Client {
    /// In a terminal for a worker the variable holds a key that manages nothing.
    fn advised(&self, failure: Failure) -> Failure {
        if !failure.has_code("denied") || !self.key.as_ref().is_some_and(|key| key.is_of_variable) {
            return failure;
        }
        failure
            .hint("CLAVIGER_API_KEY holds this key; if it is a worker's runtime key, unset it for management commands")
    }
}

fn base(text: &str) -> Result<Url, Failure> {
    let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    Url::parse(text).ok().filter(usable).ok_or_else(|| {
        Failure::new(Exit::Usage, "invalid_request", "the server's URL is not one of `http://` or `https://`")
            .hint("see `--url` and CLAVIGER_URL")
    })
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}
