//! An HTTP client whose server may die at any moment.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::support::{Api, within};

/// Sends requests through the relay.
#[derive(Clone, Debug)]
pub(super) struct Client(pub(super) Api);

impl Client {
    /// A request to a path in the environment `default`.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.request(method, &format!("/v1/environments/default{path}"))
    }

    /// Status and body; nothing when the connection ended first: whether the server did it is then unknown.
    pub(super) async fn ask(&self, request: RequestBuilder) -> Option<(StatusCode, Value)> {
        let exchange = async {
            let response = request.send().await.ok()?;
            let status = response.status();
            let body = response.bytes().await.ok()?;
            Some((status, serde_json::from_slice(&body).expect("an answer in JSON")))
        };
        within("an answer, or the end of the connection", exchange).await
    }
}
