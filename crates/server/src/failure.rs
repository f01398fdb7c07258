//! From errors to `application/problem+json`.

use axum::response::{IntoResponse, Response};
use claviger_api::{BodyError, PROBLEM_JSON, Problem, find_code};
use claviger_core::{ErrorKind, NameError, PatternError};
use claviger_engine::{Error, LiveValues};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::request_id::RequestId;

/// What a request is answered with when it cannot be served. The edge adds the request's id and writes it out.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    current_revision: Option<u64>,
    retry_after: Option<u64>,
}

/// The HTTP status of a kind of error.
fn status_of(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Failure {
    fn new(code: &'static str, status: StatusCode, detail: impl Into<String>) -> Failure {
        Failure { status, code, detail: detail.into(), current_revision: None, retry_after: None }
    }

    /// A part of the request has a value that is not allowed.
    pub(crate) fn invalid(detail: impl Into<String>) -> Failure {
        Failure::new("invalid_request", StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn invalid_name(detail: impl Into<String>) -> Failure {
        Failure::new("invalid_name", StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn key_in_query() -> Failure {
        Failure::new("key_in_query", StatusCode::BAD_REQUEST, "an API key belongs in the header `Authorization`")
    }

    pub(crate) fn unsupported_protocol() -> Failure {
        let detail = format!("the subprotocol has to be `{}`", claviger_api::worker::SUBPROTOCOL);
        Failure::new("unsupported_protocol", StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn denied(detail: impl Into<String>) -> Failure {
        Failure::new("denied", StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn route_not_found() -> Failure {
        Failure::new("route_not_found", StatusCode::NOT_FOUND, "there is no route of that path")
    }

    pub(crate) fn method_not_allowed() -> Failure {
        let detail = "the route does not have that method; see the header `Allow`";
        Failure::new("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(crate) fn timed_out() -> Failure {
        Failure::new("timeout", StatusCode::REQUEST_TIMEOUT, "the request took too long")
    }

    pub(crate) fn stopping() -> Failure {
        Failure::from(Error::Stopping)
    }

    pub(crate) fn too_many_logins(retry_after: u64) -> Failure {
        let detail = "too many requests with a wrong API key came from this address";
        let failure = Failure::new("too_many_requests", StatusCode::TOO_MANY_REQUESTS, detail);
        Failure { retry_after: Some(retry_after), ..failure }
    }

    pub(crate) fn internal() -> Failure {
        Failure::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the server has a bug; its log says more")
    }

    /// The same with every value in use masked.
    pub(crate) fn redacted(self, live: &LiveValues) -> Failure {
        let detail = live.redact(&self.detail).into_owned();
        Failure { detail, ..self }
    }

    /// The response in the form of another protocol.
    pub(crate) fn render_with(self, refusal: fn(StatusCode, &str) -> Response) -> Response {
        let mut response = refusal(self.status, &self.detail);
        self.add_headers(response.headers_mut());
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"claviger\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    /// The response, with what is already in the headers.
    pub(crate) fn render(self, mut headers: HeaderMap, id: &RequestId) -> Response {
        self.add_headers(&mut headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.remove(header::CONTENT_LENGTH);
        let problem = Problem {
            r#type: format!("/errors/{}", self.code),
            code: self.code.to_owned(),
            title: find_code(self.code).map_or("Error", |code| code.title).to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            request_id: id.as_str().to_owned(),
            hint: hint(self.code).map(str::to_owned),
            current_revision: self.current_revision,
        };
        // Strings and numbers: encoding them cannot fail.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        (self.status, headers, body).into_response()
    }
}

/// What to do about it, where one sentence helps.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "unauthenticated" => "send the header `Authorization: Bearer <API key>`",
        "invalid_api_key" => "copy the whole key again, from `clv_` to its end",
        "unknown_api_key" => "the key may have been revoked, or belong to another server",
        "key_in_query" => "revoke that key: what stands in a URL ends up in logs",
        "revision_conflict" => {
            "read again what you wanted to change; if you still want to, send the change with the present revision"
        }
        "value_too_short" => "set `allowShort` to accept a value that will not be masked",
        "value_is_mask" => "set the value itself, not what logs show in its place",
        "secret_not_found" => "in a space it may be blocked; `DELETE …/secrets/{name}/block` lifts that",
        "space_not_found" => "see `GET /v1/environments/{env}/spaces`; `POST` there creates one",
        "environment_not_found" => "see `GET /v1/environments` for those that this API key reaches",
        "records_lost" => "restore the stream, or accept the loss: `claviger explain records_lost`",
        "store_full" => "make room on the server's disk; nothing was stored",
        _ => return None,
    })
}

impl IntoResponse for Failure {
    /// Only carries the failure to the edge, which writes it out.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let retry_after = matches!(error.kind(), ErrorKind::Limited | ErrorKind::Unavailable).then_some(1);
        Failure {
            status: status_of(error.kind()),
            code: error.code(),
            detail: error.detail(),
            current_revision: error.current_revision().map(|revision| revision.0),
            retry_after,
        }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Failure {
        let (code, status) = match error {
            BodyError::TooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            BodyError::NotJson { .. } => ("invalid_json", StatusCode::BAD_REQUEST),
            BodyError::CutOff
            | BodyError::NotAnObject
            | BodyError::MissingMember { .. }
            | BodyError::WrongMember { .. } => ("invalid_request", StatusCode::BAD_REQUEST),
        };
        Failure::new(code, status, format!("the request's body {error}"))
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Failure {
        Error::from(error).into()
    }
}

impl From<PatternError> for Failure {
    fn from(error: PatternError) -> Failure {
        Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_public_code_of_that_status() {
        let own = [
            Failure::invalid(""),
            Failure::invalid_name(""),
            Failure::from(BodyError::TooLarge),
            Failure::from(BodyError::CutOff),
            Failure::from(BodyError::NotJson { line: 1, column: 0 }),
            Failure::from(BodyError::NotAnObject),
            Failure::from(BodyError::MissingMember { member: String::new() }),
            Failure::from(BodyError::WrongMember { line: 1, column: 1 }),
            Failure::key_in_query(),
            Failure::unsupported_protocol(),
            Failure::denied(""),
            Failure::route_not_found(),
            Failure::method_not_allowed(),
            Failure::timed_out(),
            Failure::too_many_logins(1),
            Failure::internal(),
        ];
        let of_engine = [
            Error::Invalid { what: String::new() },
            Error::ValueTooLarge { length: 1, limit: 1 },
            Error::ValueTooShort { length: 1, limit: 1 },
            Error::ValueIsMask,
            Error::BodyTooLarge { what: "an event's data", length: 1, limit: 1 },
            Error::BodyTooLarge { what: "a step's result", length: 1, limit: 1 },
            Error::Unauthenticated,
            Error::InvalidApiKey { what: String::new() },
            Error::UnknownApiKey,
            Error::ExpiredApiKey,
            Error::Denied { role: "viewer", bound: None },
            Error::EnvironmentNotFound,
            Error::SpaceNotFound,
            Error::SecretNotFound,
            Error::RunNotFound,
            Error::FunctionNotFound,
            Error::ApiKeyNotFound,
            Error::RevisionConflict { current: claviger_core::Revision(7) },
            Error::EnvironmentExists,
            Error::SpaceExists,
            Error::RunEnded,
            Error::ReservedEventName,
            Error::InvalidCursor,
            Error::TooManyRequests,
            Error::TimedOut,
            Error::Corrupt { stream: "secrets", revision: claviger_core::Revision(7), what: "" },
            Error::RecordsLost {
                stream: "secrets",
                known: claviger_core::Revision(7),
                found: claviger_core::Revision(6),
            },
            Error::Unconfirmed,
            Error::Stopping,
            Error::Bug { what: "" },
        ];
        for failure in own.into_iter().chain(of_engine.into_iter().map(Failure::from)) {
            let code = find_code(failure.code).expect(failure.code);
            assert_eq!(code.status, Some(failure.status.as_u16()), "{}", failure.code);
        }
    }
}
