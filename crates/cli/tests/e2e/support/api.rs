//! HTTP requests to a server, as any client would send them.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{Transcript, eventually, within};

/// A server's address and a key. All answers are kept.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: Client,
    base: String,
    key: String,
    pub(crate) transcript: Transcript,
}

/// The statuses of runs that have ended.
const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

impl Api {
    pub(crate) fn new(base: &str, key: &str) -> Api {
        let client = Client::builder().no_proxy().build().expect("a client");
        Api { client, base: base.to_owned(), key: key.to_owned(), transcript: Transcript::default() }
    }

    /// The same with another key, into the same transcript.
    pub(crate) fn with_key(&self, key: &str) -> Api {
        Api { key: key.to_owned(), ..self.clone() }
    }

    /// The same with a transcript of its own.
    pub(crate) fn apart(&self) -> Api {
        Api { transcript: Transcript::default(), ..self.clone() }
    }

    /// A request to a path, which begins with `/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// Sends a request. The answer is not read yet, and not kept.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Response {
        within("an answer", request.send()).await.expect("an answer")
    }

    /// Status and body, which is `null` when it is not JSON.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = self.send(request).await;
        let status = response.status();
        self.transcript.add(format!("{status} {:?}", response.headers()));
        let body = within("a body", response.bytes()).await.expect("a body");
        self.transcript.add(&body);
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The answer of a successful `GET`.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.answer(self.request(Method::GET, path)).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// The answer of a successful request with a JSON body.
    pub(crate) async fn with(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.answer(self.request(method, path).json(body)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// Sets a secret in `default`.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Value {
        let path = format!("/v1/environments/default/secrets/{name}");
        self.with(Method::PUT, &path, &serde_json::json!({ "value": value })).await
    }

    /// Emits an event in `default`, and answers what the server says of it.
    pub(crate) async fn emit(&self, name: &str, data: Value) -> Value {
        let body = serde_json::json!({ "name": name, "data": data });
        self.with(Method::POST, "/v1/environments/default/events", &body).await
    }

    /// Emits an event and waits until every run that it starts has ended.
    pub(crate) async fn emit_and_wait(&self, name: &str, data: Value) -> Vec<Value> {
        let event = self.emit(name, data).await;
        self.runs_of(&event).await
    }

    /// Waits until every run of an event in `default` has ended.
    pub(crate) async fn runs_of(&self, event: &Value) -> Vec<Value> {
        let (id, revision) = (event["id"].as_str().expect("an id"), &event["revision"]);
        let space = event["space"].as_str().map_or(String::new(), |space| format!("&space={space}"));
        let path = format!("/v1/environments/default/events/{id}/runs?revision={revision}&waitMs=20000{space}");
        eventually("the end of an event's runs", || async {
            let found = self.get(&path).await;
            let runs = found["runs"].as_array().expect("runs").clone();
            (found["dispatched"] == true && runs.iter().all(has_ended)).then_some(runs)
        })
        .await
    }

    /// One run of `default` with everything that is shown of it.
    pub(crate) async fn run(&self, id: &str) -> Value {
        self.get(&format!("/v1/environments/default/runs/{id}")).await
    }

    /// Waits until the newest run of a function stands so, and answers it whole.
    pub(crate) async fn run_with(&self, function: &str, status: &str) -> Value {
        let path = format!("/v1/environments/default/runs?function={function}&status={status}&limit=1");
        let what = format!("a run of `{function}` that is {status}");
        let newest = || async { self.get(&path).await["items"][0]["id"].as_str().map(str::to_owned) };
        let id = eventually(&what, newest).await;
        self.run(&id).await
    }
}

fn has_ended(run: &Value) -> bool {
    ENDED.iter().any(|status| run["status"] == *status)
}
