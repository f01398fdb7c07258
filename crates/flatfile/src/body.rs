//! Request bodies.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use zeroize::{Zeroize, Zeroizing};

use crate::refusal::Refusal;

/// Most bytes of a body that is read.
const MAX_BYTES: usize = 1024 * 1024;
/// Most bytes of a body that is passed over: what the command line uploads as an agent.
const MAX_PASSED_OVER: usize = 16 * 1024 * 1024;

/// A JSON object. The buffer that it was read from is wiped. Errors say where, never what stands there.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Refusal> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
        if announced > MAX_BYTES {
            return Err(too_large());
        }
        parse(&collect(request.into_body(), announced).await?).map(Json)
    }
}

/// Reads a body to its end and keeps nothing of it: a client that is still sending does not see the answer.
pub(crate) async fn pass_over(body: Body) {
    let (mut chunks, mut length) = (body.into_data_stream(), 0);
    while let Some(Ok(chunk)) = chunks.next().await {
        length += chunk.len();
        if length > MAX_PASSED_OVER {
            return;
        }
    }
}

async fn collect(body: Body, announced: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::invalid("body", "ended too early"))?;
        let length = bytes.len() + chunk.len();
        if length > MAX_BYTES {
            wipe(chunk);
            return Err(too_large());
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

fn too_large() -> Refusal {
    let message = format!("a request body has at most {MAX_BYTES} bytes");
    Refusal::of_status(StatusCode::PAYLOAD_TOO_LARGE, message).about("body")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // An array would be taken for the members in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::invalid("body", "is not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match (error.classify(), missing_member(&error.to_string())) {
            (Category::Data, Some(member)) => Refusal::invalid("body", format!("has no member `{member}`")),
            (Category::Data, None) => Refusal::invalid("body", format!("has a member of another type at {place}")),
            _ => Refusal::invalid("body", format!("is not JSON at {place}")),
        }
    })
}

/// The name of a member that is missing. It is our own name, not something that was sent.
fn missing_member(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}
