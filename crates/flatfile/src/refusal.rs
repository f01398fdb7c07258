//! Errors in the form of the protocol: `{"errors": [{"key": …, "message": …}]}`.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use claviger_api::BodyError;
use claviger_core::{ErrorKind, NameError};
use claviger_engine::Error;
use serde::Serialize;

use crate::app::App;

/// Why a request is not served. [`told`] writes it out.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// The parameter or member that it is about.
    key: Option<&'static str>,
    /// What is wrong. Repeats no input.
    message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    errors: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'static str>,
    message: &'a str,
}

impl Refusal {
    /// A parameter or member is not as it has to be.
    pub(crate) fn invalid(key: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, key: Some(key), message: message.into() }
    }

    /// An id stands for nothing that the caller may know of.
    pub(crate) fn unknown(key: &'static str, message: &str) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, key: Some(key), message: message.to_owned() }
    }

    pub(crate) fn of_status(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal { status, key: None, message: message.into() }
    }

    /// The same, about a parameter or member.
    pub(crate) fn about(self, key: &'static str) -> Refusal {
        Refusal { key: Some(key), ..self }
    }

    fn render(&self) -> Response {
        let body = Body { errors: [Entry { key: self.key, message: &self.message }] };
        (self.status, axum::Json(body)).into_response()
    }
}

/// The response to a request that was refused before it came here.
#[must_use]
pub fn refusal(status: StatusCode, message: &str) -> Response {
    let refusal = Refusal::of_status(status, message);
    log(&refusal, &HeaderMap::new());
    refusal.render()
}

/// Writes refusals out, and says them in the log: a listener tells its user no more than that a secret was not found.
pub(crate) async fn told(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    // What was named in the request may have been a value.
    let message = app.engine.live().redact(&refusal.message).into_owned();
    let refusal = Refusal { message, ..refusal };
    log(&refusal, &headers);
    let mut response = refusal.render();
    if refusal.status == StatusCode::TOO_MANY_REQUESTS || refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn log(refusal: &Refusal, headers: &HeaderMap) {
    let request = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (status, key, message) = (refusal.status.as_u16(), refusal.key.unwrap_or_default(), &refusal.message);
    tracing::warn!(
        status,
        key,
        request,
        "a Flatfile client was refused and may report a secret as not found: {message}"
    );
}

impl IntoResponse for Refusal {
    /// Only carries the refusal to [`told`], which writes it out.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let message = error.detail();
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Internal) {
            tracing::error!(code = error.code(), "{message}");
        }
        // The clients know 400 and 404 as errors of their own, and try again after 408, 429 and 5xx.
        let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal::of_status(status, message)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Refusal {
        let status = match error {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::CutOff
            | BodyError::NotJson { .. }
            | BodyError::NotAnObject
            | BodyError::MissingMember { .. }
            | BodyError::WrongMember { .. } => StatusCode::BAD_REQUEST,
        };
        Refusal::of_status(status, error.to_string()).about("body")
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Refusal {
        Error::from(error).into()
    }
}
