//! Requests to a server that may be down, cut off or paused.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_trait::async_trait;
use claviger_torture::{Action, Client, Consistency, Outcome};
use reqwest::{Method, StatusCode, header::IF_MATCH};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{node::Node, problems::Problems};

/// Where everything happens.
pub(crate) const ENVIRONMENT: &str = "/v1/environments/default";

/// A client that asked a server in trouble goes on elsewhere after this.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    node: Arc<Node>,
    key: Arc<str>,
    problems: Problems,
    patience: Duration,
}

/// What came of a request.
pub(crate) enum Answer {
    /// Status and body.
    Told(StatusCode, Value),
    /// It never left.
    NotSent,
    /// It left, and nobody knows more.
    Lost,
}

impl Http {
    pub(crate) fn new(node: Arc<Node>, key: &str, problems: Problems) -> Result<Http> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Http { client, node, key: key.into(), problems, patience: PATIENCE })
    }

    /// The same for requests that take longer.
    pub(crate) fn patient(&self) -> Http {
        Http { patience: 4 * PATIENCE, ..self.clone() }
    }

    /// Sends a request to a path, which begins with `/`. A guard goes into `If-Match`.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>, guard: Option<u64>) -> Answer {
        if !self.node.is_running() {
            return Answer::NotSent;
        }
        let mut request = self.client.request(method, format!("{}{path}", self.node.url())).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(revision) = guard {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        let exchange = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.bytes().await?))
        };
        match timeout(self.patience, exchange).await {
            Ok(Ok((status, body))) => Answer::Told(status, serde_json::from_slice(&body).unwrap_or_default()),
            Ok(Err(error)) if error.is_connect() => Answer::NotSent,
            Ok(Err(_)) | Err(_) => Answer::Lost,
        }
    }

    /// The answer to a `GET`, if it was a good one.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.send(Method::GET, path, None, None).await {
            Answer::Told(StatusCode::OK, body) => Some(body),
            Answer::Told(status, body) => {
                self.unless_excused(path, status, &body);
                None
            }
            Answer::NotSent | Answer::Lost => None,
        }
    }

    /// Whether an answer only says that the store cannot be reached now. Any other is a problem.
    pub(crate) fn unless_excused(&self, what: &str, status: StatusCode, body: &Value) {
        let excused = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        let said = || format!("{what} was answered with {status}: {} {}", body["code"], body["detail"]);
        self.problems.expect(excused.contains(&status), said);
    }

    async fn answer(&self, secret: &str, action: Action, value: &str) -> Answer {
        let path = format!("{ENVIRONMENT}/secrets/{secret}");
        match action {
            Action::Set { expected } => self.send(Method::PUT, &path, Some(&json!({ "value": value })), expected).await,
            Action::Delete { expected } => self.send(Method::DELETE, &path, None, expected).await,
            Action::Read(Consistency::Strong) => {
                self.send(Method::GET, &format!("{path}?consistency=strong"), None, None).await
            }
            Action::Read(Consistency::Default) => self.send(Method::GET, &path, None, None).await,
        }
    }
}

#[async_trait]
impl Client for Http {
    async fn ask(&self, secret: &str, action: Action, value: &str) -> Outcome {
        let (status, body) = match self.answer(secret, action, value).await {
            Answer::Told(status, body) => (status, body),
            Answer::NotSent => return Outcome::Refused,
            Answer::Lost => return Outcome::Unknown,
        };
        outcome(action, status, &body).unwrap_or_else(|| {
            self.unless_excused(&format!("{action} of {secret}"), status, &body);
            Outcome::Unknown
        })
    }
}

/// What the answer means; `None` when it is none of those that tell something.
fn outcome(action: Action, status: StatusCode, body: &Value) -> Option<Outcome> {
    let number = |member: &str| body[member].as_u64();
    let code = body["code"].as_str().unwrap_or_default();
    match (action, status) {
        (Action::Set { .. }, StatusCode::OK | StatusCode::CREATED) => Some(Outcome::Set {
            revision: number("revision")?,
            version: number("version")?,
            created: status == StatusCode::CREATED,
        }),
        (Action::Delete { .. }, StatusCode::OK) => {
            Some(Outcome::Deleted { revision: number("revision")?, version: number("version")? })
        }
        (Action::Read(_), StatusCode::OK) => {
            Some(Outcome::Found { revision: number("revision")?, version: number("version")? })
        }
        (_, StatusCode::CONFLICT) => Some(Outcome::Conflict { current: number("currentRevision")? }),
        (_, StatusCode::NOT_FOUND) if code == "secret_not_found" => Some(Outcome::NotSet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: Action = Action::Set { expected: Some(7) };
    const DELETE: Action = Action::Delete { expected: None };
    const READ: Action = Action::Read(Consistency::Strong);

    #[test]
    fn answers_are_understood() {
        let changed = json!({ "revision": 9, "version": 3 });
        let conflict = json!({ "code": "revision_conflict", "currentRevision": 8 });
        let not_set = json!({ "code": "secret_not_found" });
        let set = |created| Some(Outcome::Set { revision: 9, version: 3, created });
        assert_eq!(outcome(SET, StatusCode::CREATED, &changed), set(true));
        assert_eq!(outcome(SET, StatusCode::OK, &changed), set(false));
        assert_eq!(outcome(SET, StatusCode::CONFLICT, &conflict), Some(Outcome::Conflict { current: 8 }));
        assert_eq!(outcome(DELETE, StatusCode::OK, &changed), Some(Outcome::Deleted { revision: 9, version: 3 }));
        assert_eq!(outcome(DELETE, StatusCode::NOT_FOUND, &not_set), Some(Outcome::NotSet));
        assert_eq!(outcome(READ, StatusCode::OK, &changed), Some(Outcome::Found { revision: 9, version: 3 }));
        assert_eq!(outcome(READ, StatusCode::NOT_FOUND, &not_set), Some(Outcome::NotSet));
    }

    #[test]
    fn what_tells_nothing_is_no_outcome() {
        let lost = json!({ "code": "records_lost" });
        let no_environment = json!({ "code": "environment_not_found" });
        assert_eq!(outcome(READ, StatusCode::INTERNAL_SERVER_ERROR, &lost), None);
        assert_eq!(outcome(READ, StatusCode::NOT_FOUND, &no_environment), None);
        assert_eq!(outcome(SET, StatusCode::SERVICE_UNAVAILABLE, &json!({ "code": "unavailable" })), None);
        assert_eq!(outcome(SET, StatusCode::OK, &Value::Null), None);
    }
}
