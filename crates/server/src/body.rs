//! Request bodies.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::header,
};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use zeroize::{Zeroize, Zeroizing};

use crate::failure::Failure;

/// Most bytes of a request's body.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A JSON body. The buffer that it was read from is wiped. Errors say where, never what stands there.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that may be left out.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Failure> {
        parse(&read(request).await?).map(Json)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<OptionalJson<T>, Failure> {
        let body = read(request).await?;
        if body.is_empty() { Ok(OptionalJson(T::default())) } else { parse(&body).map(OptionalJson) }
    }
}

async fn read(request: Request) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Failure::body_too_large(MAX_BODY_BYTES));
    }
    collect(request.into_body(), announced.unwrap_or(0)).await
}

async fn collect(body: Body, announced: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::invalid("the request's body ended too early"))?;
        let length = bytes.len() + chunk.len();
        if length > MAX_BODY_BYTES {
            wipe(chunk);
            return Err(Failure::body_too_large(MAX_BODY_BYTES));
        }
        if length > bytes.capacity() {
            // Growing in place could leave a copy behind.
            let mut grown = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            grown.extend_from_slice(&bytes);
            bytes = grown;
        }
        bytes.extend_from_slice(&chunk);
        wipe(chunk);
    }
    Ok(bytes)
}

/// Wipes what was received, where nobody else holds it any more.
fn wipe(chunk: Bytes) {
    if let Ok(mut owned) = chunk.try_into_mut() {
        owned.zeroize();
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // An array would be taken for the members in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Failure::invalid("the request's body has to be a JSON object, and begins as an array"));
    }
    serde_json::from_slice(bytes).map_err(|error| refusal(&error))
}

fn refusal(error: &serde_json::Error) -> Failure {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Failure::invalid_json(format!("the request's body is not JSON at {place}"));
    }
    match missing_member(&error.to_string()) {
        Some(member) => Failure::invalid(format!("the request's body has no member `{member}`")),
        None => Failure::invalid(format!("a member of the request's body is unknown or of another type at {place}")),
    }
}

/// The name of a member that is missing. It is our own name, not something that was sent.
fn missing_member(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}
