//! Where the server is, and with which key.

use std::env;
use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use zeroize::Zeroizing;

use crate::error::Error;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SUBPROTOCOL: &str = "claviger.worker.v1";
const MOST_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// What the program gave; the rest comes from the environment of the process.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) url: Option<String>,
    pub(crate) api_key: Option<Zeroizing<String>>,
    pub(crate) environment: Option<String>,
}

/// A server and a key for it.
pub(crate) struct Endpoint {
    base: Url,
    api_key: Zeroizing<String>,
    /// The environment that was named, if any.
    pub(crate) environment: Option<String>,
}

impl Settings {
    pub(crate) fn resolve(self) -> Result<Endpoint, Error> {
        let from_process = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let url = self.url.or_else(|| from_process("CLAVIGER_URL")).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let api_key = self.api_key.or_else(|| from_process("CLAVIGER_API_KEY").map(Zeroizing::new));
        let api_key = Zeroizing::new(api_key.ok_or(Error::NoApiKey)?.trim().to_owned());
        if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::MalformedApiKey);
        }
        let environment = self.environment.or_else(|| from_process("CLAVIGER_ENV"));
        Ok(Endpoint { base: parse_base(&url)?, api_key, environment })
    }
}

fn parse_base(url: &str) -> Result<Url, Error> {
    let problem = |problem| Error::InvalidUrl { problem };
    let base = Url::parse(url.trim()).map_err(|_| problem("it is not a URL"))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(problem("it begins with neither http:// nor https://"));
    }
    if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
        return Err(problem("a user, a password or a query has no place in it"));
    }
    Ok(base)
}

impl Endpoint {
    pub(crate) fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The address of a resource; segments are percent-encoded.
    pub(crate) fn resource(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `parse_base` accepts no URL without a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Opens the workers' WebSocket.
    pub(crate) async fn connect(&self) -> Result<Socket, Error> {
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MOST_MESSAGE_BYTES);
        config.max_frame_size = Some(MOST_MESSAGE_BYTES);
        let connecting = connect_async_with_config(self.upgrade()?, Some(config), true);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(SocketError::Http(response))) => Err(self.refused_upgrade(&response)),
            Ok(Err(error)) => Err(Error::Unreachable { problem: error.to_string() }),
            Err(_) => Err(Error::Unreachable { problem: "it does not answer".to_owned() }),
        }
    }

    fn upgrade(&self) -> Result<Request<()>, Error> {
        let mut url = self.resource(&["v1", "worker"]);
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        let unusable = Error::InvalidUrl { problem: "no WebSocket address follows from it" };
        if url.set_scheme(scheme).is_err() {
            return Err(unusable);
        }
        let mut request = url.as_str().into_client_request().map_err(|_| unusable)?;
        let bearer = Zeroizing::new(format!("Bearer {}", *self.api_key));
        let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| Error::MalformedApiKey)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(request)
    }

    fn refused_upgrade(&self, response: &Response<Option<Vec<u8>>>) -> Error {
        let body = response.body().as_deref().unwrap_or_default();
        self.refusal(response.status().as_u16(), body)
    }

    /// The error for an HTTP answer that is not a success.
    pub(crate) fn refusal(&self, status: u16, body: &[u8]) -> Error {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Problem {
            code: Option<String>,
            detail: Option<String>,
            title: Option<String>,
            request_id: Option<String>,
        }
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let detail = problem.detail.or(problem.title).unwrap_or_else(|| format!("the answer was {status}"));
        Error::Refused {
            code: problem.code.unwrap_or_else(|| format!("http_{status}")),
            status,
            detail: self.without_key(&detail),
            request_id: problem.request_id,
        }
    }

    /// Text of a server that must not repeat the key, even if the server does.
    pub(crate) fn without_key(&self, text: &str) -> String {
        text.replace(&**self.api_key, "<API key>")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.base.as_str();
        formatter.debug_struct("Endpoint").field("url", &base).field("environment", &self.environment).finish()
    }
}
